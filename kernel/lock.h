/*
 * Spinlocks. Taking one turns interrupts off on this CPU; giving the last one back restores them. So a
 * holder is never preempted and never interrupted, a lock may be shared with interrupt handlers, and "holds
 * no lock" is the same as "may sleep". The price is that every hold must be short: the bound on interrupts-off
 * time (docs/invariants.md, INV-8) is a bound on lock holds.
 *
 * Locks are given back in the reverse order of taking, and taken in the order of their ranks. Debug builds panic
 * at the first step out of order, whether or not it would have deadlocked this time.
 */
#ifndef KERNEL_LOCK_H
#define KERNEL_LOCK_H

#include <stdatomic.h>
#include "arch/cpu.h"
#include "kernel/panic.h"

/* A CPU may only take a lock of a higher rank than every lock that it holds. */
enum lock_rank {
    RANK_TASK = 10,         /* a task's threads and handles; the list of tasks */
    RANK_SPACE = 20,        /* an address space: its VMAs, page tables, and the waiters on its io frames */
    RANK_PINIT = 30,        /* one CPU's queue of page-init requests */
    RANK_HEAP = 35,         /* a size class of the kernel heap: takes frames from the pool */
    RANK_FRAMES = 40,       /* the frame pool */
    RANK_WAIT = 50,         /* a bucket of address waiters, a list of threads waiting for an end */
    RANK_TIMER = 55,        /* one CPU's timers */
    RANK_RUNQ = 60,         /* one CPU's run queue */
    RANK_LEAF = 70,         /* small tables that call nothing while locked */
    RANK_CONSOLE = 90,      /* the log: anyone may print, whatever he holds */
};

struct spinlock {
    _Atomic uint16_t next;          /* the ticket that the next comer draws */
    _Atomic uint16_t serving;       /* the ticket that has the lock */
    uint16_t rank;
    const char *name;
    struct cpu *_Atomic holder;     /* for assertions and panic reports */
};

#define SPINLOCK(lock_name, lock_rank) {.rank = (lock_rank), .name = (lock_name)}

static inline void spin_init(struct spinlock *lock, const char *name, enum lock_rank rank)
{
    *lock = (struct spinlock)SPINLOCK(name, rank);
}

/* Whether the calling CPU holds the lock. */
static inline bool spin_held(const struct spinlock *lock)
{
    return atomic_load_explicit(&lock->holder, memory_order_relaxed) == this_cpu();
}

/* Panics with both names if taking `lock` now is out of order (kernel/lock.c). Interrupts off. */
void lock_check_order(const struct cpu *cpu, const struct spinlock *lock);

/* Debug builds: note that interrupts went off, or are about to go on, at the caller (kernel/lock.c). Interrupts off. */
void irqoff_begin(void);
void irqoff_end(void);

static inline void spin_lock(struct spinlock *lock)
{
    uint64_t flags = irq_save();
    struct cpu *cpu = this_cpu();
    if (DEBUG)
        lock_check_order(cpu, lock);
    if (cpu->nheld == 0) {
        cpu->irq_flags = flags;
        if (DEBUG && (flags & RFLAGS_IF))
            irqoff_begin();
    }
    cpu->held[cpu->nheld++] = lock;
    uint16_t ticket = atomic_fetch_add_explicit(&lock->next, 1, memory_order_relaxed);
    while (atomic_load_explicit(&lock->serving, memory_order_acquire) != ticket)
        cpu_relax();
    atomic_store_explicit(&lock->holder, cpu, memory_order_relaxed);
}

static inline void spin_unlock(struct spinlock *lock)
{
    struct cpu *cpu = this_cpu();
    assert(cpu->nheld > 0 && cpu->held[cpu->nheld - 1] == lock);
    atomic_store_explicit(&lock->holder, NULL, memory_order_relaxed);
    uint16_t ticket = atomic_load_explicit(&lock->serving, memory_order_relaxed);
    atomic_store_explicit(&lock->serving, (uint16_t)(ticket + 1), memory_order_release);
    if (--cpu->nheld == 0 && (cpu->irq_flags & RFLAGS_IF)) {
        if (DEBUG)
            irqoff_end();
        irq_enable();
    }
}

/* Takes the lock only if nobody has it; never waits. For looking at other CPUs' queues, whose ranks are equal to one's own. */
static inline MUST_CHECK bool spin_trylock(struct spinlock *lock)
{
    uint64_t flags = irq_save();
    struct cpu *cpu = this_cpu();
    uint16_t ticket = atomic_load_explicit(&lock->serving, memory_order_relaxed);
    uint16_t next = ticket;
    if (!atomic_compare_exchange_strong_explicit(&lock->next, &next, (uint16_t)(ticket + 1),
                                                 memory_order_acquire, memory_order_relaxed)) {
        irq_restore(flags);
        return false;
    }
    if (cpu->nheld == 0) {
        cpu->irq_flags = flags;
        if (DEBUG && (flags & RFLAGS_IF))
            irqoff_begin();
    }
    cpu->held[cpu->nheld++] = lock;
    atomic_store_explicit(&lock->holder, cpu, memory_order_relaxed);
    return true;
}

/* May the caller sleep, or touch user memory? */
static inline bool may_sleep(void) { return irqs_on(); }

#endif
