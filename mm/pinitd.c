/*
 * The workers: `pinitd`, one kernel thread per CPU, and what becomes of a request. Only here, and under pinit=inline in the faulter's own context through
 * the same function, are pages filled and published. While it fills, the worker holds no lock, has interrupts on, and allocates nothing; it
 * touches kernel mappings only, so it never faults (INV-6).
 */
#include "kernel/account.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/sched.h"
#include "kernel/time.h"
#include "kernel/trace.h"
#include "kernel/wait.h"
#include "mm/filler.h"
#include "mm/pinit_queue.h"

#define WAKE_AT_ONCE 8      /* waiters per lock hold: bounds the time with interrupts off, however many wait */

static struct pinit_counts counts[MAX_CPUS];    /* by the CPU they are named after, interrupts off */

struct pinit_counts *pinit_counts_here(void) { return &counts[this_cpu()->id]; }
struct pinit_counts pinit_counts_of(unsigned cpu) { return counts[cpu]; }

static void trace_fill(enum primer_event_kind kind, const struct frame *frame)
{
    struct frame *source = frame->init.source;
    trace(kind, 0, frame->init.page, thread_current()->object.id, frame->init.space->task_id, frame_pfn(frame).value,
          source ? frame_pfn(source).value : 0);
}

static void fill(struct frame *frame)
{
    trace_fill(PRIMER_EVENT_FILL_BEGIN, frame);
    if (frame->init.source)
        filler_copy(frame_virt(frame), frame_virt(frame->init.source));
    else
        filler_zero(frame_virt(frame));
    trace_fill(PRIMER_EVENT_FILL_END, frame);
}

/*
 * Asks the entry, not our memory of it: the page may have been unmapped meanwhile, and what then stands there is somebody else's (INV-10). No mix-up is possible:
 * the frame stays ours until we let go of it, so no other entry can name it (INV-3). Under the space's lock; true if the page is out.
 */
static bool publish_locked(struct aspace *space, struct frame *frame)
{
    vaddr_t page = frame->init.page;
    pte_t *slot = space->pt.root ? pt_lookup(&space->pt, page) : NULL;     /* NULL: the task has ended meanwhile */
    pte_t pte = slot ? pte_get(slot) : (pte_t){0};
    bool wanted = pte_is_io(pte) && pte_pfn(pte).value == frame_pfn(frame).value;
    if (!wanted) {
        pinit_counts_here()->dropped++;
        trace_fill(PRIMER_EVENT_DROP, frame);
        return false;
    }
    struct vma *vma = vma_find(&space->vmas, page);
    assert(vma);                    /* an entry goes before its range does */
    if (frame->init.source)
        pinit_counts_here()->copied++;
    else
        pinit_counts_here()->zeroed++;
    trace_fill(PRIMER_EVENT_PUBLISH, frame);
    frame->state = FRAME_READY;
    atomic_store_explicit(&frame->refs, 1, memory_order_relaxed);
    pte_set(slot, pte_make_present(frame_pfn(frame), vma->prot));
    return true;
}

static void wake_some(struct list_node *waiters, const struct page_init *init, const struct frame *frame)
{
    for (unsigned i = 0; i < WAKE_AT_ONCE; i++) {
        struct list_node *node = list_pop_front(waiters);
        if (!node)
            return;
        struct thread *thread = list_entry(node, struct thread, wait_node);
        uint32_t id = thread->object.id, task = thread->task_id, self = thread_current()->object.id;
        trace(PRIMER_EVENT_WAKE, 0, init->page, id, task, frame_pfn(frame).value, self);
        if (!thread_wake(thread, 0))    /* a kill was faster: it is awake already, and off the list now */
            trace(PRIMER_EVENT_LEAVE, 0, init->page, id, task, frame_pfn(frame).value, self);
    }
}

void pinit_serve(struct frame *frame)
{
    struct aspace *space = frame->init.space;
    struct frame *source = frame->init.source;
    assert(irqs_on() && frame->state == FRAME_FILLING);

    /*
     * Flush, then copy, then publish. A fork that has just made the source read-only may not have flushed yet, so a thread on another CPU may still write to it;
     * what it wrote after the copy would be lost. The source itself cannot go: the request holds a reference (INV-7).
     */
    if (source) {
        tlb_shootdown(space);
        trace_fill(PRIMER_EVENT_FLUSH, frame);
    }
    fill(frame);

    const struct page_init init = frame->init;      /* the frame may be mapped, unmapped and free once the lock is back */
    struct list_node waiters;
    list_init(&waiters);
    spin_lock(&space->lock);
    list_splice_back(&waiters, &frame->init.waiters);
    bool published = publish_locked(space, frame);
    wake_some(&waiters, &init, frame);
    bool more = !list_empty(&waiters);
    spin_unlock(&space->lock);
    while (more) {
        spin_lock(&space->lock);
        wake_some(&waiters, &init, frame);
        more = !list_empty(&waiters);
        spin_unlock(&space->lock);
    }

    uint64_t freed = 0;
    if (!published) {
        frame_free(frame);          /* no entry names it, and its waiters are gone */
        freed++;
    }
    if (source)
        freed += frame_put(source);
    account_uncharge(space->account, RES_FRAMES, freed);
    aspace_put(space);
}

/* The time goes on the account of the task that is served, until nothing of it is touched any more (INV-9). */
static void serve_for_space(struct frame *frame)
{
    struct thread *self = thread_current();
    struct aspace *space = frame->init.space;
    aspace_get(space);
    self->charge = &space->cpu_ticks;
    pinit_serve(frame);
    uint64_t flags = irq_save();    /* the scheduler reads `charge` at a switch */
    self->charge = NULL;
    irq_restore(flags);
    aspace_put(space);
}

static void pinitd(void *arg)
{
    struct pinit_queue *q = arg;
    for (;;) {
        struct frame *frame = pinit_take(q);
        if (options.pinit_delay_us) {
            status_t status = wait_sleep_until(time_ns() + options.pinit_delay_us * 1000ull);
            assert(status == 0);
        }
        serve_for_space(frame);
        if (!pinit_queue_empty(q))
            sched_offer();          /* whom we have just woken need not wait for the next page */
        if (sched_should_yield())
            kernel_yield();         /* someone more urgent was woken */
    }
}

void pinit_init(unsigned cpu)
{
    struct pinit_queue *q = pinit_queue_of(cpu);
    char name[16];
    format(name, sizeof name, "pinitd/%u", cpu);
    pinit_queue_init(q, NULL);
    q->worker = thread_create_kernel(name, cpu, 1, pinitd, q);
}
