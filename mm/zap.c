/*
 * Unmapping pages. Each step clears a few entries under the space's lock and gathers what they named; after
 * some steps one shootdown makes sure that no CPU can reach any of it, and only then are the references
 * dropped. A frame that only we name can wait on a list of any length by its own link; one that others name
 * too cannot (they might list it as well), so those wait in a small array.
 */
#include "mm/zap.h"
#include "kernel/account.h"
#include "kernel/thread.h"
#include "kernel/trace.h"

#define STEP_ENTRIES 32u        /* per lock hold */
#define BATCH_FRAMES 512u       /* per shootdown */
#define BATCH_SHARED 64u

struct batch {
    struct frame_list exclusive, tables;
    struct frame *shared[BATCH_SHARED];
    unsigned exclusive_count, shared_count;
};

static void batch_begin(struct batch *batch)
{
    list_init(&batch->exclusive.head);
    list_init(&batch->tables.head);
    batch->exclusive_count = batch->shared_count = 0;
}

static bool batch_is_full(const struct batch *batch)
{
    return batch->exclusive_count >= BATCH_FRAMES || batch->shared_count > BATCH_SHARED - STEP_ENTRIES;
}

/* No CPU may use a translation of what is in the batch after this; then it can go. */
static void batch_finish(struct aspace *space, struct batch *batch)
{
    struct list_node *node;
    uint64_t freed = 0;
    tlb_shootdown(space);
    while ((node = list_pop_front(&batch->exclusive.head)))
        freed += frame_put(list_entry(node, struct frame, link));
    for (unsigned i = 0; i < batch->shared_count; i++)
        freed += frame_put(batch->shared[i]);
    while ((node = list_pop_front(&batch->tables.head))) {
        table_free(list_entry(node, struct frame, link));
        freed++;
    }
    account_uncharge(space->account, RES_FRAMES, freed);
    batch_begin(batch);
}

static void gather(struct batch *batch, struct frame *frame)
{
    if (frame->state == FRAME_RESERVED)         /* the archive's: never counted */
        return;
    if (atomic_load_explicit(&frame->refs, memory_order_acquire) == 1) {
        list_push_back(&batch->exclusive.head, &frame->link);
        batch->exclusive_count++;
    } else {
        batch->shared[batch->shared_count++] = frame;
    }
}

/* One step from `va` on; how far it got. */
static vaddr_t zap_step(struct aspace *space, vaddr_t va, vaddr_t end, struct batch *batch)
{
    spin_lock(&space->lock);
    va = pt_next_table(&space->pt, va, end);
    pte_t *slot = va < end ? pt_lookup(&space->pt, va) : NULL;
    if (slot) {
        vaddr_t first = va;
        vaddr_t stop = min_u64(min_u64(end, va + STEP_ENTRIES * PAGE_SIZE), align_down(va, PT_SPAN) + PT_SPAN);
        for (; va < stop; va += PAGE_SIZE, slot++) {
            pte_t pte = pte_get(slot);
            if (pte_is_none(pte))
                continue;
            pte_set(slot, (pte_t){0});
            pt_entry_removed(slot);
            space->frames--;
            trace(PRIMER_EVENT_UNMAP, pte_is_io(pte), va, trace_who(thread_current()->object.id, space->task_id), pte_pfn(pte).value, 0);
            if (pte_is_present(pte))
                gather(batch, pfn_to_frame(pte_pfn(pte)));
        }
        space->frames -= pt_prune(&space->pt, first, &batch->tables);
    }
    spin_unlock(&space->lock);
    return va;
}

void zap_range(struct aspace *space, vaddr_t start, vaddr_t end)
{
    struct batch batch;
    batch_begin(&batch);
    for (vaddr_t va = start; va < end;) {
        va = zap_step(space, va, end, &batch);
        if (batch_is_full(&batch))
            batch_finish(space, &batch);
    }
    batch_finish(space, &batch);
}
