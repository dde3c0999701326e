/*
 * The event trace: one ring of 32-byte events per CPU, always on. Recording is a reservation by one xadd on
 * a per-CPU counter and four stores; no lock, any context, interrupts on or off. A reader may see the
 * newest few events half written: readers in the machine ask for events that are complete (older than the
 * head), tools read after the machine has stopped.
 */
#ifndef KERNEL_TRACE_H
#define KERNEL_TRACE_H

#include "arch/cpu.h"
#include "kernel/abi.h"

struct trace_event { uint32_t time[2]; uint64_t words[3]; };    /* struct primer_event, as it is stored */

/*
 * What tools/ find by symbol name in the memory of a stopped machine. Fixed after trace_init(), except
 * through the pointers.
 */
struct trace_header {
    uint64_t magic;                     /* "PRIMTRC1" */
    uint64_t tsc_hz, ring_events, cpu_count;
    struct { uint64_t ring_phys, head; } cpu[MAX_CPUS];  /* head: filled in by trace_finish() */
};
extern struct trace_header trace_header;

/* Boot, before cpu_init(0): a small ring for CPU 0, so that events before trace_init() do no harm. */
void trace_early_init(void);
/*
 * Boot, CPU 0, after mmu_boot_init() and before frame_init(): rings for `count` CPUs, a power of two of
 * events each. boot_fail() if they do not fit.
 */
void trace_init(unsigned count, uint32_t ring_events);
/* Before the machine stops: writes the heads where tools can find them. */
void trace_finish(void);
/*
 * For the system call: copies complete events. Returns how many, or E_NOT_FOUND if `from` is overwritten or
 * still to come.
 */
struct primer_event;
status_t trace_copy(unsigned cpu, uint64_t from, struct primer_event *to, uint64_t count);

/* How many events CPU `cpu` has ever written. */
uint64_t trace_count(unsigned cpu);

/* The time, and the words as they are stored. Any context (kernel/trace.c). */
void trace_write(uint64_t tag, uint64_t who, uint64_t frames);

static inline uint64_t trace_tag(enum primer_event_kind kind, unsigned flags)
{
    return (uint64_t)flags << 40 | (uint64_t)kind << 56;
}

static inline uint64_t trace_page_number(vaddr_t address) { return address << 12 >> 24; }   /* 40 bits of it */

static inline void trace(enum primer_event_kind kind, unsigned flags, vaddr_t page_address, uint64_t who, uint32_t frame, uint32_t other)
{
    trace_write(trace_tag(kind, flags) | trace_page_number(page_address), who, frame | (uint64_t)other << 32);
}

/* What several events in a row have in common, put together once. */
struct trace_subject { uint64_t page, who, frames; };

static inline void trace_about(enum primer_event_kind kind, const struct trace_subject *subject)
{
    trace_write(trace_tag(kind, 0) | subject->page, subject->who, subject->frames);
}

/* Whom an event is about, when it is not simply a thread (then it is thread->who). */
static inline uint64_t trace_who(uint32_t thread, uint32_t task) { return thread | (uint64_t)task << 32; }

#endif
