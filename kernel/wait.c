/*
 * Sleeping in kernel context. The thread links itself to a queue and blocks under the queue's lock, so no
 * waker can come in between; whoever wins the change BLOCKED -> READY has woken it, once: the event, the
 * time limit or a kill. The thread itself tidies up after the other two.
 */
#include "kernel/wait.h"
#include "kernel/sched.h"

static void wait_timed_out(struct timer *timer)
{
    thread_wake(container_of(timer, struct thread, timer), E_TIMEOUT);
}

/* Blocks and arms the limit as one step: a limit that fired before the thread blocked would be lost. */
static bool block_until(enum wait_reason reason, void *object, struct list_node *queue, uint64_t deadline_ns)
{
    struct thread *self = thread_current();
    self->wake_status = 0;
    if (!thread_block(reason, object, queue))
        return false;
    if (deadline_ns != TIME_NEVER) {
        self->timer.expired = wait_timed_out;
        timer_start(&self->timer, deadline_ns);
    }
    return true;
}

status_t wait_on(struct spinlock *lock, struct list_node *queue, enum wait_reason reason, void *object, uint64_t deadline_ns)
{
    struct thread *self = thread_current();
    bool blocked = block_until(reason, object, queue, deadline_ns);
    spin_unlock(lock);
    if (!blocked)
        return E_KILLED;
    kernel_yield();
    if (deadline_ns != TIME_NEVER)
        timer_cancel(&self->timer);
    spin_lock(lock);
    list_remove(&self->wait_node);
    spin_unlock(lock);
    return self->wake_status;
}

unsigned wait_wake(struct list_node *queue, unsigned most)
{
    unsigned woken = 0;
    struct list_node *node;
    while (woken < most && (node = list_pop_front(queue)))
        woken += thread_wake(list_entry(node, struct thread, wait_node), 0);
    return woken;
}

status_t wait_sleep_until(uint64_t deadline_ns)
{
    struct thread *self = thread_current();
    uint64_t flags = irq_save();
    bool blocked = block_until(WAIT_SLEEP, NULL, NULL, deadline_ns);
    irq_restore(flags);
    if (!blocked)
        return E_KILLED;
    kernel_yield();
    timer_cancel(&self->timer);
    return self->wake_status == E_KILLED ? E_KILLED : 0;
}
