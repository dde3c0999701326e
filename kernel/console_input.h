/* Reading what was typed on the serial line. */
#ifndef KERNEL_CONSOLE_INPUT_H
#define KERNEL_CONSOLE_INPUT_H

#include "kernel/types.h"

/* Boot, after the console's interrupt is routed. */
void console_read_init(void);

/* Waits for at least one byte, takes up to `len`. How many, or E_KILLED. No lock held. */
status_t MUST_CHECK console_read(char *buf, size_t len);

#endif
