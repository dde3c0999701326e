/*
 * The room where a boot loader's words become struct boot_info. multiboot2.c and pvh.c know how each
 * protocol writes them down; here is what both need: bounds, the map of usable RAM, the command line. Boot
 * only, CPU 0, so no locks. It does not set memory aside for the kernel or the archive (mm/frame.c does),
 * and reads neither ACPI nor the archive.
 */
#include "boot/boot.h"
#include "arch/mmu.h"
#include "kernel/log.h"
#include "kernel/main.h"
#include "kernel/panic.h"

#define MAPPED_END (4ull << 30)         /* what entry.asm has mapped */
#define LOW_END    (1ull << 20)         /* below, firmware may still write (EBDA, SMM): never handed out */
#define TRAMPOLINE_END (64ull << 10)    /* below, the other CPUs start (boot/trampoline.asm) */

extern char __kernel_start[], __kernel_end[];

struct boot_info boot_info;

const void *boot_memory(uint64_t address, uint64_t len, const char *what)
{
    if (address == 0 || address >= MAPPED_END || len > MAPPED_END - address)
        boot_fail("the boot loader's %s at %lx, %lu bytes, is out of reach", what, address, len);
    return phys_to_virt(paddr(address));
}

void boot_begin(const char *loader)
{
    console_early_init();
    boot_info.loader = loader;
    boot_info.entry_tsc = boot_entry_tsc;
    boot_info.kernel.start = (uintptr_t)__kernel_start - KERNEL_BASE;
    boot_info.kernel.end = align_up((uintptr_t)__kernel_end - KERNEL_BASE, PAGE_SIZE);
}

void boot_ram_add(uint64_t start, uint64_t end)
{
    if (start >= end)
        return;
    if (boot_info.ram_count == BOOT_MAX_REGIONS)
        boot_fail("the firmware's memory map has more than %d regions of RAM", BOOT_MAX_REGIONS);
    boot_info.ram[boot_info.ram_count++] = (struct boot_region){start, end};
}

void boot_ram_remove(uint64_t start, uint64_t end)
{
    if (start >= end)
        return;
    unsigned count = boot_info.ram_count;       /* what is split off below is clear of the range already */
    for (unsigned i = 0; i < count; i++) {
        struct boot_region *region = &boot_info.ram[i];
        if (region->end <= start || end <= region->start)
            continue;
        uint64_t above = region->end;
        region->end = max_u64(region->start, start);
        if (above > end && region->start == region->end)
            *region = (struct boot_region){end, above};
        else
            boot_ram_add(end, above);
    }
}

void boot_set_cmdline(const char *text, uint64_t max)
{
    uint64_t len = 0;
    while (len < max && text[len] != '\0')
        len++;
    if (len >= BOOT_CMDLINE_MAX)
        boot_fail("the kernel command line is longer than %d bytes", BOOT_CMDLINE_MAX - 1);
    for (uint64_t i = 0; i < len; i++)
        boot_info.cmdline[i] = text[i];
    boot_info.cmdline[len] = '\0';
}

/* Insertion sort by start: firmware maps are short and nearly sorted. */
static void sort_ram(void)
{
    for (unsigned i = 1; i < boot_info.ram_count; i++) {
        struct boot_region region = boot_info.ram[i];
        unsigned at = i;
        for (; at > 0 && boot_info.ram[at - 1].start > region.start; at--)
            boot_info.ram[at] = boot_info.ram[at - 1];
        boot_info.ram[at] = region;
    }
}

/*
 * Joins regions that touch or overlap, then keeps the whole pages of each. Aligning first would lose a page
 * that two of them share.
 */
static void merge_ram(void)
{
    unsigned merged = 0;
    for (unsigned i = 0; i < boot_info.ram_count; i++) {
        struct boot_region region = boot_info.ram[i];
        if (region.start == region.end)
            continue;
        if (merged > 0 && region.start <= boot_info.ram[merged - 1].end)
            boot_info.ram[merged - 1].end = max_u64(boot_info.ram[merged - 1].end, region.end);
        else
            boot_info.ram[merged++] = region;
    }
    boot_info.ram_count = 0;
    for (unsigned i = 0; i < merged; i++) {
        struct boot_region region = boot_info.ram[i];
        if (region.start <= UINT64_MAX - PAGE_MASK)
            boot_ram_add(align_up(region.start, PAGE_SIZE), align_down(region.end, PAGE_SIZE));
    }
}

static bool in_ram(struct boot_region wanted)
{
    for (unsigned i = 0; i < boot_info.ram_count; i++)
        if (boot_info.ram[i].start <= wanted.start && wanted.end <= boot_info.ram[i].end)
            return true;
    return false;
}

/* Low memory leaves the map, but for the archive: with UEFI, GRUB puts it there if it is small enough. */
static void remove_low_ram(struct boot_region archive)
{
    bool low = archive.start != archive.end && archive.start < LOW_END;
    boot_ram_remove(0, low ? max_u64(archive.start, TRAMPOLINE_END) : LOW_END);
    boot_ram_remove(low ? align_up(archive.end, PAGE_SIZE) : 0, LOW_END);
}

void boot_end(void)
{
    struct boot_region kernel = boot_info.kernel, archive = boot_info.archive;
    remove_low_ram(archive);
    sort_ram();
    merge_ram();
    if (!in_ram(kernel))
        boot_fail("the kernel at %lx-%lx is not in usable RAM", kernel.start, kernel.end);
    if (archive.start != archive.end) {
        bool bad = archive.start > archive.end || (archive.start & PAGE_MASK) || !in_ram(archive)
                   || (archive.start < kernel.end && kernel.start < archive.end);
        if (bad)
            boot_fail("the boot archive at %lx-%lx is not page-aligned, not in usable RAM or inside the kernel",
                      archive.start, archive.end);
    }
    kernel_main();
}
