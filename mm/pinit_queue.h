/* One CPU's queue of page-init requests, as pinit.c (raising) and pinitd.c (serving) share it. */
#ifndef MM_PINIT_QUEUE_H
#define MM_PINIT_QUEUE_H

#include "kernel/prio_queue.h"
#include "mm/pinit.h"

struct pinit_queue {
    struct spinlock lock;               /* rank PINIT */
    struct prio_queue requests;         /* frames in state QUEUED, by link. Under lock */

    /*
     * Own CPU only, interrupts off; so no lock. A request that comes while the worker has nothing to do
     * goes straight into its hands, past the queue: it is as good as taken (FILLING), and nobody needs to
     * find it to make it more urgent.
     */
    bool worker_idle;                   /* asleep for want of work: wake it */
    struct frame *handed;               /* NULL: look into the queue */

    struct thread *worker;              /* fixed after init */
};

/* The queue of a CPU; its set-up, once, at boot. */
struct pinit_queue *pinit_queue_of(unsigned cpu);
void pinit_queue_init(struct pinit_queue *q, struct thread *worker);

/* A hint: whether there is nothing to take. */
static inline bool pinit_queue_empty(const struct pinit_queue *q)
{
    return __atomic_load_n(&q->requests.nonempty, __ATOMIC_RELAXED) == 0;
}

/*
 * The next request, which is the caller's now (FILLING); sleeps while there is none. The queue's worker
 * only.
 */
struct frame *pinit_take(struct pinit_queue *q);

#endif
