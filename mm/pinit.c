/*
 * The queues of page-init requests: raising one, making it more urgent, taking one. One queue per CPU under
 * a lock of its own (rank PINIT), which also protects a frame's change QUEUED -> FILLING. What is done with
 * a request is pinitd.c's business.
 */
#include "mm/pinit.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/prio_queue.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/trace.h"
#include "mm/pinit_queue.h"

static struct pinit_queue queues[MAX_CPUS];

struct pinit_queue *pinit_queue_of(unsigned cpu) { return &queues[cpu]; }

void pinit_queue_init(struct pinit_queue *q, struct thread *worker)
{
    spin_init(&q->lock, "pinit queue", RANK_PINIT);
    prio_queue_init(&q->requests);
    q->worker = worker;
}

void pinit_prepare(struct frame *frame, struct aspace *space, vaddr_t page, struct frame *source)
{
    debug_assert(spin_held(&space->lock) && frame->state == FRAME_OWNED);
    aspace_get(space);
    list_init(&frame->init.waiters);
    frame->init.space = space;
    frame->init.page = page;
    frame->init.source = source;
    frame->state = FRAME_FILLING;       /* until it is queued: with pinit=inline it never is */
}

static void enqueue(struct pinit_queue *q, struct frame *frame, unsigned prio)
{
    spin_lock(&q->lock);
    frame->state = FRAME_QUEUED;
    if (options.pinit_shuffle && (rdtsc() & 8))
        prio_queue_push_front(&q->requests, prio, &frame->link);
    else
        prio_queue_push(&q->requests, prio, &frame->link);
    if (prio > q->worker->prio)
        sched_set_prio(q->worker, prio);
    spin_unlock(&q->lock);
}

void pinit_submit(struct frame *frame, unsigned prio)
{
    unsigned cpu = this_cpu()->id;
    struct pinit_queue *q = &queues[cpu];
    debug_assert(!irqs_on() && frame->state == FRAME_FILLING);
    frame->cpu = (uint8_t)cpu;
    frame->prio = (uint8_t)prio;
    const struct trace_subject subject = pinit_subject(frame);
    trace_write(trace_tag(PRIMER_EVENT_QUEUED, prio) | subject.page, subject.who, subject.frames);
    if (unlikely(!q->worker_idle)) {
        enqueue(q, frame, prio);
        return;
    }
    q->worker_idle = false;         /* it gets the request in hand, and the CPU next */
    q->handed = frame;
    sched_hand_off(q->worker, prio);
}

void pinit_raise(struct frame *frame, unsigned prio)
{
    debug_assert(spin_held(&frame->init.space->lock));
    struct pinit_queue *q = &queues[frame->cpu];
    spin_lock(&q->lock);
    if (frame->state == FRAME_QUEUED && prio > frame->prio) {
        /*
         * Its new level first: the worker looks without the lock whether there is anything, and must not
         * find nothing in between.
         */
        __atomic_fetch_or(&q->requests.nonempty, 1ull << prio, __ATOMIC_RELAXED);
        prio_queue_remove(&q->requests, frame->prio, &frame->link);
        frame->prio = (uint8_t)prio;
        prio_queue_push(&q->requests, prio, &frame->link);
    }
    if (!options.pinit_inline && prio > q->worker->prio)
        sched_set_prio(q->worker, prio);
    spin_unlock(&q->lock);
}

/*
 * INV-9: as urgent as the request in hand and the most urgent one that waits; a raise may come at any time,
 * so it is decided under the lock.
 */
static void set_worker_prio(struct pinit_queue *q, unsigned at_least)
{
    int top = prio_queue_top(&q->requests);
    unsigned prio = top > (int)at_least ? (unsigned)top : at_least;
    if (q->worker->prio != prio)
        sched_set_prio(q->worker, prio);
}

static struct frame *take_from_queue(struct pinit_queue *q)
{
    struct frame *frame = NULL;
    spin_lock(&q->lock);
    struct list_node *node = prio_queue_pop(&q->requests);
    if (node) {
        frame = list_entry(node, struct frame, link);
        debug_assert(frame->state == FRAME_QUEUED);
        frame->state = FRAME_FILLING;
        set_worker_prio(q, frame->prio);
    }
    spin_unlock(&q->lock);
    return frame;
}

/* With interrupts off nobody adds a request on this CPU: between the look and the sleep nothing is missed. */
struct frame *pinit_take(struct pinit_queue *q)
{
    struct frame *frame;
    irq_disable();
    for (;;) {
        frame = q->handed;
        q->handed = NULL;
        if (!frame && !pinit_queue_empty(q))
            frame = take_from_queue(q);
        if (frame)
            break;
        q->worker_idle = thread_block(WAIT_WORK, q, NULL);
        debug_assert(q->worker_idle);       /* nobody kills a worker */
        kernel_yield();
    }
    irq_enable();
    return frame;
}

static void describe(unsigned cpu, const struct pinit_queue *q)
{
    if (!q->worker)
        return;
    unsigned queued = 0;
    for (unsigned p = 0; p < PRIO_LEVELS; p++)
        for (const struct list_node *node = q->requests.level[p].next; node != &q->requests.level[p] && queued < 64; node = node->next) {
            const struct frame *frame = list_entry(node, struct frame, link);
            if (queued++ < 4)
                kprintf("  request: page 0x%lx frame 0x%x priority %u %s\n", frame->init.page, frame_pfn(frame).value,
                        frame->prio, frame->init.source ? "copy" : "zero");
        }
    kprintf("init queue of CPU %u: %u waiting%s, worker %s, priority %u\n", cpu, queued, queued == 64 ? " or more" : "",
            thread_state_name(q->worker->state), q->worker->prio);
}

void pinit_describe(void)
{
    for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
        describe(cpu, &queues[cpu]);
}
