/*
 * The processor as the rest of the kernel sees it: per-CPU state, interrupts on and off, identity.
 * GS points at this CPU's struct cpu whenever kernel code runs.
 */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include <stdatomic.h>
#include "kernel/types.h"

struct aspace;
struct spinlock;
struct thread;
struct trace_event;

#define CPU_MAX_HELD 8          /* deepest nesting of spinlocks: one per lock rank, and one to spare */

/*
 * One per CPU. Written by its own CPU only, with interrupts off, unless a field says otherwise.
 * The first fields are read by trap.asm at fixed offsets (asserted in arch/x86_64/cpu.c).
 */
struct cpu {
    struct cpu *self;                   /*  0: gs:0 is how C finds the struct */
    struct thread *current;             /*  8: who runs here; stable for the thread itself */
    uint64_t kernel_rsp;                /* 16: where `syscall` starts pushing: top of current's kernel stack */
    uint64_t user_rsp;                  /* 24: scratch of the first instructions of `syscall` */
    struct thread *left;                /* 32: thread whose stack the kernel exit is leaving; trap.asm clears its on_cpu */
    struct trace_event *trace_ring;     /* 40: this CPU's event ring (kernel/trace.c) */
    uint64_t trace_head;                /* 48: bytes of events ever written; by one xadd, so interrupts may be on */
    uint64_t trace_tag;                 /* 56: id << 48, as an event has it. Fixed after cpu_init() */

    uint32_t id;                        /* 0 .. cpu_count()-1; 0 booted the machine. Fixed after init */
    uint32_t apic_id;                   /* local APIC id. Fixed after init */

    /* Spinlocks held, innermost last (kernel/lock.h). Interrupts are off while nheld > 0. */
    unsigned nheld;
    uint64_t irq_flags;                 /* RFLAGS from before the outermost lock */
    struct spinlock *held[CPU_MAX_HELD];

    /*
     * Loaded address space (mm/aspace.c, arch mmu). NULL: the kernel's own. Others read both during a
     * shootdown.
     */
    _Atomic(struct aspace *) aspace;
    _Atomic uint64_t tlb_seen;          /* the generation of `aspace` that this CPU's TLB is known to have flushed for */

    _Atomic bool need_resched;          /* set by anyone; looked at by the kernel exit */
    struct thread *fpu_owner;           /* whose FPU state the registers hold */
    uint64_t charged_until;             /* TSC: CPU time up to here is on somebody's account (kernel/exit.c) */
    struct thread *idle;                /* Fixed after init */

    /* Longest interrupts-off stretch, in TSC ticks, and where it ended (debug builds only). */
    uint64_t irqoff_start, irqoff_max, irqoff_where;
};

extern struct cpu cpus[MAX_CPUS];

/*
 * Set at the end of cpu_init(0): from then on GS, and with it locks and the trace, can be used. Defined in
 * kernel/panic.c.
 */
extern bool cpu_local_ready;

/* CPUs that are up. Fixed once smp_start() has returned. */
unsigned cpu_count(void);

/* Interrupts must be off, or the answer may be wrong by the time it is used. */
static inline struct cpu *this_cpu(void)
{
    struct cpu *cpu;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

/* The running thread. Always right for the thread that asks, wherever it has been moved meanwhile. */
static inline struct thread *thread_current(void)
{
    struct thread *thread;
    __asm__ volatile("mov %%gs:8, %0" : "=r"(thread));
    return thread;
}

#define RFLAGS_IF (1ull << 9)

static inline uint64_t irq_flags(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq; pop %0" : "=r"(flags) : : "memory");
    return flags;
}

static inline bool irqs_on(void) { return irq_flags() & RFLAGS_IF; }
/*
 * Debug builds measure how long interrupts stay off: the first is called when they have just gone off, the second when
 * they are about to go on again (kernel/lock.c).
 */
void irqoff_begin(void);
void irqoff_end(void);

static inline void irq_enable(void)
{
    if (DEBUG)
        irqoff_end();
    __asm__ volatile("sti" : : : "memory");
}

/* Turns interrupts off and returns what irq_restore() needs to put things back. Nests. */
static inline uint64_t irq_save(void)
{
    uint64_t flags = irq_flags();
    __asm__ volatile("cli" : : : "memory");
    if (DEBUG && (flags & RFLAGS_IF))
        irqoff_begin();
    return flags;
}

static inline void irq_disable(void)
{
    if (DEBUG)
        (void)irq_save();
    else
        __asm__ volatile("cli" : : : "memory");
}

static inline void irq_restore(uint64_t flags)
{
    if (flags & RFLAGS_IF)
        irq_enable();
}

static inline void cpu_relax(void) { __asm__ volatile("pause" : : : "memory"); }

/* Time-stamp counter, in ticks; kernel/time.h turns it into nanoseconds. */
static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}

/*
 * Enables interrupts and waits for one, without a gap in between (SDM vol. 2, STI: one instruction of
 * shadow).
 */
static inline void cpu_idle_wait(void) { __asm__ volatile("sti; hlt; cli" : : : "memory"); }

/* CPUID findings that C code outside arch/ asks about. Fixed after cpu_features_init() on CPU 0. */
struct cpu_features {
    bool smep, smap, umip, nx, pge, erms, xsave, xsaveopt, avx, tsc_deadline, gib_pages, x2apic;
    uint32_t xsave_size;                /* bytes of FPU state to save per thread */
};
extern struct cpu_features cpu_features;

/*
 * Reads CPUID; panics with a clear message if something the kernel cannot do without is missing. CPU 0,
 * first of all.
 */
void cpu_features_init(void);

/*
 * Descriptor tables, control registers, syscall MSRs and FPU of the calling CPU; GS is valid on return.
 * Interrupts off.
 */
void cpu_init(unsigned id);

/* Stops this CPU for ever, interrupts off. */
NORETURN void cpu_halt(void);

#endif
