/* mm/vma.c against an array that says for each page what it is. */
#include "kernel/abi.h"
#include "mm/vma.h"
#include "test.h"

#include <stdlib.h>

#define FLOOR   0x10000ul
#define PAGES   600u
#define CEILING (FLOOR + PAGES * PAGE_SIZE)
#define RANGES  600u

static struct vma_set set;
static uint16_t model[PAGES];       /* 0: free; else what the page's range is, see label() */
static struct vma nodes[RANGES];
static struct vma *spares[RANGES];
static unsigned spare_count;

static struct vma *node_get(void)
{
    CHECK(spare_count > 0);
    return spares[--spare_count];
}

static void node_put(struct vma *vma)
{
    *vma = (struct vma){.start = 0xbad, .end = 0xbad};
    spares[spare_count++] = vma;
}

static void reset(void)
{
    vma_set_init(&set, FLOOR, CEILING);
    spare_count = 0;
    for (unsigned i = 0; i < RANGES; i++)
        node_put(&nodes[i]);
    for (unsigned p = 0; p < PAGES; p++)
        model[p] = 0;
}

static vaddr_t address(unsigned page) { return FLOOR + page * PAGE_SIZE; }

static uint16_t label(const struct vma *vma)
{
    return (uint16_t)(1 + vma->prot + vma->kind * 16 + vma->dying * 64);
}

static vaddr_t check_subtree(struct avl_node *node)
{
    if (!node)
        return 0;
    struct vma *vma = container_of(node, struct vma, node);
    vaddr_t max = max_u64(vma->gap, max_u64(check_subtree(node->left), check_subtree(node->right)));
    CHECK_EQ(vma->max_gap, max);
    return max;
}

/* The set says exactly what the model says, and its gaps are right. */
static void check_set(void)
{
    unsigned page = 0, count = 0;
    vaddr_t end = FLOOR;
    for (struct vma *vma = vma_find_above(&set, 0); vma; vma = vma_next(vma), count++) {
        CHECK(vma->start >= end && vma->end > vma->start);
        CHECK_EQ(vma->gap, vma->start - end);
        for (; address(page) < vma->start; page++)
            CHECK_EQ(model[page], 0);
        for (; address(page) < vma->end; page++)
            CHECK_EQ(model[page], label(vma));
        end = vma->end;
    }
    for (; page < PAGES; page++)
        CHECK_EQ(model[page], 0);
    CHECK_EQ(set.count, count);
    check_subtree(set.tree.root);
}

static bool model_free(unsigned from, unsigned to)
{
    for (unsigned p = from; p < to; p++)
        if (model[p])
            return false;
    return true;
}

static vaddr_t model_room(unsigned hint, unsigned pages)
{
    for (unsigned p = hint; p + pages <= PAGES; p++)
        if (model_free(p, p + pages))
            return address(p);
    return hint ? model_room(0, pages) : 0;
}

static void do_insert(unsigned from, unsigned to, unsigned prot, unsigned kind)
{
    struct vma *spare[2], *fresh = node_get();
    fresh->start = address(from);
    fresh->end = address(to);
    fresh->prot = (uint8_t)prot;
    fresh->kind = (uint8_t)kind;
    fresh->dying = false;
    uint16_t is = label(fresh);
    struct vma *got = vma_insert(&set, fresh, spare);
    CHECK(got->start <= address(from) && got->end >= address(to) && label(got) == is);
    for (unsigned p = from; p < to; p++)
        model[p] = is;

    /* What could have been joined has been. */
    bool joins_prev = kind == VMA_ANONYMOUS && from > 0 && model[from - 1] == is;
    bool joins_next = kind == VMA_ANONYMOUS && to < PAGES && model[to] == is;
    CHECK((got->start < address(from)) == joins_prev && (got->end > address(to)) == joins_next);
    CHECK(!!spare[0] + !!spare[1] == joins_prev + joins_next);
    for (unsigned i = 0; i < 2; i++)
        if (spare[i])
            node_put(spare[i]);
}

/* As unmap and protect do it: cut at both ends, then remove, or mark, what is inside. */
static void do_cut(unsigned from, unsigned to, bool mark)
{
    for (struct vma *vma = vma_find_above(&set, address(from)), *next; vma && vma->start < address(to); vma = next) {
        if (vma->start < address(from)) {
            struct vma *fresh = node_get();
            vma_split(&set, vma, address(from), fresh);
            vma = fresh;
        }
        if (vma->end > address(to))
            vma_split(&set, vma, address(to), node_get());
        next = vma_next(vma);
        if (mark) {
            vma->dying = true;
            for (vaddr_t va = vma->start; va < vma->end; va += PAGE_SIZE)
                model[(va - FLOOR) / PAGE_SIZE] = label(vma);
        } else {
            vma_remove(&set, vma);
            node_put(vma);
        }
    }
    for (unsigned p = from; !mark && p < to; p++)
        model[p] = 0;
}

static void check_queries(struct random *r)
{
    unsigned page = (unsigned)random_below(r, PAGES), len = 1 + (unsigned)random_below(r, 40);
    unsigned end = page + len < PAGES ? page + len : PAGES;
    vaddr_t va = address(page) + random_below(r, PAGE_SIZE);

    struct vma *vma = vma_find(&set, va);
    CHECK(!vma == !model[page] && (!vma || (va >= vma->start && va < vma->end)));
    vma = vma_find_above(&set, va);
    unsigned above = page;
    while (above < PAGES && !model[above])
        above++;
    CHECK(above == PAGES ? !vma : vma && vma->start <= max_u64(address(above), va) && vma->end > va);

    bool covered = true;
    for (unsigned p = page; p < end; p++)
        covered &= model[p] && model[p] < 64;
    CHECK(vma_covered(&set, address(page), address(end)) == covered);
    CHECK(vma_is_free(&set, address(page), address(end)) == model_free(page, end));
    CHECK_EQ(vma_find_room(&set, address(page), len * PAGE_SIZE), model_room(page, len));
    CHECK_EQ(vma_find_room(&set, 0, len * PAGE_SIZE), model_room(0, len));
}

TEST(vma_random)
{
    struct random r = {2};
    reset();
    for (unsigned step = 0; step < 200000; step++) {
        unsigned from = (unsigned)random_below(&r, PAGES), len = 1 + (unsigned)random_below(&r, step / 1000 % 2 ? 4 : 60);
        unsigned to = from + len < PAGES ? from + len : PAGES;
        unsigned what = (unsigned)random_below(&r, 8);
        if (what < 4) {
            if (model_free(from, to))
                do_insert(from, to, random_below(&r, 2) ? PRIMER_PROT_READ : 3, random_below(&r, 8) ? VMA_ANONYMOUS : VMA_ARCHIVE);
        } else {
            do_cut(from, to, what == 7);
        }
        check_queries(&r);
        if (step % 16 == 0)
            check_set();
    }
    do_cut(0, PAGES, false);
    check_set();
    CHECK(set.count == 0 && !set.tree.root && spare_count == RANGES);
}

TEST(vma_merges_both_sides)
{
    reset();
    do_insert(10, 20, 3, VMA_ANONYMOUS);
    do_insert(30, 40, 3, VMA_ANONYMOUS);
    do_insert(20, 30, 3, VMA_ANONYMOUS);
    CHECK_EQ(set.count, 1);
    do_insert(40, 50, 1, VMA_ANONYMOUS);
    CHECK_EQ(set.count, 2);
    check_set();
}

TEST(vma_archive_never_merges)
{
    reset();
    do_insert(10, 20, 1, VMA_ARCHIVE);
    do_insert(20, 30, 1, VMA_ARCHIVE);
    CHECK_EQ(set.count, 2);
}

TEST(vma_last_is_forgotten)
{
    reset();
    do_insert(10, 20, 3, VMA_ANONYMOUS);
    CHECK(vma_find(&set, address(12)) && set.last);
    do_cut(10, 20, false);
    CHECK(!set.last && !vma_find(&set, address(12)));

    /* A cached range that is cut is not found beyond the cut. */
    do_insert(10, 20, 3, VMA_ANONYMOUS);
    CHECK(vma_find(&set, address(18)));
    do_cut(15, 20, false);
    CHECK(!vma_find(&set, address(18)) && vma_find(&set, address(12)));
}

TEST(vma_room_edges)
{
    reset();
    CHECK_EQ(vma_find_room(&set, 0, PAGES * PAGE_SIZE), FLOOR);
    CHECK_EQ(vma_find_room(&set, 0, (PAGES + 1) * PAGE_SIZE), 0);
    CHECK_EQ(vma_find_room(&set, UINT64_MAX & ~PAGE_MASK, PAGE_SIZE), FLOOR);
    CHECK_EQ(vma_find_room(&set, CEILING - PAGE_SIZE, PAGE_SIZE), CEILING - PAGE_SIZE);
    CHECK_EQ(vma_find_room(&set, CEILING - PAGE_SIZE, 2 * PAGE_SIZE), FLOOR);
    CHECK_EQ(vma_find_room(&set, FLOOR + 1, PAGE_SIZE), FLOOR + PAGE_SIZE);
    CHECK_EQ(vma_find_room(&set, 0, UINT64_MAX & ~PAGE_MASK), 0);
    do_insert(0, PAGES, 3, VMA_ANONYMOUS);
    CHECK_EQ(vma_find_room(&set, 0, PAGE_SIZE), 0);
}

TEST(vma_allows)
{
    struct vma vma = {.prot = PRIMER_PROT_READ};
    CHECK(vma_allows(&vma, PRIMER_PROT_READ) && !vma_allows(&vma, PRIMER_PROT_WRITE) && !vma_allows(&vma, PRIMER_PROT_EXEC));
    vma.prot = PRIMER_PROT_WRITE;
    CHECK(vma_allows(&vma, PRIMER_PROT_READ | PRIMER_PROT_WRITE) && !vma_allows(&vma, PRIMER_PROT_EXEC));
    vma.prot = 0;
    CHECK(!vma_allows(&vma, PRIMER_PROT_READ) && vma_allows(&vma, 0));
    vma.prot = 7;
    vma.dying = true;
    CHECK(!vma_allows(&vma, PRIMER_PROT_READ));
}

/* 20,000 ranges of one page with a page between: every search is a walk from root to leaf. */
TEST(vma_many_stay_low)
{
    enum { MANY = 20000 };
    struct vma *many = calloc(MANY, sizeof(*many)), *spare[2];
    vma_set_init(&set, FLOOR, FLOOR + 2 * MANY * PAGE_SIZE);
    for (unsigned i = 0; i < MANY; i++) {
        many[i].start = FLOOR + (2 * i + 1) * PAGE_SIZE;
        many[i].end = many[i].start + PAGE_SIZE;
        CHECK(vma_insert(&set, &many[i], spare) == &many[i]);
    }
    CHECK_EQ(set.count, MANY);
    CHECK(set.tree.root->height <= 20);     /* 1.44 log2(20,000) */
    CHECK_EQ(vma_find_room(&set, 0, 2 * PAGE_SIZE), 0);
    vma_remove(&set, &many[15000]);
    CHECK_EQ(vma_find_room(&set, 0, 2 * PAGE_SIZE), many[14999].end);
    free(many);
}
