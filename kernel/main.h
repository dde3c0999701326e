/* Where the boot code hands over. */
#ifndef KERNEL_MAIN_H
#define KERNEL_MAIN_H

#include "kernel/types.h"

/*
 * CPU 0, in long mode, on the boot stack, interrupts off; boot_info is filled. The low identity mapping is
 * still there. Never returns.
 */
NORETURN void kernel_main(void);

/*
 * Another CPU, from the trampoline, on its idle thread's stack, with the kernel's page tables, interrupts
 * off. Never returns.
 */
NORETURN void kernel_main_secondary(unsigned cpu_id);

#endif
