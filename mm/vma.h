/*
 * Which ranges of an address space mean something, and what. Ranges do not overlap; they stand in a
 * balanced tree by address that also knows the largest gap below each node, so that finding a range and
 * finding room both take O(log n). Pure logic: no locks of its own (the space's lock protects the set), no
 * page tables.
 */
#ifndef MM_VMA_H
#define MM_VMA_H

#include "kernel/abi.h"
#include "kernel/avl.h"
#include "kernel/types.h"

enum vma_kind {
    VMA_ANONYMOUS,      /* private memory: zero at first, copied on write when shared by a clone */
    VMA_ARCHIVE,        /* the boot archive's own frames, read only, never counted or freed */
};

struct vma {
    struct avl_node node;
    vaddr_t start, end;         /* page-aligned, [start, end) */
    vaddr_t gap;                /* bytes free between the end of the one before (or the set's floor) and start */
    vaddr_t max_gap;            /* the largest `gap` in this node's subtree */
    uint8_t prot;               /* PRIMER_PROT_* */
    uint8_t kind;               /* enum vma_kind */
    uint64_t offset;            /* VMA_ARCHIVE: of `start`, in bytes, into the archive; else 0 */
    bool dying;                 /* being unmapped in steps: no access, still occupied */
};

struct vma_set {
    struct avl_tree tree;
    vaddr_t floor, ceiling;     /* ranges lie inside [floor, ceiling) */
    struct vma *last;           /* where the last search ended: the next one is often there too */
    unsigned count;
};

/* An empty set for ranges in [floor, ceiling), page-aligned; floor is not 0. */
void vma_set_init(struct vma_set *set, vaddr_t floor, vaddr_t ceiling);

/* The range that contains `va`; NULL. */
struct vma *vma_find(struct vma_set *set, vaddr_t va);
/* The first range that ends above `va`; NULL. */
struct vma *vma_find_above(struct vma_set *set, vaddr_t va);
/* The next one by address; NULL. */
struct vma *vma_next(const struct vma *vma);
/* Whether [start, end) touches no range. */
bool vma_is_free(struct vma_set *set, vaddr_t start, vaddr_t end);
/* Whether [start, end) has no hole; a dying range is one. Takes a step for each range in it. */
bool vma_covered(struct vma_set *set, vaddr_t start, vaddr_t end);
/*
 * Whether the range lets one do all of `prot` (PRIMER_PROT_*). x86 cannot withhold reading from a page that
 * allows anything.
 */
static inline bool vma_allows(const struct vma *vma, unsigned prot)
{
    unsigned has = vma->prot ? vma->prot | PRIMER_PROT_READ : 0u;
    return !vma->dying && (has & prot) == prot;
}
/* The lowest address at or above `hint` with `len` free bytes, or the lowest at all; 0 if there is none. */
vaddr_t vma_find_room(struct vma_set *set, vaddr_t hint, uint64_t len);

/*
 * Adds a range that the caller has found free, `fresh` being memory for its node. An anonymous neighbour
 * with the same properties that touches it swallows it instead (also both neighbours); then what is no
 * longer needed comes back through `spare`, up to two nodes (NULL where there is none), for the caller to
 * free. Returns the range that now covers [start, end).
 */
struct vma *vma_insert(struct vma_set *set, struct vma *fresh, struct vma *spare[2]);

/* Cuts `vma` in two at `at`, strictly inside; `fresh` becomes the upper part, with the same properties. */
void vma_split(struct vma_set *set, struct vma *vma, vaddr_t at, struct vma *fresh);

/* Takes it out; the caller frees it. */
void vma_remove(struct vma_set *set, struct vma *vma);

#endif
