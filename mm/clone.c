/*
 * Cloning an address space copy-on-write. Pages are shared step by step, some entries per hold of the
 * source's lock; in between the source's threads run and fault as ever. The new space is nobody's yet, so
 * its lock is not needed. Every page that becomes shared turns read-only in both spaces; the source's other
 * CPUs may still write to it through stale translations until the one shootdown at the end, which is before
 * the clone's first thread can exist. A copy made meanwhile is safe because a worker flushes before it
 * copies (mm/pinitd.c).
 *
 * An io page counts as what it is being made from (INV-11): one being zeroed is nothing yet in the clone,
 * one being copied is its source.
 */
#include "kernel/account.h"
#include "kernel/thread.h"
#include "kernel/trace.h"
#include "mm/aspace.h"

#define STEP_ENTRIES 16u        /* per lock hold, which may also have to make three tables */

/*
 * The entry that the clone gets for the source's; the source's turns copy-on-write too. Under the source's
 * lock.
 */
static pte_t share_entry(pte_t *slot, unsigned prot)
{
    pte_t pte = pte_get(slot);
    pfn_t pfn = pte_pfn(pte);
    if (pte_is_io(pte)) {
        struct frame *source = pfn_to_frame(pfn)->init.source;
        if (!source)
            return (pte_t){0};
        frame_get(source);
        return pte_make_cow(frame_pfn(source), prot);
    }
    if (pfn_to_frame(pfn)->state == FRAME_RESERVED)
        return pte;
    frame_get(pfn_to_frame(pfn));
    pte_t cow = pte_make_cow(pfn, prot);
    if (pte.bits != cow.bits)
        pte_set(slot, cow);
    return cow;
}

/*
 * Shares the pages of [va, stop), which one leaf table covers. E_QUOTA, E_NO_MEMORY. Under the source's
 * lock.
 */
static status_t share_entries(struct aspace *source, struct aspace *clone, vaddr_t va, vaddr_t stop, unsigned prot)
{
    pte_t *from = pt_lookup(&source->pt, va);
    const unsigned most = 3;
    if (!from)
        return 0;
    if (!account_charge(clone->account, RES_FRAMES, most))
        return E_QUOTA;
    unsigned tables = 0;
    pte_t *to = pt_lookup_alloc(&clone->pt, va, &tables);
    account_uncharge(clone->account, RES_FRAMES, most - tables);
    clone->frames += tables;
    if (!to)
        return E_NO_MEMORY;
    for (; va < stop; va += PAGE_SIZE, from++, to++) {
        if (pte_is_none(pte_get(from)))
            continue;
        pte_t shared = share_entry(from, prot);
        if (pte_is_none(shared))
            continue;
        pte_set(to, shared);
        pt_entry_added(to);
        clone->frames++;
        trace(PRIMER_EVENT_CLONE, 0, va, trace_who(thread_current()->object.id, source->task_id), pte_pfn(shared).value, 0);
    }
    return 0;
}

/* One step of the source from `*va` on: part of one range. The same part becomes a range of the clone. */
static status_t clone_step(struct aspace *source, struct aspace *clone, vaddr_t *va, struct vma *fresh)
{
    status_t error = 0;
    struct vma *spare[2] = {NULL, NULL};
    spin_lock(&source->lock);
    struct vma *vma = vma_find_above(&source->vmas, *va);
    while (vma && vma->dying)
        vma = vma_next(vma);
    if (!vma) {
        *va = USER_MAX;
        spare[0] = fresh;
    } else {
        vaddr_t start = max_u64(*va, vma->start);
        vaddr_t pages = pt_next_table(&source->pt, start, vma->end);
        vaddr_t stop = min_u64(min_u64(vma->end, pages + STEP_ENTRIES * PAGE_SIZE), align_down(pages, PT_SPAN) + PT_SPAN);
        if (pages < vma->end)
            error = share_entries(source, clone, pages, stop, vma->prot);
        fresh->start = start;
        fresh->end = stop;
        fresh->prot = vma->prot;
        fresh->kind = vma->kind;
        fresh->offset = vma->kind == VMA_ARCHIVE ? vma->offset + (start - vma->start) : 0;
        vma_insert(&clone->vmas, fresh, spare);
        *va = stop;
    }
    spin_unlock(&source->lock);
    for (unsigned i = 0; i < 2; i++)
        account_free(clone->account, spare[i], sizeof(struct vma));
    return error;
}

struct aspace *vm_clone(struct aspace *source, status_t *error)
{
    struct aspace *clone = aspace_create(source->account, error);
    if (!clone)
        return NULL;
    for (vaddr_t va = USER_MIN; va < USER_MAX && *error == 0;) {
        table_stock_fill();         /* so that a step seldom has to zero a table with interrupts off */
        struct vma *fresh = account_alloc(clone->account, sizeof *fresh, error);
        if (fresh)
            *error = clone_step(source, clone, &va, fresh);
    }
    tlb_shootdown(source);          /* also when giving up: entries have lost their write permission */
    if (*error == 0)
        return clone;
    aspace_empty(clone);
    aspace_put(clone);
    return NULL;
}
