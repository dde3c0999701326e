/*
 * The frame pool: binary buddies behind one lock, and a cache of single frames per CPU in front of it, its
 * own CPU's with interrupts off. The page-fault handler, page tables, heap and stacks call in. The pool's
 * lock is the last one taken before the run queues' (rank FRAMES).
 *
 * What bounds the interrupts-off time is the batch: a refill takes 16 frames (about 600 instructions), a
 * drain gives back 4, each of which may merge ten times (about 1,500 at the very worst). It neither zeroes
 * frames (mm/table.c, mm/filler.c do) nor counts anyone's quota.
 */
#include "boot/boot_info.h"
#include "kernel/lock.h"
#include "kernel/mem.h"
#include "mm/frame.h"

#define CACHE_MAX    32u
#define CACHE_REFILL 16u
#define CACHE_DRAIN  4u
#define SCARCE       64u        /* frames in the pool */
#define POISON       0xa5

/*
 * Under `lock`. A block of 2^order free frames is on free[order] by its head's link; its head says FREE and
 * that order.
 */
static struct {
    struct spinlock lock;
    struct list_node free[FRAME_MAX_ORDER + 1];
    _Atomic uint64_t free_frames;       /* read without the lock for counting */
} pool = {.lock = SPINLOCK("frames", RANK_FRAMES)};

/* Own CPU only, interrupts off. Frames here say CACHED and not FREE, so that no buddy merges with them. */
static struct frame_cache {
    struct list_node list;              /* the most recently freed in front */
    _Atomic unsigned count;             /* written by its own CPU; others read it for frame_count() */
} __attribute__((aligned(64))) caches[MAX_CPUS];

/*
 * Fixed after frame_init(). Only frames of RAM have a descriptor, so a buddy outside its region must not
 * even be looked at.
 */
static const struct boot_info *ram;
static uint64_t managed, unmanaged;

/* --- the pool; its lock is held --- */

static void pool_count(uint64_t by)
{
    uint64_t now = atomic_load_explicit(&pool.free_frames, memory_order_relaxed);
    atomic_store_explicit(&pool.free_frames, now + by, memory_order_relaxed);
}

/* The region of RAM that `pfn` is in. At most 6 steps. */
static const struct boot_region *region_of(pfn_t pfn)
{
    uint64_t address = pfn_to_phys(pfn).value;
    unsigned low = 0, high = ram->ram_count;
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        if (ram->ram[middle].start <= address)
            low = middle;
        else
            high = middle;
    }
    return &ram->ram[low];
}

static void block_push(struct frame *head, unsigned order)
{
    head->order = (uint8_t)order;
    list_push_front(&pool.free[order], &head->link);
}

/* Puts a block back, as one with every free buddy there is. */
static void pool_put(struct frame *frame, unsigned order)
{
    frame->order = FRAME_ORDER_INSIDE;
    frame->state = FRAME_FREE;
    uint32_t pfn = frame_pfn(frame).value;
    const struct boot_region *region = region_of((pfn_t){pfn});
    uint32_t first = (uint32_t)(region->start >> PAGE_SHIFT), end = (uint32_t)(region->end >> PAGE_SHIFT);

    pool_count(1ull << order);
    for (uint32_t size = 1u << order; order < FRAME_MAX_ORDER; order++, size *= 2) {
        uint32_t buddy_pfn = pfn ^ size;
        if (buddy_pfn < first || buddy_pfn + size > end)
            break;
        struct frame *buddy = &frames[buddy_pfn];
        /*
         * A buddy in use is its owner's, who may write its state just now: but never FREE, except under our
         * lock.
         */
        if (__atomic_load_n(&buddy->state, __ATOMIC_RELAXED) != FRAME_FREE || buddy->order != order)
            break;
        list_remove(&buddy->link);
        buddy->order = FRAME_ORDER_INSIDE;
        pfn &= buddy_pfn;       /* the lower one is the head */
    }
    block_push(&frames[pfn], order);
}

/* The smallest order from `order` on that has a free block; above FRAME_MAX_ORDER: none. */
static unsigned pool_smallest(unsigned order)
{
    while (order <= FRAME_MAX_ORDER && list_empty(&pool.free[order]))
        order++;
    return order;
}

/* The head of a free block, split off a larger one if need be; NULL. */
static struct frame *pool_take(unsigned order)
{
    unsigned have = pool_smallest(order);
    if (have > FRAME_MAX_ORDER)
        return NULL;
    struct frame *frame = list_entry(list_pop_front(&pool.free[have]), struct frame, link);
    while (have > order) {
        have--;
        block_push(frame + (1ul << have), have);
    }
    pool_count(-(1ull << order));
    return frame;
}

/* --- the caches; interrupts are off --- */

static unsigned cache_count(const struct frame_cache *cache)
{
    return atomic_load_explicit(&cache->count, memory_order_relaxed);
}

static void cache_set(struct frame_cache *cache, unsigned count)
{
    atomic_store_explicit(&cache->count, count, memory_order_relaxed);
}

static void cache_push(struct frame_cache *cache, struct frame *frame)
{
    frame->state = FRAME_CACHED;
    list_push_front(&cache->list, &frame->link);
    cache_set(cache, cache_count(cache) + 1);
}

static struct frame *cache_pop(struct frame_cache *cache)
{
    struct list_node *node = list_pop_front(&cache->list);
    if (!node)
        return NULL;
    cache_set(cache, cache_count(cache) - 1);
    return list_entry(node, struct frame, link);
}

/* From the smallest blocks there are, so that large ones stay whole; each as a piece, not frame by frame. */
static void cache_refill(struct frame_cache *cache)
{
    spin_lock(&pool.lock);
    for (unsigned need = CACHE_REFILL; need > 0;) {
        unsigned order = pool_smallest(0);
        if (order > FRAME_MAX_ORDER)
            break;
        while (1u << order > need)
            order--;
        struct frame *block = pool_take(order);
        for (unsigned i = 1u << order; i-- > 0;)
            cache_push(cache, &block[i]);
        need -= 1u << order;
    }
    spin_unlock(&pool.lock);
}

/* Gives the least recently freed ones back to the pool. */
static void cache_drain(struct frame_cache *cache)
{
    spin_lock(&pool.lock);
    for (unsigned i = 0; i < CACHE_DRAIN && !list_empty(&cache->list); i++) {
        struct frame *frame = list_entry(cache->list.prev, struct frame, link);
        list_remove(&frame->link);
        cache_set(cache, cache_count(cache) - 1);
        pool_put(frame, 0);
    }
    spin_unlock(&pool.lock);
}

/*
 * Empties this CPU's cache into the pool, where single frames can become blocks again. Interrupts may come
 * in between.
 */
static void cache_flush(void)
{
    for (bool more = true; more;) {
        uint64_t flags = irq_save();
        struct frame_cache *cache = &caches[this_cpu()->id];
        cache_drain(cache);
        more = !list_empty(&cache->list);
        irq_restore(flags);
    }
}

/* --- what everyone calls --- */

/* A frame that says `state` and is free becomes the caller's. */
static struct frame *hand_out(struct frame *frame, enum frame_state state, unsigned order)
{
    debug_assert(frame->state == state);
    frame->state = FRAME_OWNED;
    frame->order = (uint8_t)order;
    atomic_store_explicit(&frame->refs, 0, memory_order_relaxed);
    return frame;
}

struct frame *frame_alloc(void)
{
    uint64_t flags = irq_save();
    struct frame_cache *cache = &caches[this_cpu()->id];
    if (list_empty(&cache->list))
        cache_refill(cache);
    struct frame *frame = cache_pop(cache);
    irq_restore(flags);
    if (frame)
        return hand_out(frame, FRAME_CACHED, 0);

    frame = table_stock_take();
    if (frame)
        frame->state = FRAME_OWNED;
    return frame;
}

struct frame *frame_alloc_order(unsigned order)
{
    assert(order <= FRAME_MAX_ORDER);
    if (order == 0)
        return frame_alloc();

    struct frame *block = NULL;
    for (unsigned attempt = 0; !block && attempt < 2; attempt++) {
        if (attempt == 1)
            cache_flush();
        spin_lock(&pool.lock);
        block = pool_take(order);
        /* The head inside the lock: until it says so, a buddy that is freed would merge with it. */
        if (block)
            hand_out(block, FRAME_FREE, order);
        spin_unlock(&pool.lock);
    }
    for (unsigned i = 1; block && i < 1u << order; i++)
        hand_out(&block[i], FRAME_FREE, FRAME_ORDER_INSIDE);
    return block;
}

void frame_free(struct frame *frame)
{
    unsigned order = frame->order;
    if (frame->state < FRAME_OWNED || frame->state == FRAME_QUEUED || order > FRAME_MAX_ORDER)
        panic("frame %u is freed in state %u, order %u", frame_pfn(frame).value, (unsigned)frame->state, order);
    assert(!list_linked(&frame->link));

    for (unsigned i = 0; DEBUG && i < 1u << order; i++)
        memset(frame_virt(&frame[i]), POISON, PAGE_SIZE);
    /* Those inside nobody looks at as a buddy; the head turns FREE under the lock, in pool_put(). */
    for (unsigned i = 1; i < 1u << order; i++)
        frame[i].state = FRAME_FREE;
    if (order > 0) {
        spin_lock(&pool.lock);
        pool_put(frame, order);
        spin_unlock(&pool.lock);
        return;
    }
    uint64_t flags = irq_save();
    struct frame_cache *cache = &caches[this_cpu()->id];
    if (cache_count(cache) >= CACHE_MAX)
        cache_drain(cache);
    cache_push(cache, frame);
    irq_restore(flags);
}

bool frame_put(struct frame *frame)
{
    /* Looked at while our reference still keeps the frame: the moment it is gone, somebody else's last one may free it. */
    debug_assert(frame->state == FRAME_READY);
    /*
     * Release: what this holder did with the bytes comes before the free. Acquire: the last one sees all of
     * that.
     */
    uint32_t before = atomic_fetch_sub_explicit(&frame->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return false;
    frame_free(frame);
    return true;
}

struct frame_counts frame_count(void)
{
    uint64_t free = atomic_load_explicit(&pool.free_frames, memory_order_relaxed) + table_stock_count();
    for (unsigned i = 0; i < MAX_CPUS; i++)
        free += cache_count(&caches[i]);
    return (struct frame_counts){.total = managed, .free = free, .boot = unmanaged};
}

bool frame_is_scarce(void) { return atomic_load_explicit(&pool.free_frames, memory_order_relaxed) < SCARCE; }

/* --- boot --- */

/* Cuts free RAM into the largest naturally aligned blocks. About a dozen instructions a frame. */
static void add_free(uint32_t pfn, uint32_t end)
{
    managed += end - pfn;
    pool_count(end - pfn);
    while (pfn < end) {
        unsigned order = min_u64((unsigned)__builtin_ctz(pfn), FRAME_MAX_ORDER);
        while (1u << order > end - pfn)
            order--;
        list_push_back(&pool.free[order], &frames[pfn].link);   /* low addresses first */
        frames[pfn].order = (uint8_t)order;
        pfn += 1u << order;
    }
}

void frame_init(const struct boot_info *info)
{
    ram = info;
    frame_boot_end();
    table_init();
    for (unsigned i = 0; i < MAX_CPUS; i++)
        list_init(&caches[i].list);
    for (unsigned order = 0; order <= FRAME_MAX_ORDER; order++)
        list_init(&pool.free[order]);

    for (unsigned i = 0; i < info->ram_count; i++) {
        uint64_t change;
        for (uint64_t at = info->ram[i].start; at < info->ram[i].end; at = change) {
            bool reserved = frame_boot_reserved(info, at, info->ram[i].end, &change);
            uint32_t pfn = phys_to_pfn(paddr(at)).value, end = phys_to_pfn(paddr(change)).value;
            struct frame fresh = {.state = reserved ? FRAME_RESERVED : FRAME_FREE, .order = FRAME_ORDER_INSIDE};
            for (uint32_t p = pfn; p < end; p++) {
                frames[p] = fresh;
                list_init(&frames[p].link);
            }
            if (reserved)
                unmanaged += end - pfn;
            else
                add_free(pfn, end);
        }
    }
    if (managed == 0)
        boot_fail("too little memory: nothing is left after the kernel and the boot archive");
}
