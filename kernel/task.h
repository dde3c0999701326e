/* Tasks: an address space, an account, handles and threads. */
#ifndef KERNEL_TASK_H
#define KERNEL_TASK_H

#include "kernel/account.h"
#include "kernel/handle.h"
#include "kernel/lock.h"
#include "kernel/object.h"

struct thread;

struct task {
    struct object object;
    struct aspace *space;               /* fixed, counted; empty once the task has ended */
    struct account *account;            /* fixed, counted */

    struct spinlock lock;               /* rank TASK */
    struct list_node threads;           /* those not yet told to end */
    struct list_node killed_threads;    /* those told to */
    unsigned thread_count;              /* on either list */
    bool dying;                         /* no new threads */
    uint8_t status;                     /* the exit status to be; set with dying */
    struct handle_table handles;        /* under `lock` */
};

/* An empty task on `account` (one reference of it is taken). NULL: see *error. */
struct task *task_create(struct account *account, status_t *error);
/* A task whose space is a copy-on-write clone of `parent`'s. NULL: see *error. May sleep. */
struct task *task_clone(struct task *parent, status_t *error);

/* Tells all threads to end. The first caller's status counts. Interrupts on. */
void task_kill(struct task *task, uint8_t status);

/*
 * thread_end() of the last thread: gives back space and handles, and tells who waits. Interrupts on, in
 * bounded steps.
 */
void task_end(struct task *task);

/* Called with the last reference gone. */
void task_release(struct task *task);

/* The current thread's task. Not for kernel threads. */
struct task *task_current(void);

#endif
