/*
 * The event trace: one ring of 32-byte events per CPU, always on. Recording is a reservation by one xadd on a per-CPU counter and four
 * stores; no lock, any context, interrupts on or off. A reader may see the newest few events half written: readers in the
 * machine ask for events that are complete (older than the head), tools read after the machine has stopped.
 */
#ifndef KERNEL_TRACE_H
#define KERNEL_TRACE_H

#include "arch/cpu.h"
#include "kernel/abi.h"

struct trace_event { uint64_t words[4]; };      /* struct primer_event, as it is stored */

/* What tools/ find by symbol name in the memory of a stopped machine. Fixed after trace_init(), except through the pointers. */
struct trace_header {
    uint64_t magic;                     /* "PRIMTRC1" */
    uint64_t tsc_hz, ring_events, cpu_count;
    struct { uint64_t ring_phys, head; } cpu[MAX_CPUS];  /* head: filled in by trace_finish() */
};
extern struct trace_header trace_header;
extern uint64_t trace_mask;             /* ring_events - 1 */

/* Boot, before cpu_init(0): a small ring for CPU 0, so that events before trace_init() do no harm. */
void trace_early_init(void);
/* Boot, CPU 0, after mmu_boot_init() and before frame_init(): rings for `count` CPUs, a power of two of events each.
 * boot_fail() if they do not fit. */
void trace_init(unsigned count, uint32_t ring_events);
/* Before the machine stops: writes the heads where tools can find them. */
void trace_finish(void);
/* For the system call: copies complete events. Returns how many, or E_NOT_FOUND if `from` is overwritten or still to come. */
struct primer_event;
status_t trace_copy(unsigned cpu, uint64_t from, struct primer_event *to, uint64_t count);

static inline void trace(enum primer_event_kind kind, unsigned flags, uint64_t page_address, uint32_t thread, uint32_t task,
                         uint32_t frame, uint32_t other)
{
    uint64_t slot = 1;
    struct trace_event *ring;
    /* A move to another CPU between the two reads leaves an event in the other ring with this CPU's slot number: harmless. */
    __asm__ volatile("mov %%gs:40, %1; xadd %0, %%gs:48" : "+r"(slot), "=r"(ring) : : "cc", "memory");
    struct trace_event *event = &ring[slot & trace_mask];
    uint32_t cpu;
    __asm__ volatile("mov %%gs:56, %0" : "=r"(cpu));
    event->words[0] = rdtsc();
    event->words[1] = ((page_address >> PAGE_SHIFT) & 0xffffffffffull) | (uint64_t)(flags & 0xff) << 40
                      | (uint64_t)cpu << 48 | (uint64_t)kind << 56;
    event->words[2] = thread | (uint64_t)task << 32;
    event->words[3] = frame | (uint64_t)other << 32;
}

#endif
