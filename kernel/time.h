/* Time since boot, in nanoseconds, from the TSC. */
#ifndef KERNEL_TIME_H
#define KERNEL_TIME_H

#include "kernel/types.h"

#define TIME_NEVER UINT64_MAX

/* Set by timer_calibrate(): TSC ticks per second, and the TSC's value at time 0. Fixed after boot. */
extern uint64_t tsc_hz;
extern uint64_t tsc_boot;

/* Sets both, and what the conversions need. `hz` is at least 1. CPU 0, boot, once. */
void time_init(uint64_t hz, uint64_t boot);

/* Nanoseconds since boot. Monotonic on each CPU. Any context, after timer_calibrate(). */
uint64_t time_ns(void);

/*
 * Conversions that neither overflow nor lose more than a tick, for up to centuries; beyond that they stay
 * at UINT64_MAX.
 */
uint64_t ns_to_tsc(uint64_t ns);
uint64_t tsc_to_ns(uint64_t ticks);

#endif
