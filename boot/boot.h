/*
 * What boot/multiboot2.c and boot/pvh.c share: the way into loader memory, and the filling of boot_info
 * (boot/boot_info.c). All of it runs once, on CPU 0, on the temporary page tables, where the low 4 GiB are
 * mapped at DIRECT_BASE.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include "boot/boot_info.h"

/*
 * Pointer to `len` bytes at a physical address that the loader names; boot_fail(), naming `what`, if they
 * are not all mapped yet or wrap around. What the bytes say is not to be believed either.
 */
const void *boot_memory(uint64_t address, uint64_t len, const char *what);

/* Starts with an empty boot_info. */
void boot_begin(const char *loader);

/*
 * An entry of the firmware's memory map. Entries may overlap: tell of all usable ones first, then of the
 * others.
 */
void boot_ram_add(uint64_t start, uint64_t end);
void boot_ram_remove(uint64_t start, uint64_t end);

/* `text` need not end with a NUL if it has `max` bytes. boot_fail() if boot_info has no room for it. */
void boot_set_cmdline(const char *text, uint64_t max);

/* Brings the map into its final form, checks the archive against it, and goes on to kernel_main(). */
NORETURN void boot_end(void);

/* The TSC when the loader entered. Set by entry.asm; boot_begin() hands it on. */
extern uint64_t boot_entry_tsc;

/* Called by entry.asm with the physical address of the loader's information. */
NORETURN void boot_multiboot2(uint64_t info);
NORETURN void boot_pvh(uint64_t start_info);

#endif
