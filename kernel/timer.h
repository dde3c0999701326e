/*
 * Timers: call a function at a time. Each CPU has a tree of its own, by deadline; the earliest arms the
 * CPU's timer.
 */
#ifndef KERNEL_TIMER_H
#define KERNEL_TIMER_H

#include "kernel/avl.h"
#include "kernel/time.h"
#include "kernel/types.h"

struct timer {
    struct avl_node node;               /* under the lock of the timers of `cpu` */
    uint64_t deadline_ns;
    void (*expired)(struct timer *);    /* called with interrupts off, no lock held: be short */
    uint32_t cpu;                       /* where it was started. Owner's, while it is stopped */
    enum { TIMER_STOPPED, TIMER_PENDING, TIMER_FIRING } state;  /* under the same lock */
};

/* Boot, CPU 0, before the first timer. */
void timers_init(void);

/*
 * Starts a stopped timer on this CPU. A deadline in the past fires at the next interrupt. Interrupts off;
 * rank TIMER.
 */
void timer_start(struct timer *timer, uint64_t deadline_ns);

/*
 * After this the timer is stopped and its function is not running anywhere. Not from a timer function. Rank
 * TIMER.
 */
void timer_cancel(struct timer *timer);

/*
 * The timer vector: fires what is due (a bounded number at a time), ends time slices, arms the next.
 * Interrupts off.
 */
void timer_interrupt(void);

/*
 * Arms this CPU for the earlier of its first timer and the end of the running time slice. Interrupts off;
 * rank TIMER.
 */
void timer_rearm(void);

#endif
