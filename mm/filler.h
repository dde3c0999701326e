/*
 * Where a page's bytes come from: the one place that writes them, with the best instructions that this CPU
 * has.
 */
#ifndef MM_FILLER_H
#define MM_FILLER_H

#include "kernel/types.h"

/* Boot: chooses by CPUID. */
void filler_init(void);

/* One page. Interrupts on, no lock held, no fault. */
void filler_zero(void *page);
void filler_copy(void *page, const void *source);

#endif
