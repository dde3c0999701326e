/*
 * Ends of tasks and threads, and waiting for them. One lock (rank WAIT) for all: ends are rare, and a hold
 * wakes a bounded number.
 */
#include "kernel/abi.h"
#include "kernel/object.h"
#include "kernel/sched.h"
#include "kernel/wait.h"

#define WAKE_AT_ONCE 8

static struct spinlock end_lock = SPINLOCK("ends", RANK_WAIT);

void object_end(struct object *object, uint8_t status)
{
    spin_lock(&end_lock);
    assert(!object->ended);
    object->ended = true;
    object->status = status;
    spin_unlock(&end_lock);
    /* Nobody joins any more, so the list only gets shorter. */
    for (bool more = true; more;) {
        spin_lock(&end_lock);
        wait_wake(&object->end_waiters, WAKE_AT_ONCE);
        more = !list_empty(&object->end_waiters);
        spin_unlock(&end_lock);
    }
    /* The caller may go on to take a whole space apart: who is more urgent need not wait for that. */
    if (sched_should_yield())
        kernel_yield();
}

status_t object_wait(struct object *object, uint64_t deadline_ns)
{
    for (;;) {
        spin_lock(&end_lock);
        if (object->ended) {
            status_t status = object->status;
            spin_unlock(&end_lock);
            return status;
        }
        status_t woken = wait_on(&end_lock, &object->end_waiters, WAIT_END, object, deadline_ns);
        if (woken < 0)
            return woken;
    }
}
