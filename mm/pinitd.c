/*
 * The workers: `pinitd`, one kernel thread per CPU, and what becomes of a request. Only here, and under
 * pinit=inline in the faulter's own context through the same function, are pages filled and published.
 * While it fills, the worker holds no lock, has interrupts on, and allocates nothing; it touches kernel
 * mappings only, so it never faults (INV-6).
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

struct pinit_counts pinit_counts[MAX_CPUS];

static void fill(struct frame *frame, const struct trace_subject *subject)
{
    trace_about(PRIMER_EVENT_FILL_BEGIN, subject);
    if (frame->init.source)
        filler_copy(frame_virt(frame), frame_virt(frame->init.source));
    else
        filler_zero(frame_virt(frame));
    trace_about(PRIMER_EVENT_FILL_END, subject);
}

/*
 * Asks the entry, not our memory of it: the page may have been unmapped meanwhile, and what then stands
 * there is somebody else's (INV-10). No mix-up is possible: the frame stays ours until we let go of it, so
 * no other entry can name it (INV-3). Under the space's lock; true if the page is out.
 */
static bool publish_locked(struct aspace *space, struct frame *frame, const struct trace_subject *subject)
{
    vaddr_t page = frame->init.page;
    /* NULL: the task has ended meanwhile */
    pte_t *slot = space->pt.root ? pt_lookup(&space->pt, page) : NULL;
    pte_t pte = slot ? pte_get(slot) : (pte_t){0};
    bool wanted = pte_is_io(pte) && pte_pfn(pte).value == frame_pfn(frame).value;
    if (!wanted) {
        pinit_counts_here()->dropped++;
        trace_about(PRIMER_EVENT_DROP, subject);
        return false;
    }
    struct vma *vma = vma_find(&space->vmas, page);
    assert(vma);                    /* an entry goes before its range does */
    if (frame->init.source)
        pinit_counts_here()->copied++;
    else
        pinit_counts_here()->zeroed++;
    trace_about(PRIMER_EVENT_PUBLISH, subject);
    frame->state = FRAME_READY;
    atomic_store_explicit(&frame->refs, 1, memory_order_relaxed);
    pte_set(slot, pte_make_present(frame_pfn(frame), vma->prot));
    return true;
}

/* Wakes some of those who slept on the page; true if there are more. Under the space's lock. */
static bool wake_some(struct list_node *waiters, const struct trace_subject *page)
{
    struct trace_subject subject = *page;
    subject.frames = (uint32_t)page->frames | (uint64_t)thread_current()->object.id << 32;
    struct list_node *node = NULL;
    for (unsigned i = 0; i < WAKE_AT_ONCE && (node = list_pop_front(waiters)); i++) {
        struct thread *thread = list_entry(node, struct thread, wait_node);
        subject.who = thread->who;      /* before it is awake: a thread that is being killed may be gone then */
        trace_about(PRIMER_EVENT_WAKE, &subject);
        if (!thread_wake(thread, 0))    /* a kill was faster: it is awake already, and off the list now */
            trace_about(PRIMER_EVENT_LEAVE, &subject);
    }
    return node && !list_empty(waiters);
}

/*
 * The page comes out, if it is still wanted, and everybody who slept on it wakes up. True if it did: then
 * the frame may be mapped, unmapped and free as soon as the lock is back, so those for whom there was no
 * time in the first hold move to a list of ours.
 */
static bool finish(struct aspace *space, struct frame *frame, const struct trace_subject *subject)
{
    spin_lock(&space->lock);
    bool published = publish_locked(space, frame, subject);
    bool more = wake_some(&frame->init.waiters, subject);
    if (likely(!more)) {
        spin_unlock(&space->lock);
        return published;
    }
    struct list_node waiters;
    list_init(&waiters);
    list_splice_back(&waiters, &frame->init.waiters);
    while (more) {
        spin_unlock(&space->lock);
        spin_lock(&space->lock);
        more = wake_some(&waiters, subject);
    }
    spin_unlock(&space->lock);
    return published;
}

void pinit_serve(struct frame *frame)
{
    struct thread *self = thread_current();
    struct aspace *space = frame->init.space;
    struct frame *source = frame->init.source;
    const struct trace_subject subject = pinit_subject(frame);
    uint64_t freed = 0;
    debug_assert(irqs_on() && frame->state == FRAME_FILLING);
    trace_about(PRIMER_EVENT_TAKE, &subject);

    /*
     * The time goes on the account of the task that is served, for as long as we hold the request's
     * reference to its space (INV-9).
     */
    _Atomic uint64_t *own_charge = self->charge;
    self->charge = &space->cpu_ticks;

    /*
     * Flush, then copy, then publish. A fork that has just made the source read-only may not have flushed
     * yet, so a thread on another CPU may still write to it; what it wrote after the copy would be lost.
     * The source itself cannot go: the request holds a reference (INV-7).
     */
    if (source) {
        tlb_shootdown(space);
        trace_about(PRIMER_EVENT_FLUSH, &subject);
    }
    fill(frame, &subject);
    if (unlikely(!finish(space, frame, &subject))) {
        frame_free(frame);          /* no entry names it, and its waiters are gone */
        freed++;
    }
    if (source)
        freed += frame_put(source);
    if (freed)
        account_uncharge(space->account, RES_FRAMES, freed);
    thread_charge_to(own_charge);
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
        pinit_serve(frame);
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
