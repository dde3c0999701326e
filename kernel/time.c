/*
 * The clock: nanoseconds since boot from the CPU's time-stamp counter. Everybody asks; there is no lock,
 * since all here is fixed once timer_calibrate() has called time_init(). Conversion is a multiplication by
 * a precomputed ratio, because a 128-bit division needs a library that the kernel does not have, and a slow
 * one at that. Alarms live in kernel/timer.c, not here.
 */
#include "kernel/time.h"

#include "arch/cpu.h"

#define NS_PER_SECOND 1000000000ull

/*
 * whole + fraction / 2^64, rounded down: off by less than 2^-64, so that a 64-bit count loses less than
 * one.
 */
struct ratio { uint64_t whole, fraction; };

uint64_t tsc_hz, tsc_boot;
static struct ratio ns_per_tick, ticks_per_ns;

/*
 * a / b by long division, one binary digit of the fraction at a time. b is below 2^63: the remainder can be
 * doubled.
 */
static struct ratio ratio_make(uint64_t a, uint64_t b)
{
    struct ratio ratio = {.whole = a / b};
    uint64_t rest = a % b;
    for (unsigned digit = 0; digit < 64; digit++) {
        rest <<= 1;
        ratio.fraction <<= 1;
        if (rest >= b) {
            rest -= b;
            ratio.fraction |= 1;
        }
    }
    return ratio;
}

static uint64_t scale(uint64_t count, const struct ratio *ratio)
{
    unsigned __int128 product = (unsigned __int128)count * ratio->whole
                              + ((unsigned __int128)count * ratio->fraction >> 64);
    return product > UINT64_MAX ? UINT64_MAX : (uint64_t)product;
}

void time_init(uint64_t hz, uint64_t boot)
{
    tsc_hz = hz;
    tsc_boot = boot;
    ns_per_tick = ratio_make(NS_PER_SECOND, hz);
    ticks_per_ns = ratio_make(hz, NS_PER_SECOND);
}

uint64_t time_ns(void) { return tsc_to_ns(rdtsc() - tsc_boot); }
uint64_t ns_to_tsc(uint64_t ns) { return scale(ns, &ticks_per_ns); }
uint64_t tsc_to_ns(uint64_t ticks) { return scale(ticks, &ns_per_tick); }
