/*
 * The ranges of an address space (mm/vma.h): an AVL tree by address, in which each node knows the free bytes
 * just below it and the largest such gap in its subtree. mm/aspace.c and the page-fault handler call in,
 * under the space's lock; there is no lock here. It allocates nothing (nodes come from the caller), and
 * knows nothing of page tables.
 */
#include "kernel/abi.h"
#include "kernel/panic.h"
#include "mm/vma.h"

static struct vma *vma_of(struct avl_node *node) { return node ? container_of(node, struct vma, node) : NULL; }

static vaddr_t max_gap_of(struct avl_node *node) { return node ? vma_of(node)->max_gap : 0; }

static void update_max_gap(struct avl_node *node)
{
    struct vma *vma = vma_of(node);
    vma->max_gap = max_u64(vma->gap, max_u64(max_gap_of(node->left), max_gap_of(node->right)));
}

/* Recomputes the gap in front of `vma` (NULL is fine), whose lower bound or predecessor has changed. */
static void gap_changed(struct vma_set *set, struct vma *vma)
{
    if (!vma)
        return;
    struct vma *prev = vma_of(avl_prev(&vma->node));
    vma->gap = vma->start - (prev ? prev->end : set->floor);
    avl_changed(&set->tree, &vma->node);
}

void vma_set_init(struct vma_set *set, vaddr_t floor, vaddr_t ceiling)
{
    assert(floor > 0 && floor < ceiling && !((floor | ceiling) & PAGE_MASK));   /* 0 says "no room" */
    *set = (struct vma_set){.tree.update = update_max_gap, .floor = floor, .ceiling = ceiling};
}

struct vma *vma_find_above(struct vma_set *set, vaddr_t va)
{
    struct vma *best = NULL;
    struct avl_node *node = set->tree.root;
    while (node) {
        struct vma *vma = vma_of(node);
        if (va >= vma->end) {
            node = node->right;
        } else {
            best = vma;
            if (va >= vma->start)
                break;
            node = node->left;
        }
    }
    return best;
}

struct vma *vma_find(struct vma_set *set, vaddr_t va)
{
    struct vma *vma = set->last;
    if (vma && va >= vma->start && va < vma->end)
        return vma;
    vma = vma_find_above(set, va);
    if (!vma || va < vma->start)
        return NULL;
    set->last = vma;
    return vma;
}

struct vma *vma_next(const struct vma *vma) { return vma_of(avl_next(&vma->node)); }

bool vma_is_free(struct vma_set *set, vaddr_t start, vaddr_t end)
{
    struct vma *vma = vma_find_above(set, start);
    return !vma || vma->start >= end;
}

bool vma_covered(struct vma_set *set, vaddr_t start, vaddr_t end)
{
    for (struct vma *vma = vma_find_above(set, start); start < end; vma = vma_next(vma)) {
        if (!vma || vma->dying || vma->start > start)
            return false;
        start = vma->end;
        if (start >= end)
            break;
    }
    return true;
}

/* The first node of the subtree, in order, with a gap of `len`; it has one. */
static struct vma *first_with_gap(struct avl_node *node, uint64_t len)
{
    for (;;) {
        if (max_gap_of(node->left) >= len)
            node = node->left;
        else if (vma_of(node)->gap >= len)
            return vma_of(node);
        else
            node = node->right;
    }
}

/* The first range after `vma` with a gap of `len` in front of it; NULL. Up once and down once. */
static struct vma *next_with_gap(struct vma *vma, uint64_t len)
{
    struct avl_node *node = &vma->node;
    if (max_gap_of(node->right) >= len)
        return first_with_gap(node->right, len);
    for (; node->parent; node = node->parent) {
        struct avl_node *parent = node->parent;
        if (parent->right == node)
            continue;
        if (vma_of(parent)->gap >= len)
            return vma_of(parent);
        if (max_gap_of(parent->right) >= len)
            return first_with_gap(parent->right, len);
    }
    return NULL;
}

static vaddr_t end_of_last(const struct vma_set *set)
{
    struct avl_node *node = set->tree.root;
    if (!node)
        return set->floor;
    while (node->right)
        node = node->right;
    return vma_of(node)->end;
}

/* The lowest address at or above `from`, which is inside the set's bounds; 0: none. */
static vaddr_t room_from(struct vma_set *set, vaddr_t from, uint64_t len)
{
    struct vma *vma = vma_find_above(set, from);
    if (vma && vma->start > from && vma->start - from >= len)
        return from;
    if (vma)
        vma = next_with_gap(vma, len);
    if (vma)
        return vma->start - vma->gap;
    vaddr_t tail = max_u64(from, end_of_last(set));
    return set->ceiling - tail >= len ? tail : 0;
}

vaddr_t vma_find_room(struct vma_set *set, vaddr_t hint, uint64_t len)
{
    assert(len > 0 && !(len & PAGE_MASK));
    if (hint > set->floor && hint < set->ceiling) {
        vaddr_t found = room_from(set, align_up(hint, PAGE_SIZE), len);
        if (found)
            return found;
    }
    return room_from(set, set->floor, len);
}

/* Links `vma`, which overlaps nothing, at its place. */
static void link_vma(struct vma_set *set, struct vma *vma)
{
    struct avl_node *parent = NULL, **link = &set->tree.root;
    while (*link) {
        parent = *link;
        link = vma->start < vma_of(parent)->start ? &parent->left : &parent->right;
    }
    vma->gap = 0;               /* until its neighbours are known */
    avl_insert(&set->tree, parent, link, &vma->node);
    gap_changed(set, vma);
    gap_changed(set, vma_next(vma));
    set->count++;
}

/* Only anonymous ranges: two views of the archive that touch are not one longer view of it. */
static bool can_merge(const struct vma *lower, const struct vma *upper)
{
    return lower && upper && lower->end == upper->start && lower->prot == upper->prot && !lower->dying
           && !upper->dying && lower->kind == VMA_ANONYMOUS && upper->kind == VMA_ANONYMOUS;
}

struct vma *vma_insert(struct vma_set *set, struct vma *fresh, struct vma *spare[2])
{
    assert(fresh->start < fresh->end && !((fresh->start | fresh->end) & PAGE_MASK));
    assert(fresh->start >= set->floor && fresh->end <= set->ceiling);

    struct vma *next = vma_find_above(set, fresh->start);
    assert(!next || next->start >= fresh->end);
    spare[0] = spare[1] = NULL;
    link_vma(set, fresh);

    /* The neighbour stays, since set->last or the caller may know it; `fresh` goes. */
    struct vma *prev = vma_of(avl_prev(&fresh->node));
    struct vma *merged = fresh;
    if (can_merge(prev, fresh)) {
        vma_remove(set, fresh);
        prev->end = fresh->end;
        gap_changed(set, next);
        spare[0] = fresh;
        merged = prev;
    }
    if (can_merge(merged, next)) {
        vma_remove(set, merged);
        next->start = merged->start;
        gap_changed(set, next);
        spare[spare[0] ? 1 : 0] = merged;
        merged = next;
    }
    return merged;
}

void vma_split(struct vma_set *set, struct vma *vma, vaddr_t at, struct vma *fresh)
{
    assert(at > vma->start && at < vma->end && !(at & PAGE_MASK));
    *fresh = (struct vma){.start = at, .end = vma->end, .prot = vma->prot, .kind = vma->kind,
                           .offset = vma->kind == VMA_ARCHIVE ? vma->offset + (at - vma->start) : 0, .dying = vma->dying};
    vma->end = at;
    link_vma(set, fresh);
}

void vma_remove(struct vma_set *set, struct vma *vma)
{
    struct vma *next = vma_next(vma);
    avl_remove(&set->tree, &vma->node);
    gap_changed(set, next);
    set->count--;
    if (set->last == vma)
        set->last = NULL;
}
