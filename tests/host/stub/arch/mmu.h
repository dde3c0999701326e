/* Stands in for arch/mmu.h in host tests: the same address arithmetic, at addresses that a program can map. */
#ifndef ARCH_MMU_H
#define ARCH_MMU_H

#include "kernel/types.h"

#define DIRECT_BASE 0x200000000000ul
#define FRAMES_BASE 0x300000000000ul

static inline void *phys_to_virt(paddr_t p)            { return (void *)(DIRECT_BASE + p.value); }
static inline paddr_t virt_to_phys(const void *direct) { return paddr((uintptr_t)direct - DIRECT_BASE); }
static inline void *pfn_to_virt(pfn_t pfn)             { return phys_to_virt(pfn_to_phys(pfn)); }

#endif
