/*
 * Page faults. The handler decides what a touch means and, if a page has to be made, commits to it: frame,
 * io entry, request. Then it returns; the bytes are the worker's business (mm/pinitd.c), and who runs
 * meanwhile is the kernel exit's. The space's lock is held from the first look to the last store,
 * interrupts are off throughout, and there is no loop: the time is bounded by a constant (INV-8).
 *
 * First come the looks and the reservations, where every failure is; after the entry has turned io nothing
 * can fail (INV-5).
 */
#include "mm/fault.h"
#include "arch/user.h"
#include "boot/boot_info.h"
#include "kernel/account.h"
#include "kernel/options.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/trace.h"
#include "mm/pinit.h"

/* The CPU's error code (SDM vol. 3, 4.7). */
#define ERROR_WRITE    (1u << 1)
#define ERROR_USER     (1u << 2)
#define ERROR_RESERVED (1u << 3)
#define ERROR_FETCH    (1u << 4)

/* What happens to a page: `task` is whose it is, which need not be the current thread's. */
static void trace_page(enum primer_event_kind kind, uint64_t who, vaddr_t page, const struct frame *frame, const struct frame *source)
{
    trace(kind, 0, page, who, frame_pfn(frame).value, source ? frame_pfn(source).value : 0);
}

/* The current thread, for the task of `space`: not its own if it copies between spaces. */
static uint64_t who_for(const struct aspace *space) { return trace_who(thread_current()->object.id, space->task_id); }

/* A frame on the space's account; NULL: see *result. */
static struct frame *reserve_frame(struct aspace *space, enum fault_result *result)
{
    *result = FAULT_QUOTA;
    if (!account_charge(space->account, RES_FRAMES, 1))
        return NULL;
    *result = FAULT_NO_MEMORY;
    struct frame *frame = frame_alloc();
    if (!frame)
        account_uncharge(space->account, RES_FRAMES, 1);
    return frame;
}

/* From here on the page has a frame, and its bytes are on their way. */
static enum fault_result commit(struct aspace *space, vaddr_t page, pte_t *slot, struct frame *frame, struct frame *source)
{
    pinit_prepare(frame, space, page, source);
    const struct trace_subject subject = pinit_subject(frame);
    trace_about(PRIMER_EVENT_ALLOC, &subject);
    pte_set(slot, pte_make_io(frame_pfn(frame)));
    trace_about(PRIMER_EVENT_IO, &subject);
    return FAULT_RAISED;
}

/*
 * A write to a page that others may share. The entry's reference to the source passes to the request, so
 * the source keeps its count until it has been copied, and no sharer can take it for his own meanwhile
 * (INV-7). Other CPUs may go on reading it through stale translations; the worker ends that.
 */
static enum fault_result copy_on_write(struct aspace *space, vaddr_t page, pte_t *slot, pte_t pte, unsigned prot, struct frame **out)
{
    struct frame *source = pfn_to_frame(pte_pfn(pte));
    if (atomic_load_explicit(&source->refs, memory_order_acquire) == 1) {
        pte_set(slot, pte_make_present(pte_pfn(pte), prot));
        mmu_flush_page(page);
        pinit_counts_here()->reused++;
        trace_page(PRIMER_EVENT_REUSE, who_for(space), page, source, NULL);
        return FAULT_RESOLVED;
    }
    enum fault_result result;
    struct frame *frame = reserve_frame(space, &result);
    if (!frame)
        return result;
    *out = frame;
    result = commit(space, page, slot, frame, source);
    mmu_flush_page(page);
    return result;
}

/*
 * Tables for `page`, on the account. What was added stays, used or not: it goes with the range. NULL: see
 * *result.
 */
static pte_t *reserve_slot(struct aspace *space, vaddr_t page, enum fault_result *result)
{
    pte_t *slot = pt_lookup(&space->pt, page);
    if (likely(slot))
        return slot;
    /* Charge the most it can take first, so that the tables are never there without having been paid for. */
    const unsigned most = 3;
    *result = FAULT_QUOTA;
    if (!account_charge(space->account, RES_FRAMES, most))
        return NULL;
    unsigned tables = 0;
    slot = pt_lookup_alloc(&space->pt, page, &tables);
    account_uncharge(space->account, RES_FRAMES, most - tables);
    space->frames += tables;
    *result = FAULT_NO_MEMORY;
    return slot;
}

static void entry_added(struct aspace *space, pte_t *slot)
{
    pt_entry_added(slot);
    space->frames++;
}

static enum fault_result map_archive_page(struct aspace *space, const struct vma *vma, vaddr_t page,
                                          pte_t *slot)
{
    pfn_t first = phys_to_pfn(paddr(boot_info.archive.start));
    pte_set(slot, pte_make_present((pfn_t){first.value + (uint32_t)((page - vma->start + vma->offset) >> PAGE_SHIFT)}, vma->prot));
    entry_added(space, slot);
    return FAULT_RESOLVED;
}

enum fault_result fault_resolve_locked(struct aspace *space, vaddr_t address, unsigned access, struct frame **out)
{
    debug_assert(spin_held(&space->lock));
    struct vma *vma = vma_find(&space->vmas, address);
    if (!vma || vma->dying)
        return FAULT_BAD_ADDRESS;
    if (!vma_allows(vma, access))
        return FAULT_BAD_ACCESS;

    vaddr_t page = align_down(address, PAGE_SIZE);
    enum fault_result result;
    pte_t *slot = reserve_slot(space, page, &result);
    if (!slot)
        return result;
    pte_t pte = pte_get(slot);
    if (pte_is_io(pte)) {                       /* somebody asked first (INV-2) */
        *out = pfn_to_frame(pte_pfn(pte));
        return FAULT_JOINED;
    }
    if (pte_is_present(pte)) {
        if (access != PRIMER_PROT_WRITE || pte_is_writable(pte)) {
            /*
             * Lost a race, or an old translation: the entry is good enough. Or vm_protect() has given the
             * range a right and not come to this entry yet: it may be waiting for the CPU that we run on,
             * so we do its work.
             */
            pte_set(slot, pte_with_prot(pte, vma->prot));
            mmu_flush_page(page);
            return FAULT_RESOLVED;
        }
        return copy_on_write(space, page, slot, pte, vma->prot, out);
    }
    if (vma->kind == VMA_ARCHIVE)
        return map_archive_page(space, vma, page, slot);
    struct frame *frame = reserve_frame(space, &result);
    if (!frame)
        return result;
    *out = frame;
    entry_added(space, slot);
    return commit(space, page, slot, frame, NULL);
}

void fault_join(struct frame *frame)
{
    struct thread *self = thread_current();
    trace_page(PRIMER_EVENT_JOIN, self->who, frame->init.page, frame, NULL);
    pinit_counts_here()->joined++;
    pinit_raise(frame, self->prio);
}

/*
 * The faulting thread goes to sleep on the frame, unless it is being killed. Under the space's lock: a
 * completion comes before or after, not in between (INV-4).
 */
static void sleep_on(struct frame *frame, vaddr_t page)
{
    struct thread *self = thread_current();
    if (!thread_block(WAIT_PAGE, frame, &frame->init.waiters))
        return;
    self->page_wait = true;
    trace_page(PRIMER_EVENT_SLEEP, self->who, page, frame, NULL);
}

static enum fault_result handle(struct aspace *space, vaddr_t address, unsigned access)
{
    struct thread *self = thread_current();
    struct frame *frame = NULL;
    bool serve_here = false;

    spin_lock(&space->lock);
    enum fault_result result = fault_resolve_locked(space, address, access, &frame);
    if (result == FAULT_RAISED) {
        serve_here = options.pinit_inline;
        if (!serve_here) {
            sleep_on(frame, align_down(address, PAGE_SIZE));
            pinit_submit(frame, self->prio);
        }
    } else if (result == FAULT_JOINED) {
        fault_join(frame);
        sleep_on(frame, align_down(address, PAGE_SIZE));
    }
    spin_unlock(&space->lock);

    /* pinit=inline: the baseline, which makes the faulter do the work */
    if (serve_here) {
        irq_enable();
        pinit_serve(frame);
        irq_disable();
    }
    return result;
}

static const char *bad_result_text(enum fault_result result)
{
    switch (result) {
    case FAULT_BAD_ADDRESS: return "touched memory that is not mapped";
    case FAULT_BAD_ACCESS:  return "touched memory in a way that its protection forbids";
    case FAULT_NO_MEMORY:   return "touched a new page, and the machine is out of memory";
    case FAULT_QUOTA:       return "touched a new page, and its account is at its limit";
    default:                return NULL;
    }
}

static unsigned access_of(uint64_t error)
{
    return error & ERROR_WRITE ? PRIMER_PROT_WRITE : error & ERROR_FETCH ? PRIMER_PROT_EXEC : PRIMER_PROT_READ;
}

void page_fault(struct trap_frame *frame, vaddr_t address)
{
    struct thread *self = thread_current();
    bool may_wait = true;
    bool from_user = trap_from_user(frame);
    if (!from_user && (!user_copy_at(frame, &may_wait) || address >= USER_MAX))
        panic_trap(frame, "page fault in the kernel at address 0x%lx", address);
    if (frame->error & ERROR_RESERVED)
        panic_trap(frame, "a page table entry has a reserved bit, at address 0x%lx", address);

    trace(PRIMER_EVENT_FAULT, (unsigned)frame->error, address, self->who, 0, (uint32_t)frame->rip);
    pinit_counts_here()->faults++;
    enum fault_result result = FAULT_BAD_ADDRESS;
    if (from_user && atomic_load_explicit(&self->killed, memory_order_relaxed))
        return;                     /* the kernel exit ends it */
    if (may_wait && user_range_ok(address, 1) && !self->killed)
        result = handle(self->space, address, access_of(frame->error));
    const char *bad = bad_result_text(result);
    if (!bad)
        return;
    if (from_user)
        thread_page_fault(frame, bad, address);
    else
        user_copy_fail(frame);
}

void page_wait_leave(void)
{
    struct thread *self = thread_current();
    spin_lock(&self->space->lock);
    if (list_linked(&self->wait_node)) {
        list_remove(&self->wait_node);
        trace_page(PRIMER_EVENT_LEAVE, self->who, 0, self->wait_object, NULL);
    }
    spin_unlock(&self->space->lock);
}
