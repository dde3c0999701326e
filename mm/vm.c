/*
 * Mapping, unmapping and protecting ranges. Each works on one VMA at a time and on its pages in bounded
 * steps, and lets the lock go in between; what a concurrent fault may see then is said where it matters.
 * Memory for VMA nodes is taken before the lock, on the space's account.
 */
#include "kernel/account.h"
#include "mm/aspace.h"
#include "mm/zap.h"

#define STEP_ENTRIES 32u
#define STEP_RANGES  32u

/* Nodes that a change may need, or may leave over. */
struct spares { struct vma *node[2]; };

static status_t spares_fill(struct aspace *space, struct spares *spares)
{
    for (unsigned i = 0; i < 2; i++) {
        status_t error;
        if (!spares->node[i] && !(spares->node[i] = account_alloc(space->account, sizeof(struct vma), &error)))
            return error;
    }
    return 0;
}

static void spares_free(struct aspace *space, struct spares *spares)
{
    for (unsigned i = 0; i < 2; i++) {
        account_free(space->account, spares->node[i], sizeof(struct vma));
        spares->node[i] = NULL;
    }
}

static unsigned spares_count(const struct spares *spares) { return (spares->node[0] != NULL) + (spares->node[1] != NULL); }

static struct vma *spares_take(struct spares *spares)
{
    struct vma **node = &spares->node[spares->node[0] ? 0 : 1];
    struct vma *taken = *node;
    *node = NULL;
    return taken;
}

/* --- map --- */

/* Where the range goes; an error if there is no room. Under the lock. */
static status_t choose_place(struct aspace *space, vaddr_t *address, uint64_t len, bool fixed)
{
    if (atomic_load_explicit(&space->dying, memory_order_relaxed))
        return E_DEAD;
    if (fixed)
        return vma_is_free(&space->vmas, *address, *address + len) ? 0 : E_OCCUPIED;
    vaddr_t found = vma_find_room(&space->vmas, *address, len);
    if (!found)
        return E_OCCUPIED;
    *address = found;
    return 0;
}

status_t vm_map(struct aspace *space, vaddr_t *address, uint64_t len, unsigned prot, enum vma_kind kind, bool fixed)
{
    status_t error;
    struct vma *vma = account_alloc(space->account, sizeof *vma, &error);
    if (!vma)
        return error;
    struct spares left_over = {{NULL, NULL}};
    spin_lock(&space->lock);
    error = choose_place(space, address, len, fixed);
    if (error == 0) {
        vma->start = *address;
        vma->end = *address + len;
        vma->prot = (uint8_t)prot;
        vma->kind = (uint8_t)kind;
        vma_insert(&space->vmas, vma, left_over.node);
    } else {
        left_over.node[0] = vma;
    }
    spin_unlock(&space->lock);
    spares_free(space, &left_over);
    return error;
}

/* --- unmap --- */

/*
 * The first range that overlaps [start, end), cut so that it lies inside. NULL: there is none, or
 * *need_nodes is set. One that is dying is somebody else's already. Under the lock.
 */
static struct vma *cut_out(struct aspace *space, vaddr_t start, vaddr_t end, struct spares *spares, bool *need_nodes)
{
    struct vma *vma = vma_find_above(&space->vmas, start);
    while (vma && vma->dying)
        vma = vma_next(vma);
    if (!vma || vma->start >= end)
        return NULL;
    bool below = vma->start < start, above = vma->end > end;
    *need_nodes = (below || above) && !(spares->node[0] && spares->node[1]);
    if (*need_nodes)
        return NULL;
    if (below) {
        struct vma *upper = spares_take(spares);
        vma_split(&space->vmas, vma, start, upper);
        vma = upper;
    }
    if (above)
        vma_split(&space->vmas, vma, end, spares_take(spares));
    return vma;
}

status_t vm_unmap(struct aspace *space, vaddr_t start, uint64_t len)
{
    vaddr_t end = start + len;
    struct spares spares = {{NULL, NULL}};
    status_t error = 0;
    while (error == 0 && start < end) {     /* behind `end` may be what others have mapped since */
        bool need_nodes = false;
        spin_lock(&space->lock);
        struct vma *vma = cut_out(space, start, end, &spares, &need_nodes);
        if (vma)
            /* no fault gets in any more, and nobody else maps here until the entries are gone */
            vma->dying = true;
        spin_unlock(&space->lock);
        if (need_nodes) {
            error = spares_fill(space, &spares);
            continue;
        }
        if (!vma)
            break;
        zap_range(space, vma->start, vma->end);     /* ours alone while it is dying: nobody moves its bounds */
        /* what others map behind us from now on is theirs to keep */
        start = vma->end;
        spin_lock(&space->lock);
        vma_remove(&space->vmas, vma);
        spin_unlock(&space->lock);
        account_free(space->account, vma, sizeof *vma);
    }
    spares_free(space, &spares);
    return error;
}

/* --- protect --- */

/*
 * Whether [start, end) has no hole: some ranges per lock hold, so a sibling that unmaps meanwhile may make
 * the answer old.
 */
static bool is_covered(struct aspace *space, vaddr_t start, vaddr_t end)
{
    while (start < end) {
        spin_lock(&space->lock);
        struct vma *vma = vma_find(&space->vmas, start);
        vaddr_t reached = start;
        for (unsigned i = 0; vma && vma->start <= reached && !vma->dying && reached < end && i < STEP_RANGES; i++) {
            reached = vma->end;
            vma = vma_next(vma);
        }
        spin_unlock(&space->lock);
        if (reached == start)
            return false;
        start = reached;
    }
    return true;
}

/*
 * Brings entries in line with their ranges. Until its entry's turn has come, a page that gained a right may
 * fault once more (and is resolved), and one that lost a right keeps it: vm_protect() returns only after
 * the flush. An io page gets the right protection when it is published. What the range says is asked anew
 * in each step: a sibling's vm_protect() may have overtaken us, and then the last word is his.
 */
static void protect_entries(struct aspace *space, vaddr_t va, vaddr_t end)
{
    while (va < end) {
        spin_lock(&space->lock);
        va = pt_next_table(&space->pt, va, end);
        pte_t *slot = va < end ? pt_lookup(&space->pt, va) : NULL;
        if (slot) {
            const struct vma *vma = vma_find(&space->vmas, va);
            vaddr_t stop = min_u64(min_u64(end, va + STEP_ENTRIES * PAGE_SIZE), align_down(va, PT_SPAN) + PT_SPAN);
            stop = vma ? min_u64(stop, vma->end) : stop;
            for (; va < stop; va += PAGE_SIZE, slot++)
                if (vma && pte_is_present(pte_get(slot)))
                    pte_set(slot, pte_with_prot(pte_get(slot), vma->prot));
        }
        spin_unlock(&space->lock);
    }
}

/* The archive's pages belong to everybody. */
static bool protection_fits(const struct vma *vma, unsigned prot)
{
    return vma->kind != VMA_ARCHIVE || !(prot & ~(unsigned)PRIMER_PROT_READ);
}

status_t vm_protect(struct aspace *space, vaddr_t start, uint64_t len, unsigned prot)
{
    vaddr_t end = start + len;
    if (!is_covered(space, start, end))
        return E_NOT_MAPPED;
    struct spares spares = {{NULL, NULL}};
    status_t error = 0;
    while (start < end && error == 0) {
        bool need_nodes = false;
        vaddr_t piece_start = end, piece_end = end;
        struct spares left_over = {{NULL, NULL}};
        spin_lock(&space->lock);
        unsigned nodes = spares_count(&spares);
        struct vma *vma = cut_out(space, start, end, &spares, &need_nodes);
        bool just_cut = spares_count(&spares) < nodes;      /* enough for one hold of the lock: the rest in the next */
        if (vma && !protection_fits(vma, prot)) {
            error = E_BAD_ARGUMENT;
        } else if (vma && !just_cut) {
            piece_start = vma->start;
            piece_end = vma->end;
            /* and in again, so that it grows together with neighbours that are alike now */
            vma_remove(&space->vmas, vma);
            vma->prot = (uint8_t)prot;
            vma_insert(&space->vmas, vma, left_over.node);
        }
        spin_unlock(&space->lock);
        spares_free(space, &left_over);
        if (need_nodes)
            error = spares_fill(space, &spares);
        if (need_nodes || just_cut)
            continue;
        protect_entries(space, piece_start, piece_end);
        start = piece_end;
    }
    spares_free(space, &spares);
    tlb_shootdown(space);
    return error;
}
