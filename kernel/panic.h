/* What the kernel does when it finds itself wrong: say everything it knows, and stop with status 125. */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include <stdatomic.h>
#include "kernel/types.h"

struct trap_frame;

/* Set by the first CPU that panics, never cleared: the others only stop. */
extern _Atomic bool panic_in_progress;

/*
 * Stops the other CPUs, prints the message, the running thread, the locks held, a symbolised backtrace and
 * the init queues on serial and screen, and ends the machine so that tools/run exits with 125. Never
 * returns. Any context.
 */
NORETURN PRINTF(1, 2) void panic(const char *format, ...);

/* The same, with the registers of an exception and the backtrace from where it happened. */
NORETURN PRINTF(2, 3) void panic_trap(const struct trap_frame *frame, const char *format, ...);

/*
 * The machine cannot run Primer or was started wrongly (no archive, too little memory, an unknown option,
 * ...): one clear line to the person who started it, no backtrace, status 125. Boot only.
 */
NORETURN PRINTF(1, 2) void boot_fail(const char *format, ...);

/* For what is checked on hot paths: only in debug builds, which all tests run. */
#define debug_assert(condition)                                                         \
    do {                                                                                \
        if (DEBUG)                                                                      \
            assert(condition);                                                          \
    } while (0)

#define assert(condition)                                                               \
    do {                                                                                \
        if (unlikely(!(condition)))                                                     \
            panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #condition);       \
    } while (0)

#endif
