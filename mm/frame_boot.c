/*
 * Physical memory before there is a frame pool: who has which part of the RAM. arch/x86_64/mmu_boot.c takes
 * memory here for page tables and frame descriptors; then frame_init() asks what is left, and from then on
 * nobody comes here again. CPU 0 only, at boot, so there is no lock. The order of placing is fixed: the same
 * machine gets the same layout.
 */
#include "boot/boot_info.h"
#include "kernel/panic.h"
#include "mm/frame.h"

/*
 * The first 1 MiB belongs to the firmware's data, VGA, and the AP trampoline. This also keeps frame 0 out of
 * the pool, so that 0 can stand for "no frame".
 */
#define LOW_MEMORY_END 0x100000ull
#define FOUR_GIB       0x100000000ull   /* the AP trampoline loads CR3 with 32 bits */

#define MAX_TAKEN 64

/* What frame_boot_alloc() has given away, page-aligned and disjoint; neighbours are joined. */
static struct boot_region taken[MAX_TAKEN];
static unsigned taken_count;
static bool ended;

/* The n-th reserved part, page-aligned outwards; false: no more. */
static bool reserved_part(const struct boot_info *info, unsigned n, struct boot_region *part)
{
    if (n == 0)
        *part = (struct boot_region){0, LOW_MEMORY_END};
    else if (n == 1)
        *part = info->kernel;
    else if (n == 2)
        *part = info->archive;
    else if (n - 3 < taken_count)
        *part = taken[n - 3];
    else
        return false;
    part->start = align_down(part->start, PAGE_SIZE);
    part->end = align_up(part->end, PAGE_SIZE);
    return true;
}

bool frame_boot_reserved(const struct boot_info *info, uint64_t at, uint64_t end, uint64_t *change)
{
    struct boot_region part;
    *change = end;
    for (unsigned n = 0; reserved_part(info, n, &part); n++) {
        if (at >= part.start && at < part.end) {
            *change = min_u64(part.end, end);
            return true;
        }
        if (part.start > at && part.start < part.end)
            *change = min_u64(*change, part.start);
    }
    return false;
}

/* The highest `size` free bytes inside [start, end); 0: none. */
static uint64_t place_below(const struct boot_info *info, uint64_t start, uint64_t end, uint64_t size)
{
    struct boot_region part;
    for (unsigned n = 0; end > start && end - start >= size && reserved_part(info, n, &part); n++) {
        if (part.start < end && part.end > end - size && part.start < part.end) {
            end = part.start;
            n = -1u;            /* moved: look at all of them again */
        }
    }
    return end > start && end - start >= size ? end - size : 0;
}

/* The highest `size` free bytes of RAM inside [min, max); 0: none. */
static uint64_t place(const struct boot_info *info, uint64_t min, uint64_t max, uint64_t size)
{
    for (unsigned i = info->ram_count; i-- > 0;) {
        uint64_t start = max_u64(info->ram[i].start, min), end = min_u64(info->ram[i].end, max);
        uint64_t at = place_below(info, start, end, size);
        if (at)
            return at;
    }
    return 0;
}

/* Notes [start, end) as taken. */
static void take(uint64_t start, uint64_t end)
{
    for (unsigned i = 0; i < taken_count; i++) {
        if (taken[i].start == end) {
            taken[i].start = start;
            return;
        }
    }
    if (taken_count == MAX_TAKEN)
        boot_fail("memory is too scattered: more than %u pieces needed at boot", MAX_TAKEN);
    taken[taken_count++] = (struct boot_region){start, end};
}

paddr_t frame_boot_alloc(const struct boot_info *info, uint64_t pages)
{
    assert(!ended && pages > 0);
    uint64_t size = pages << PAGE_SHIFT;
    uint64_t at = place(info, 0, FOUR_GIB, size);
    if (!at)
        at = place(info, FOUR_GIB, UINT64_MAX, size);
    if (!at)
        boot_fail("too little memory: no %llu KiB left for page tables and frame descriptors",
                  (unsigned long long)(size >> 10));
    take(at, at + size);
    return paddr(at);
}

void frame_boot_end(void) { ended = true; }
