/*
 * Page-init requests: the way of a frame from "assigned" to "final". One queue per CPU, by priority; one
 * worker (`pinitd`) per CPU takes from it. The request is part of struct frame, so none of this can fail.
 */
#ifndef MM_PINIT_H
#define MM_PINIT_H

#include "kernel/thread.h"
#include "kernel/trace.h"
#include "mm/aspace.h"
#include "mm/frame.h"

/* Boot, once per CPU that is up: its queue and its worker. */
void pinit_init(unsigned cpu);

/*
 * Makes the request in a fresh frame: fill it for `page` of `space` with zeroes (source NULL) or with a
 * copy of `source`, whose reference passes to the request. Takes a reference of the space. Under
 * space->lock.
 */
void pinit_prepare(struct frame *frame, struct aspace *space, vaddr_t page, struct frame *source);

/*
 * Puts it on this CPU's queue and wakes the worker, which runs at least at `prio`. Interrupts off; under
 * the space's lock or not.
 */
void pinit_submit(struct frame *frame, unsigned prio);

/* A thread of `prio` has joined: request and worker become at least as urgent. Under the space's lock. */
void pinit_raise(struct frame *frame, unsigned prio);

/*
 * Flushes, fills, publishes and wakes: what the worker does with a request it has taken, and what the
 * handler does itself under pinit=inline. Interrupts on, no lock held.
 */
void pinit_serve(struct frame *frame);

/* By the CPU they are named after, interrupts off; others read them as they come. */
struct pinit_counts { uint64_t faults, zeroed, copied, joined, reused, dropped; };
extern struct pinit_counts pinit_counts[MAX_CPUS];
static inline struct pinit_counts *pinit_counts_here(void) { return &pinit_counts[this_cpu()->id]; }

/* The request in `frame`, as events by the current thread are about it. */
static inline struct trace_subject pinit_subject(const struct frame *frame)
{
    const struct frame *source = frame->init.source;
    uint64_t source_pfn = source ? frame_pfn(source).value : 0;
    return (struct trace_subject){
        .page = trace_page_number(frame->init.page),
        .who = trace_who(thread_current()->object.id, frame->init.space->task_id),
        .frames = frame_pfn(frame).value | source_pfn << 32,
    };
}

/* One line per queue that is not empty, for panic(). */
void pinit_describe(void);

#endif
