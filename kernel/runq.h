/*
 * A CPU's run queue, as the two halves of the scheduler share it: sched_ready.c (who becomes ready, and
 * where) and sched.c (who runs next).
 */
#ifndef KERNEL_RUNQ_H
#define KERNEL_RUNQ_H

#include "kernel/lock.h"
#include "kernel/prio_queue.h"
#include "kernel/sched.h"

struct runq {
    struct spinlock lock;
    /* Under lock. */
    struct prio_queue ready;
    _Atomic uint32_t ready_count;   /* read by thieves without the lock: a hint */
    bool slice_armed;               /* the timer will come and look at the slice, soon enough */
    bool slice_over;                /* the running thread has had its time */
    uint64_t slice_end;             /* TSC; matters while somebody of the same priority waits */
    uint64_t idle_ticks;
    uint64_t idle_since;            /* TSC; 0: not idle */

    /* Written by this CPU alone, interrupts off; others read them as hints. */
    struct thread *_Atomic running; /* the thread that runs here, from the moment it is picked */
    _Atomic uint8_t running_prio;   /* its priority */
    uint64_t switches;

    /*
     * A ready thread that is to run here next, before its equals, and is on no queue: how a faulter hands
     * the CPU to the worker, and the worker hands it back, without a trip through the queue. Own CPU only,
     * interrupts off; so no lock, and no thief sees it.
     */
    struct thread *next;
};

extern struct runq runqs[MAX_CPUS];
extern _Atomic uint64_t idle_cpus;      /* bit n: CPU n has nothing to run. Set and cleared by CPU n; others pick from it */

static inline void runq_enqueue(struct runq *q, struct thread *thread, bool front)
{
    if (front)
        prio_queue_push_front(&q->ready, thread->prio, &thread->run_node);
    else
        prio_queue_push(&q->ready, thread->prio, &thread->run_node);
    atomic_fetch_add_explicit(&q->ready_count, 1, memory_order_relaxed);
}

static inline void runq_dequeue(struct runq *q, struct thread *thread)
{
    prio_queue_remove(&q->ready, thread->prio, &thread->run_node);
    atomic_fetch_sub_explicit(&q->ready_count, 1, memory_order_relaxed);
}

static inline unsigned runq_running_prio(struct runq *q) { return atomic_load_explicit(&q->running_prio, memory_order_relaxed); }

#endif
