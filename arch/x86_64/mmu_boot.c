/*
 * The kernel half of every address space, built once at boot, before there is a frame pool. kernel_main()
 * calls mmu_boot_init() on CPU 0; drivers, threads and smp_start() call the small functions below it. After
 * mmu_boot_init() no table is added or removed, here or in any space's copy: what changes later are leaf
 * entries that turn from none to present, which no CPU can have cached (SDM vol. 3, 4.10.4.3). So there is no
 * lock, and but for the trampoline's page nothing is ever flushed.
 *
 *   0000000000000000  user: one tree per space, USER_MIN to USER_MAX. In the kernel's own tables: the trampoline's
 *                     page while other CPUs start (mmu_identity_begin)
 *   0000800000000000  (not canonical)
 *   ffff800000000000  DIRECT_BASE   physical memory, from 0 to the end of RAM, at least 4 GiB. RW, never X; text
 *                                   and read-only data of the image R. Devices lie inside, too, mapped cacheable:
 *                                   nobody uses them through it, and the firmware's MTRRs keep the CPU from
 *                                   caching them (SDM vol. 3, 12.11)
 *   ffffc00000000000  FRAMES_BASE   frames[], 64 bytes per frame: RW where there is RAM, holes elsewhere
 *   ffffd00000000000  KSTACK_BASE   4,096 slots of 16 KiB: 8 KiB guard, 8 KiB stack
 *   ffffe00000000000  DEVICE_BASE   2 MiB in small pages, then large pages up to 1 GiB: RW, uncached
 *   ffffffff80000000  KERNEL_BASE   the image, in small pages: text RX, read-only data R, data and bss RW
 *
 * All of these are supervisor-only and global: a switch of spaces leaves them in the TLB.
 */
#include "arch/cpu.h"
#include "arch/x86_64/pt.h"
#include "boot/boot_info.h"
#include "kernel/panic.h"
#include "mm/frame.h"

#define LARGE_PAGE (512 * PAGE_SIZE)
#define GIB_PAGE   (512 * LARGE_PAGE)
#define LOW_4_GIB  (4 * GIB_PAGE)       /* what the boot tables map at 0 and at DIRECT_BASE */
#define DIRECT_MAX (1ull << (32 + PAGE_SHIFT))      /* as far as a pfn_t goes: 16 TiB */

#define TRAMPOLINE_MAX (1ul << 20)      /* a start-up IPI names a page below 1 MiB (SDM vol. 3, 9.4.4) */

/*
 * Uncached, but a write-combining MTRR may override: the PAT's third entry, UC-, after reset (SDM vol. 3,
 * 12.12.4). That is what framebuffers want and registers never meet.
 */
#define PTE_PCD (1ull << 4)

#define MAP_TEXT   (PTE_P | PTE_G)
#define MAP_RODATA (PTE_P | PTE_G | PTE_NX)
#define MAP_DATA   (PTE_P | PTE_G | PTE_NX | PTE_W)
#define MAP_DEVICE (MAP_DATA | PTE_PCD)

/* Of linker.ld, in this order; the starts are page-aligned, and nothing else is on the last page of each. */
extern char __text_start[], __text_end[], __rodata_start[], __rodata_end[], __data_start[], __kernel_end[];

static uint64_t image_phys(const char *symbol) { return (uintptr_t)symbol - KERNEL_BASE; }

/* Frames that the tables in CR3 reach through DIRECT_BASE end here: the boot tables know the low 4 GiB. */
static uint64_t direct_end = LOW_4_GIB;

static void *zeroed_pages(const struct boot_info *info, uint64_t pages)
{
    paddr_t start = frame_boot_alloc(info, pages);
    if (start.value + pages * PAGE_SIZE > direct_end)
        boot_fail("No memory below 4 GiB is left for the kernel's page tables.");
    void *first = phys_to_virt(start);
    void *at = first;
    uint64_t words = pages * PAGE_SIZE / 8;
    __asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(0ul) : "memory");
    return first;
}

/* The entry for `va` in its table of that level, with the tables above it. */
static pte_t *boot_entry(const struct boot_info *info, vaddr_t va, unsigned level)
{
    pte_t *table = kernel_tables.root;
    for (unsigned at = PT_TOP; at > level; at--) {
        pte_t *slot = &table[pt_index(va, at)];
        if (pte_is_none(*slot))
            slot->bits = virt_to_phys(zeroed_pages(info, 1)).value | PTE_P | PTE_W;
        table = pt_table(*slot);
    }
    return &table[pt_index(va, level)];
}

/* `len` is rounded up to whole pages. */
static void map_pages(const struct boot_info *info, vaddr_t va, uint64_t phys, uint64_t len, uint64_t flags)
{
    for (uint64_t done = 0; done < len; done += PAGE_SIZE)
        boot_entry(info, va + done, 0)->bits = (phys + done) | flags;
}

/* Makes the tables of an area whose leaf entries are set later. */
static void make_tables(const struct boot_info *info, vaddr_t start, uint64_t len)
{
    for (uint64_t done = 0; done < len; done += PT_SPAN)
        boot_entry(info, start + done, 0);
}

/* Whether RAM ends or begins inside [start, end): what lies there may need different memory types. */
static bool has_ram_edge(const struct boot_info *info, uint64_t start, uint64_t end)
{
    for (unsigned i = 0; i < info->ram_count; i++) {
        const struct boot_region *ram = &info->ram[i];
        if ((ram->start > start && ram->start < end) || (ram->end > start && ram->end < end))
            return true;
    }
    return false;
}

/*
 * The level of table that maps the page of the direct map at `phys`. A page that spans memory types is
 * undefined (SDM vol. 3, 12.11.9), so 1 GiB pages keep away from RAM's edges; those of MTRRs do not get finer
 * than 2 MiB, except in the first MiB, which the CPU takes care of itself (same section).
 */
static unsigned direct_level(const struct boot_info *info, uint64_t phys)
{
    uint64_t image_end = image_phys(__rodata_end), large = align_down(phys, LARGE_PAGE);
    if (large < image_end && large + LARGE_PAGE > image_phys(__text_start))
        return 0;
    bool gib = cpu_features.gib_pages && phys % GIB_PAGE == 0 && phys >= image_end
               && !has_ram_edge(info, phys, phys + GIB_PAGE);
    return gib ? 2 : 1;
}

static void map_direct(const struct boot_info *info)
{
    uint64_t end = LOW_4_GIB;
    if (info->ram_count > 0)
        end = max_u64(end, align_up(info->ram[info->ram_count - 1].end, GIB_PAGE));
    if (end > DIRECT_MAX)
        boot_fail("Primer can use at most 16 TiB of memory; this machine's ends at %llu GiB.",
                  (unsigned long long)(end / GIB_PAGE));

    uint64_t fixed_start = image_phys(__text_start), fixed_end = image_phys(__rodata_end);
    for (uint64_t phys = 0; phys < end;) {
        unsigned level = direct_level(info, phys);
        bool fixed = phys >= fixed_start && phys < fixed_end;
        boot_entry(info, DIRECT_BASE + phys, level)->bits =
            phys | (fixed ? MAP_RODATA : MAP_DATA) | (level > 0 ? PTE_PS : 0);
        phys += pt_span(level);
    }
}

static void map_image(const struct boot_info *info)
{
    vaddr_t text = (vaddr_t)__text_start, rodata = (vaddr_t)__rodata_start, data = (vaddr_t)__data_start;
    assert(text < rodata && rodata < data && ((text | rodata | data) & PAGE_MASK) == 0);
    map_pages(info, text, image_phys(__text_start), (vaddr_t)__text_end - text, MAP_TEXT);
    map_pages(info, rodata, image_phys(__rodata_start), (vaddr_t)__rodata_end - rodata, MAP_RODATA);
    map_pages(info, data, image_phys(__data_start), (vaddr_t)__kernel_end - data, MAP_DATA);
}

/*
 * Zeroed descriptors (FRAME_RESERVED is 0) for the frames of RAM. Two regions can share a page of
 * descriptors; they are sorted, so it is the first of the later one.
 */
static void map_frames(const struct boot_info *info)
{
    for (unsigned i = 0; i < info->ram_count; i++) {
        const struct boot_region *ram = &info->ram[i];
        vaddr_t va = align_down((vaddr_t)pfn_to_frame(phys_to_pfn(paddr(ram->start))), PAGE_SIZE);
        vaddr_t end = align_up((vaddr_t)pfn_to_frame(phys_to_pfn(paddr(ram->end))), PAGE_SIZE);
        if (!pte_is_none(*boot_entry(info, va, 0)))
            va += PAGE_SIZE;
        while (va < end) {
            uint64_t len = min_u64(end - va, LARGE_PAGE);
            void *memory = zeroed_pages(info, len / PAGE_SIZE);
            map_pages(info, va, virt_to_phys(memory).value, len, MAP_DATA);
            va += len;
        }
    }
}

void mmu_boot_init(const struct boot_info *info)
{
    kernel_tables.root = zeroed_pages(info, 1);
    map_direct(info);
    map_image(info);
    make_tables(info, KSTACK_BASE, MAX_KSTACKS * KSTACK_SLOT);
    make_tables(info, DEVICE_BASE, LARGE_PAGE);
    make_tables(info, 0, TRAMPOLINE_MAX);

    /* From here on all RAM is in reach, so that a large machine's descriptors need not fit below 4 GiB. */
    mmu_load_kernel();
    direct_end = DIRECT_MAX;
    map_frames(info);

    for (unsigned i = KERNEL_HALF; i < PT_ENTRIES; i++) {
        if (!pte_is_none(kernel_tables.root[i]))
            kernel_entries[kernel_entry_count++] = (uint8_t)(i - KERNEL_HALF);
    }
}

/*
 * The entry for `va` in its table of that level, whose tables boot has made. Not pt_lookup(), which needs a
 * lock.
 */
static pte_t *kernel_entry(vaddr_t va, unsigned level)
{
    pte_t *table = kernel_tables.root;
    for (unsigned at = PT_TOP; at > level; at--)
        table = pt_table(table[pt_index(va, at)]);
    return &table[pt_index(va, level)];
}

void mmu_map_kstack(vaddr_t va, pfn_t pfn)
{
    assert(va >= KSTACK_BASE && va < KSTACK_BASE + MAX_KSTACKS * KSTACK_SLOT);
    assert(va % PAGE_SIZE == 0 && va % KSTACK_SLOT >= KSTACK_SLOT / 2);
    pte_t *slot = kernel_entry(va, 0);
    assert(pte_is_none(*slot));
    pte_set(slot, (pte_t){pfn_to_phys(pfn).value | MAP_DATA});
}

/*
 * A device of 2 MiB or more gets whole large pages. What else lies in them is mapped along; without anyone
 * using that alias it is never touched, since CPUs do not read uncached memory ahead of need (SDM vol. 3,
 * 12.3).
 */
volatile void *mmu_map_device(paddr_t start, uint64_t size)
{
    static vaddr_t next_small = DEVICE_BASE, next_large = DEVICE_BASE + LARGE_PAGE;
    bool large = size >= LARGE_PAGE;
    uint64_t page = large ? LARGE_PAGE : PAGE_SIZE;
    vaddr_t *next = large ? &next_large : &next_small;
    vaddr_t limit = DEVICE_BASE + (large ? GIB_PAGE : LARGE_PAGE);
    uint64_t first = align_down(start.value, page), end = align_up(start.value + size, page);

    if (end - first > limit - *next)
        panic("no room to map %llu bytes of a device", (unsigned long long)size);
    vaddr_t result = *next + (start.value - first);
    for (uint64_t phys = first; phys < end; phys += page, *next += page) {
        if (large)
            pte_set(kernel_entry(*next, 1), (pte_t){phys | MAP_DEVICE | PTE_PS});
        else
            pte_set(kernel_entry(*next, 0), (pte_t){phys | MAP_DEVICE});
    }
    return (volatile void *)result;
}

static vaddr_t identity_page;

/* Not global, so that a CPU that has seen the page forgets it with its first change of CR3. */
void mmu_identity_begin(paddr_t page)
{
    assert(page.value % PAGE_SIZE == 0 && page.value < TRAMPOLINE_MAX);
    assert(pte_is_none(*kernel_entry(identity_page, 0)));
    identity_page = page.value;
    pte_set(kernel_entry(identity_page, 0), (pte_t){page.value | PTE_P});
}

/* The tables stay, empty: another CPU may have cached the way to them. */
void mmu_identity_end(void)
{
    pte_set(kernel_entry(identity_page, 0), (pte_t){0});
    mmu_flush_page(identity_page);
}
