/*
 * System calls. The table in syscall.c says for each call what kind every argument is; all checks are made
 * there, before the call's own code runs, which therefore sees only addresses, lengths, priorities and
 * objects that are what they should be.
 */
#ifndef KERNEL_SYSCALL_H
#define KERNEL_SYSCALL_H

#include "arch/trap.h"
#include "kernel/abi.h"

struct task;
struct thread;
struct object;

/* Checked arguments. */
struct call {
    uint64_t arg[6];
    struct task *task;          /* what an ARG_TASK names, or an ARG_OBJECT that is a task; a reference is held during the call */
    struct object *object;      /* what an ARG_TASK, ARG_THREAD or ARG_OBJECT names */
};

/* Called by trap.asm, interrupts off. Stores the result in frame->rax. */
void syscall_entry(struct trap_frame *frame);

/*
 * syscall_memory.c, syscall_task.c, syscall_misc.c, info.c: one function per call, called with interrupts
 * on and no lock held.
 */
#define X(number, name) status_t sys_##name(const struct call *call);
PRIMER_CALLS(X)
#undef X

#endif
