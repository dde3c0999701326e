/* Starting the first user program. */
#ifndef KERNEL_BOOT_TIME_H
#define KERNEL_BOOT_TIME_H

#include "kernel/types.h"

/* When its first instruction was about to run, in ns since boot. */
extern uint64_t boot_first_user_ns;

/*
 * A kernel thread's main function: loads options.init from the boot archive and starts it. boot_fail() with
 * the reason if that is not possible.
 */
void first_program(void *unused);

#endif
