/*
 * A queue of list nodes in 64 priorities: first in, first out inside one, the most urgent first. A bitmap
 * names the levels that are not empty, so every operation takes constant time. Run queues and the queues
 * of page-init requests are both made of it; the owner's lock protects it.
 */
#ifndef KERNEL_PRIO_QUEUE_H
#define KERNEL_PRIO_QUEUE_H

#include "kernel/list.h"

#define PRIO_LEVELS 64

struct prio_queue {
    uint64_t nonempty;                          /* bit p is set iff level[p] has a node */
    struct list_node level[PRIO_LEVELS];
};

static inline void prio_queue_init(struct prio_queue *q)
{
    q->nonempty = 0;
    for (unsigned p = 0; p < PRIO_LEVELS; p++)
        list_init(&q->level[p]);
}

static inline bool prio_queue_empty(const struct prio_queue *q) { return q->nonempty == 0; }

/* The most urgent level that has a node; -1 if the queue is empty. Without the lock a hint. */
static inline int prio_queue_top(const struct prio_queue *q)
{
    uint64_t nonempty = __atomic_load_n(&q->nonempty, __ATOMIC_RELAXED);
    return nonempty ? 63 - __builtin_clzll(nonempty) : -1;
}

static inline void prio_queue_push(struct prio_queue *q, unsigned prio, struct list_node *node)
{
    list_push_back(&q->level[prio], node);
    q->nonempty |= 1ull << prio;
}

static inline void prio_queue_push_front(struct prio_queue *q, unsigned prio, struct list_node *node)
{
    list_push_front(&q->level[prio], node);
    q->nonempty |= 1ull << prio;
}

/* `prio` must be the level that `node` was pushed with. */
static inline void prio_queue_remove(struct prio_queue *q, unsigned prio, struct list_node *node)
{
    list_remove(node);
    if (list_empty(&q->level[prio]))
        q->nonempty &= ~(1ull << prio);
}

/* The oldest node of the most urgent level, taken off; NULL if the queue is empty. */
static inline struct list_node *prio_queue_pop(struct prio_queue *q)
{
    int prio = prio_queue_top(q);
    if (prio < 0)
        return NULL;
    struct list_node *node = q->level[prio].next;
    prio_queue_remove(q, (unsigned)prio, node);
    return node;
}

#endif
