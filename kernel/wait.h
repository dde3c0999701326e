/*
 * Sleeping in the kernel until something happens, with an optional time limit. Page faults from user mode
 * do not use it: they leave no kernel context.
 */
#ifndef KERNEL_WAIT_H
#define KERNEL_WAIT_H

#include "kernel/abi.h"
#include "kernel/lock.h"
#include "kernel/thread.h"

/*
 * Puts the current thread on `queue`, gives back `lock` (which protects the queue) and sleeps until woken.
 * On return the thread is off the queue and `lock` is not held. 0, or the status of who woke it; E_TIMEOUT
 * at `deadline_ns` (TIME_NEVER: no limit); E_KILLED. No other lock held.
 */
status_t MUST_CHECK wait_on(struct spinlock *lock, struct list_node *queue, enum wait_reason reason, void *object, uint64_t deadline_ns);

/*
 * Wakes up to `most` threads of `queue`, the longest waiting first; how many. Under its lock. Takes a
 * thread off even if it was already woken otherwise.
 */
unsigned wait_wake(struct list_node *queue, unsigned most);

/* Sleeps for a time. 0 or E_KILLED. */
status_t wait_sleep_until(uint64_t deadline_ns);

#endif
