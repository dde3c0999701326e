/* COM1, as far as the console needs it. Output under the console's lock; input has its own. */
#ifndef KERNEL_SERIAL_H
#define KERNEL_SERIAL_H

#include "kernel/types.h"

/*
 * 115200 8n1, output only. Boot, before anything else. Without a UART, output goes nowhere and input never
 * comes.
 */
void serial_init(void);

/*
 * Sends up to `len` bytes, as many as the UART takes at once, "\n" as "\r\n". Returns how many are done
 * with; 0: busy, try again. A UART that stays busy for a tenth of a second loses bytes rather than stops
 * the kernel.
 */
unsigned serial_send(const char *bytes, unsigned len);

/*
 * Turns on input by interrupt; each batch calls `arrived`, interrupts off, no lock held. Boot, after
 * irq_init().
 */
void serial_input_init(void (*arrived)(void));

/* The oldest byte that has arrived, or -1. Any context; lock of rank LEAF. */
int serial_receive(void);

#endif
