/*
 * Memory for the tests of mm/. Pages appear when they are touched, so the machine may be larger than the host. Descriptors
 * of holes that share a host page with those of RAM are closed with AddressSanitizer's manual poisoning.
 */
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include "machine.h"
#include "test.h"

static void map(uintptr_t start, uintptr_t end)
{
    start = align_down(start, PAGE_SIZE);
    end = align_up(end, PAGE_SIZE);
    for (uintptr_t at = start; at < end; at += PAGE_SIZE) {     /* page by page: regions can share one of descriptors */
        void *got = mmap((void *)at, PAGE_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
        if (got == (void *)at)
            __asan_poison_memory_region(got, PAGE_SIZE);
    }
}

void machine_map(const struct boot_info *info)
{
    for (unsigned i = 0; i < info->ram_count; i++) {
        uint64_t start = info->ram[i].start, end = info->ram[i].end;
        uintptr_t first = (uintptr_t)pfn_to_frame(phys_to_pfn(paddr(start)));
        uintptr_t beyond = (uintptr_t)pfn_to_frame(phys_to_pfn(paddr(end)));
        map(first, beyond);
        __asan_unpoison_memory_region((void *)first, beyond - first);
        void *ram = phys_to_virt(paddr(start));
        CHECK(mmap(ram, end - start, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) == ram);
    }
}

void machine_start(unsigned mib)
{
    static struct boot_info info;
    info.ram[0] = (struct boot_region){0, (uint64_t)mib << 20};
    info.ram_count = 1;
    machine_map(&info);
    frame_init(&info);
}
