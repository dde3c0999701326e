/* mm/frame.c, mm/frame_boot.c and mm/table.c on a pretended machine, against a map of which frame is whose. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "arch/cpu.h"
#include "machine.h"
#include "test.h"

#define MIB 0x100000ull
#define MAX_BLOCKS 40000u

static struct boot_info info;

struct block { struct frame *frame; unsigned order; };
static struct block blocks[MAX_BLOCKS];
static unsigned block_count;
static uint64_t block_frames;
static uint8_t *owned;              /* by frame number */
static uint32_t owned_size;

/* RAM with holes at awkward places, the kernel and the archive at awkward places inside. */
static void start_scattered(void)
{
    static const struct boot_region ram[] = {
        {0, 0x9f000},
        {0x100000, 0x7e3000},               /* ends in the middle of every order */
        {0x7e5000, 0x1fff000},              /* a hole of two frames */
        {0x2000000, 0x2001000},             /* one frame */
        {0x2003000, 0x6000000},
        {0x100000000, 0x101801000},         /* above 4 GiB */
    };
    memcpy(info.ram, ram, sizeof(ram));
    info.ram_count = ARRAY_SIZE(ram);
    info.kernel = (struct boot_region){0x200000, 0x2a5000};
    info.archive = (struct boot_region){0x2a5123, 0x3b0777};
    machine_map(&info);
    owned_size = (uint32_t)(info.ram[5].end >> PAGE_SHIFT);
    owned = calloc(owned_size, 1);
}

static bool overlaps(uint64_t start, uint64_t end, uint64_t from, uint64_t to) { return start < to && from < end; }

/* Whether a block may be handed out at all. */
static bool is_usable(uint64_t start, uint64_t end)
{
    bool in_ram = false;
    for (unsigned i = 0; i < info.ram_count; i++)
        in_ram |= start >= info.ram[i].start && end <= info.ram[i].end;
    return in_ram && start >= MIB && !overlaps(start, end, info.kernel.start, info.kernel.end)
           && !overlaps(start, end, info.archive.start, info.archive.end);
}

static bool take(unsigned order)
{
    struct frame *frame = order ? frame_alloc_order(order) : frame_alloc();
    if (!frame)
        return false;
    uint32_t pfn = frame_pfn(frame).value, n = 1u << order;
    CHECK_EQ(pfn % n, 0);
    CHECK(is_usable((uint64_t)pfn << PAGE_SHIFT, (uint64_t)(pfn + n) << PAGE_SHIFT));
    for (uint32_t i = 0; i < n; i++) {
        CHECK(!owned[pfn + i] && frame[i].state == FRAME_OWNED);
        owned[pfn + i] = 1;
    }
    CHECK(block_count < MAX_BLOCKS);
    blocks[block_count++] = (struct block){frame, order};
    block_frames += n;
    return true;
}

static void give(unsigned index)
{
    struct block block = blocks[index];
    blocks[index] = blocks[--block_count];
    block_frames -= 1u << block.order;
    memset(&owned[frame_pfn(block.frame).value], 0, 1u << block.order);
    frame_free(block.frame);
}

static void check_counts(const struct frame_counts *start)
{
    struct frame_counts now = frame_count();
    CHECK_EQ(now.total, start->total);
    CHECK_EQ(now.boot, start->boot);
    CHECK_EQ(now.free, start->free - block_frames);
}

/* How many blocks of the largest order there are right now. */
static unsigned count_large(void)
{
    unsigned before = block_count;
    while (take(FRAME_MAX_ORDER))
        ;
    unsigned count = block_count - before;
    while (block_count > before)
        give(block_count - 1);
    return count;
}

TEST(frame_init_counts)
{
    start_scattered();
    paddr_t boot = frame_boot_alloc(&info, 3);
    CHECK_EQ(boot.value, 0x6000000 - 3 * PAGE_SIZE);
    frame_init(&info);
    struct frame_counts counts = frame_count();
    uint64_t all = 0;
    for (unsigned i = 0; i < info.ram_count; i++)
        all += (info.ram[i].end - info.ram[i].start) >> PAGE_SHIFT;
    CHECK_EQ(counts.total + counts.boot, all);
    CHECK_EQ(counts.boot, 0x9f + 0xa5 + 0x10c + 3);     /* low memory, kernel, archive, what we took */
    CHECK_EQ(counts.free, counts.total);
    CHECK_EQ(pfn_to_frame((pfn_t){0x200})->state, FRAME_RESERVED);
    CHECK_EQ(pfn_to_frame((pfn_t){0x3b0})->state, FRAME_RESERVED);
    CHECK_EQ(pfn_to_frame((pfn_t){0x3b1})->state, FRAME_FREE);
    CHECK_PANIC(frame_boot_alloc(&info, 1), "ended");
}

TEST(frame_boot_alloc_places)
{
    start_scattered();
    uint64_t seen = 0;
    for (unsigned i = 0; i < 11000; i++) {      /* more than is free above the hole */
        uint64_t pages = 1 + i % 3, at = frame_boot_alloc(&info, pages).value;
        CHECK(is_usable(at, at + pages * PAGE_SIZE));
        for (uint64_t p = 0; p < pages; p++)
            CHECK(!owned[(at >> PAGE_SHIFT) + p]++);
        seen += pages;
        CHECK(at < 1ull << 32);
    }
    uint64_t large = frame_boot_alloc(&info, 0x1700).value;     /* fits nowhere below 4 GiB any more */
    CHECK(large >= 1ull << 32 && is_usable(large, large + 0x1700 * PAGE_SIZE));
    CHECK_PANIC((void)frame_boot_alloc(&info, 1 << 20), "too little memory");
    frame_init(&info);
    CHECK_EQ(frame_count().boot, 0x9f + 0xa5 + 0x10c + seen + 0x1700);
    while (take(0))
        ;                                       /* checks that nothing of it comes again */
    CHECK_EQ(frame_count().free, 0);
}

TEST(frame_random)
{
    struct random r = {3};
    start_scattered();
    frame_init(&info);
    struct frame_counts start = frame_count();
    unsigned large = count_large();
    CHECK(large > 0);
    for (unsigned step = 0; step < 200000; step++) {
        /* Mostly filling, then mostly emptying. */
        unsigned fill = step / 10000 % 2 ? 3 : 6;
        if (random_below(&r, 9) < fill && block_count < MAX_BLOCKS)
            take(random_below(&r, 4) ? 0 : (unsigned)random_below(&r, FRAME_MAX_ORDER + 1));
        else if (block_count > 0)
            give((unsigned)random_below(&r, block_count));
        if (step % 64 == 0)
            check_counts(&start);
    }
    while (block_count > 0)
        give(block_count - 1);
    check_counts(&start);
    CHECK_EQ(count_large(), large);             /* everything has merged again */
}

TEST(frame_exhaustion)
{
    start_scattered();
    frame_init(&info);
    struct frame_counts start = frame_count();
    unsigned large = count_large();
    for (unsigned round = 0; round < 3; round++) {
        while (take(0))
            ;
        CHECK_EQ(frame_count().free, 0);
        CHECK_EQ(block_frames, start.total);
        CHECK(!frame_alloc() && !frame_alloc_order(1) && !frame_alloc_order(FRAME_MAX_ORDER));
        while (block_count > 0)
            give(round == 1 ? block_count - 1 : block_count / 2);
        check_counts(&start);
        CHECK_EQ(count_large(), large);
    }
}

TEST(frame_put_frees_the_last)
{
    machine_start(8);
    struct frame_counts start = frame_count();
    struct frame *frame = frame_alloc();
    frame->state = FRAME_READY;
    atomic_store(&frame->refs, 2);
    frame_get(frame);
    CHECK(!frame_put(frame) && !frame_put(frame) && frame_count().free == start.free - 1);
    CHECK(frame_put(frame) && frame_count().free == start.free);
    CHECK_PANIC(frame_put(frame), "FRAME_READY");
}

TEST(frame_double_free_panics)
{
    machine_start(8);
    struct frame *single = frame_alloc(), *block = frame_alloc_order(3);
    frame_free(single);
    CHECK_PANIC(frame_free(single), "freed in state");
    CHECK_PANIC(frame_free(block + 1), "freed in state");
    frame_free(block);
    CHECK_PANIC(frame_free(block), "freed in state");
    CHECK_PANIC(frame_free(pfn_to_frame((pfn_t){1})), "freed in state");
}

TEST(frame_poison)
{
    if (!DEBUG)
        return;
    machine_start(8);
    struct frame *frame = frame_alloc();
    uint8_t *bytes = frame_virt(frame);
    memset(bytes, 1, PAGE_SIZE);
    frame_free(frame);
    for (unsigned i = 0; i < PAGE_SIZE; i++)
        CHECK_EQ(bytes[i], 0xa5);
}

/* --- threads as CPUs --- */

static _Atomic uint8_t *shared_owned;

static void give_shared(struct block block)
{
    for (unsigned i = 0; i < 1u << block.order; i++)
        atomic_store(&shared_owned[frame_pfn(block.frame).value + i], 0);
    frame_free(block.frame);
}

static void *work(void *id)
{
    struct random r = {100 + (uintptr_t)id};
    struct block mine[300];
    unsigned count = 0;
    host_cpu = (unsigned)(uintptr_t)id;
    for (unsigned step = 0; step < 100000; step++) {
        if (count < 300 && random_below(&r, 2)) {
            unsigned order = random_below(&r, 8) ? 0 : (unsigned)random_below(&r, 6);
            struct frame *frame = frame_alloc_order(order);
            for (unsigned i = 0; frame && i < 1u << order; i++)
                CHECK(atomic_exchange(&shared_owned[frame_pfn(frame).value + i], 1) == 0);
            if (frame)
                mine[count++] = (struct block){frame, order};
        } else if (count > 0) {
            give_shared(mine[--count]);
        }
        if (step % 10 == 0) {
            struct frame *table = table_alloc();
            if (table)
                table_free(table);
        }
        CHECK(irqs_on());
    }
    while (count > 0)
        give_shared(mine[--count]);
    return NULL;
}

TEST(frame_four_cpus)
{
    machine_start(12);                          /* small, so that the pool runs empty at times */
    struct frame_counts start = frame_count();
    shared_owned = calloc(12 * 256, 1);
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(frame_count().free, start.free);
    free((void *)shared_owned);
}

/* --- tables --- */

static bool all_zero(const struct frame *frame)
{
    static const uint8_t zero[PAGE_SIZE];
    return memcmp(frame_virt(frame), zero, PAGE_SIZE) == 0;
}

TEST(table_stock)
{
    machine_start(8);
    struct frame_counts start = frame_count();
    struct frame *tables[40];
    for (unsigned i = 0; i < 40; i++) {
        struct frame *dirty = frame_alloc();    /* so that the frames that come next are not zero by chance */
        memset(frame_virt(dirty), 7, PAGE_SIZE);
        frame_free(dirty);
        tables[i] = table_alloc();
        CHECK(all_zero(tables[i]) && tables[i]->state == FRAME_TABLE && tables[i]->table.used == 0);
    }
    CHECK_EQ(frame_count().free, start.free - 40);
    for (unsigned i = 0; i < 40; i++)
        table_free(tables[i]);
    CHECK_EQ(frame_count().free, start.free);
    CHECK_EQ(table_stock_count(), 16);
    CHECK(!table_stock_fill());
    for (unsigned i = 0; i < 16; i++)
        tables[i] = table_alloc();
    CHECK_EQ(table_stock_count(), 0);
    unsigned filled = 0;
    while (table_stock_fill())
        filled++;
    CHECK_EQ(filled, 8);
    CHECK_EQ(frame_count().free, start.free - 16);
    if (DEBUG) {
        ((uint64_t *)frame_virt(tables[0]))[511] = 1;
        CHECK_PANIC(table_free(tables[0]), "is_zero");
    }
    CHECK_PANIC(table_free(list_entry(table_stock_take(), struct frame, link) + 1), "");
}

TEST(table_stock_is_the_last_reserve)
{
    machine_start(4);
    struct frame_counts start = frame_count();
    while (table_stock_fill())
        ;
    CHECK_EQ(table_stock_count(), 8);
    uint64_t got = 0;
    while (frame_alloc())
        got++;
    CHECK_EQ(got, start.total);
    CHECK_EQ(table_stock_count(), 0);
    CHECK_EQ(frame_count().free, 0);
    CHECK(!table_alloc() && !table_stock_fill());
}
