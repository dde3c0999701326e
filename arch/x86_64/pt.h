/*
 * How a page-table tree is walked: shared by mmu.c (address spaces) and mmu_boot.c (the kernel half), and by
 * nobody else. Level 0 is the table of leaf entries, level 3 the PML4 (SDM vol. 3, 4.5 "4-level paging").
 */
#ifndef ARCH_X86_64_PT_H
#define ARCH_X86_64_PT_H

#include "arch/mmu.h"

#define PT_ENTRIES  512u
#define PT_TOP      3u
#define KERNEL_HALF 256u        /* PML4 entries from here on are the kernel's */

/* What one entry of a table of that level covers, in bytes; and the entry that `va` goes through. */
static inline uint64_t pt_span(unsigned level) { return PAGE_SIZE << (9 * level); }
static inline unsigned pt_index(vaddr_t va, unsigned level)
{
    return va >> (PAGE_SHIFT + 9 * level) & (PT_ENTRIES - 1);
}

/* Whether an entry above level 0 points at a table: there, and no large page. */
static inline bool pt_is_table(pte_t entry)  { return (entry.bits & (PTE_P | PTE_PS)) == PTE_P; }
static inline pte_t *pt_table(pte_t entry)   { return phys_to_virt(paddr(entry.bits & PTE_ADDR)); }

/*
 * The kernel's own tables: PML4 entries from KERNEL_HALF on are what every space shares. Fixed after
 * mmu_boot_init().
 */
extern struct pagetable kernel_tables;
extern uint8_t kernel_entries[PT_ENTRIES - KERNEL_HALF];    /* those in use, as index - KERNEL_HALF ... */
extern unsigned kernel_entry_count;                         /* ... and how many */

#endif
