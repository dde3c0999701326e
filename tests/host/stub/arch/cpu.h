/* Stands in for arch/cpu.h in host tests: a "CPU" is a number that the test sets, one per host thread. */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include <stdatomic.h>
#include "kernel/types.h"

struct spinlock;

struct cpu {
    uint32_t id;
    unsigned nheld;
    struct spinlock *held[8];
};

extern struct cpu cpus[MAX_CPUS];
extern _Thread_local unsigned host_cpu;         /* who this_cpu() is */
extern _Thread_local bool host_irqs_off;
extern uint64_t host_tsc;                       /* what rdtsc() says */

static inline unsigned cpu_count(void) { return MAX_CPUS; }
static inline struct cpu *this_cpu(void) { return &cpus[host_cpu]; }

#define RFLAGS_IF (1ull << 9)

static inline bool irqs_on(void) { return !host_irqs_off; }

static inline uint64_t irq_save(void)
{
    uint64_t flags = host_irqs_off ? 0 : RFLAGS_IF;
    host_irqs_off = true;
    return flags;
}

static inline void irq_restore(uint64_t flags)
{
    if (flags & RFLAGS_IF)
        host_irqs_off = false;
}

static inline void cpu_relax(void) { }
static inline uint64_t rdtsc(void) { return host_tsc; }

#endif
