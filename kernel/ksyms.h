/* The kernel's functions by address, for backtraces. The table is made by tools/ksyms after a first link. */
#ifndef KERNEL_KSYMS_H
#define KERNEL_KSYMS_H

#include "kernel/types.h"

/*
 * The function that contains `address`, and how far inside it that is; NULL if it is no address of kernel
 * code. Any context.
 */
const char *ksym_name(uint64_t address, uint64_t *offset);

#endif
