/* The kernel's own words: a formatter, and a console that goes to the serial line and the screen. */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include <stdarg.h>
#include "kernel/types.h"

/*
 * A subset of printf: %s %c %d %i %u %x %p %% with 0, -, width, precision (for %s, also as '*'), and l, ll,
 * z lengths. Returns the length it would have had; always NUL-terminates if size > 0. Pure.
 */
int format_v(char *buf, size_t size, const char *format, va_list args);
PRINTF(3, 4) int format(char *buf, size_t size, const char *format, ...);

/*
 * Prints a line or part of one, at most 255 bytes, never torn by other CPUs. Any context; lock of rank
 * CONSOLE.
 */
PRINTF(1, 2) void kprintf(const char *format, ...);

/*
 * Writes bytes as they are to serial and screen (kernel/console.c). Any context. Up to 256 bytes stay
 * together; longer text may be mixed with other writers'. Holds the console lock for a few bytes at a time,
 * so that interrupts stay off only briefly.
 */
void console_write(const char *bytes, size_t len);

/* Before kernel_main() does anything else: serial line only. */
void console_early_init(void);
struct boot_info;
/* Once the direct map is there: the screen, framebuffer or VGA text. */
void console_screen_init(const struct boot_info *info);
/* Once interrupts are routed: serial input. */
void console_input_init(void);
/*
 * From now on nobody takes the console lock; what was pending is out on return. For panic() and
 * machine_end().
 */
void console_panic_mode(void);

/* One byte of serial input that has arrived, or -1. Any context. */
int console_poll(void);

/*
 * Called when input has arrived, from the interrupt, no lock held; NULL: nobody waits. Set before
 * console_input_init().
 */
extern void (*console_on_input)(void);

#endif
