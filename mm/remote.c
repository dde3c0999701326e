/*
 * Copying to and from a space that need not be loaded: for loaders, and for whoever is handed another
 * task's memory. A page that is there is reached through the direct map, under the space's lock and in
 * small pieces, so that it cannot be unmapped or become shared in the middle; one that is not is faulted in
 * on the owner's behalf, and waited for like any other.
 */
#include "kernel/mem.h"
#include "kernel/options.h"
#include "kernel/trace.h"
#include "kernel/wait.h"
#include "mm/fault.h"
#include "mm/pinit.h"

#define PIECE_BYTES 512u        /* per lock hold */

/* Until the request is done, or the thread is killed. Takes over the space's lock. */
static status_t sleep_on(struct aspace *space, struct frame *frame)
{
    struct thread *self = thread_current();
    uint32_t pfn = frame_pfn(frame).value;
    vaddr_t page = frame->init.page;
    trace(PRIMER_EVENT_SLEEP, 0, page, self->who, pfn, 0);
    self->page_wait = true;
    status_t status = wait_on(&space->lock, &frame->init.waiters, WAIT_PAGE, frame, TIME_NEVER);
    self->page_wait = false;            /* as the kernel exit has left it, unless it never slept */
    if (status)
        trace(PRIMER_EVENT_LEAVE, 0, page, self->who, pfn, 0);
    return status;
}

/* A request was made or joined: has it served. Takes over the space's lock. */
static status_t wait_for_page(struct aspace *space, struct frame *frame, bool raised)
{
    if (raised && options.pinit_inline) {
        spin_unlock(&space->lock);
        pinit_serve(frame);
        return 0;
    }
    if (raised)
        pinit_submit(frame, thread_current()->prio);
    else
        fault_join(frame);
    return sleep_on(space, frame);
}

/* Makes the page fit for the access, or says why not. Takes over the lock. */
static status_t fault_in(struct aspace *space, vaddr_t address, unsigned access)
{
    struct frame *frame = NULL;
    enum fault_result result = fault_resolve_locked(space, address, access, &frame);
    if (result == FAULT_RAISED || result == FAULT_JOINED)
        return wait_for_page(space, frame, result == FAULT_RAISED);
    spin_unlock(&space->lock);
    switch (result) {
    case FAULT_RESOLVED:  return 0;
    case FAULT_NO_MEMORY: return E_NO_MEMORY;
    case FAULT_QUOTA:     return E_QUOTA;
    default:              return E_BAD_ADDRESS;
    }
}

/* The page's memory, if it is there and fit for the access right now. Under the lock. */
static uint8_t *reach_locked(struct aspace *space, vaddr_t address, bool write)
{
    pte_t *slot = space->pt.root ? pt_lookup(&space->pt, address) : NULL;
    pte_t pte = slot ? pte_get(slot) : (pte_t){0};
    bool there = (pte.bits & PTE_P) && (!write || pte_is_writable(pte));
    return there ? (uint8_t *)pfn_to_virt(pte_pfn(pte)) + (address & PAGE_MASK) : NULL;
}

status_t vm_copy(struct aspace *space, vaddr_t address, void *buf, uint64_t len, bool write)
{
    uint8_t *bytes = buf;
    while (len > 0) {
        if (atomic_load_explicit(&thread_current()->killed, memory_order_relaxed))
            return E_KILLED;        /* all the pages may be there, and then nothing else would notice */
        uint64_t piece = min_u64(min_u64(len, PIECE_BYTES), PAGE_SIZE - (address & PAGE_MASK));
        spin_lock(&space->lock);
        uint8_t *memory = reach_locked(space, address, write);
        if (!memory) {
            status_t error = fault_in(space, address, write ? PRIMER_PROT_WRITE : PRIMER_PROT_READ);
            if (error)
                return error;
            continue;
        }
        memcpy(write ? memory : bytes, write ? bytes : memory, piece);
        spin_unlock(&space->lock);
        address += piece;
        bytes += piece;
        len -= piece;
    }
    return 0;
}
