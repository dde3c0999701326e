/*
 * Taking pages out of an address space, in bounded steps, with the flush between the last use and the
 * freeing.
 */
#ifndef MM_ZAP_H
#define MM_ZAP_H

#include "mm/aspace.h"

/*
 * Empties every entry in [start, end), gives back tables that are empty then, and frees what nobody else
 * has once no CPU can reach it any more. Frames of pages that are io are left to their requests. The
 * range's VMA is dying, so nothing new comes. Interrupts on, no lock held.
 */
void zap_range(struct aspace *space, vaddr_t start, vaddr_t end);

#endif
