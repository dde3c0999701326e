/* Waiting on a word of user memory, and waking who does: what locks in user programs are made of. */
#ifndef KERNEL_ADDRESS_H
#define KERNEL_ADDRESS_H

#include "kernel/types.h"

/*
 * Sleeps if the 32-bit word at `address` (aligned, a user address of the current space) has `value`. 0:
 * woken, or for no reason; E_AGAIN: it has not; E_TIMEOUT; E_KILLED; E_BAD_ADDRESS. No lock held.
 */
status_t MUST_CHECK address_wait(vaddr_t address, uint32_t value, uint64_t deadline_ns);

/* Wakes up to `count` threads of the current space that wait there. How many. No lock held. */
uint64_t address_wake(vaddr_t address, uint64_t count);

#endif
