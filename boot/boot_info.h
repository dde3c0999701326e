/*
 * What the kernel was told by whoever loaded it, in one form for Multiboot2 (GRUB) and PVH (QEMU -kernel).
 * Filled by boot/multiboot2.c or boot/pvh.c before anything else runs; copied out of the loader's memory,
 * so that it stays valid.
 */
#ifndef BOOT_BOOT_INFO_H
#define BOOT_BOOT_INFO_H

#include "kernel/types.h"

#define BOOT_MAX_REGIONS 64
#define BOOT_CMDLINE_MAX 1024

struct boot_region { uint64_t start, end; };        /* physical bytes, [start, end) */

struct boot_framebuffer {                           /* address 0: none, there is VGA text at 0xb8000 */
    uint64_t address;
    uint32_t pitch, width, height;                  /* bytes, pixels, pixels */
    uint8_t bits_per_pixel, red_shift, green_shift, blue_shift;
};

struct boot_info {
    struct boot_region ram[BOOT_MAX_REGIONS];       /* usable RAM: page aligned, sorted, disjoint; kernel and archive still inside */
    unsigned ram_count;
    struct boot_region kernel;                      /* the loaded image with its bss, page aligned outwards */
    struct boot_region archive;                     /* the boot archive's bytes; start == end if there is none */
    uint64_t acpi_rsdp;                             /* physical address of the RSDP; 0: not told, search the BIOS area */
    struct boot_framebuffer framebuffer;
    char cmdline[BOOT_CMDLINE_MAX];                 /* kernel command line, NUL-terminated, without the kernel's name */
    uint64_t entry_tsc;                             /* the TSC when the loader entered: where time begins */
    const char *loader;                             /* "multiboot2" or "pvh" */
};

/* Valid from the start of kernel_main(). */
extern struct boot_info boot_info;

#endif
