/*
 * Spinlocks. Taking one turns interrupts off on this CPU; giving the last one back restores them. So a
 * holder is never preempted and never interrupted, a lock may be shared with interrupt handlers, and "holds
 * no lock" is the same as "may sleep". The price is that every hold must be short: the bound on
 * interrupts-off time (docs/invariants.md, INV-8) is a bound on lock holds.
 *
 * Locks are given back in the reverse order of taking, and taken in the order of their ranks. Debug builds
 * panic at the first step out of order, whether or not it would have deadlocked this time.
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
    RANK_WAIT = 50,         /* one space's address waiters; threads that wait for an end, or for console input */
    RANK_TIMER = 55,        /* one CPU's timers */
    RANK_RUNQ = 60,         /* one CPU's run queue */
    RANK_LEAF = 70,         /* small tables that call nothing while locked */
    RANK_CONSOLE = 90,      /* the log: anyone may print, whatever he holds */
};

/*
 * One word: taken by an exchange, given back by a store. Not a queue of tickets: in a virtual machine a CPU that is next in line is often not running, and
 * all others would wait for its host to let it. Holds are short, so whoever comes by while the lock is free may have it.
 */
struct spinlock {
    _Atomic bool taken;
    uint16_t rank;
    const char *name;
};

#define SPINLOCK(lock_name, lock_rank) {.rank = (lock_rank), .name = (lock_name)}

static inline void spin_init(struct spinlock *lock, const char *name, enum lock_rank rank)
{
    *lock = (struct spinlock)SPINLOCK(name, rank);
}

/* Whether the calling CPU holds the lock. For assertions. */
static inline bool spin_held(const struct spinlock *lock)
{
    const struct cpu *cpu = this_cpu();
    for (unsigned i = cpu->nheld; i > 0; i--)
        if (cpu->held[i - 1] == lock)
            return true;
    return false;
}

/* Panics with both names if taking `lock` now is out of order (kernel/lock.c). Interrupts off. */
void lock_check_order(const struct cpu *cpu, const struct spinlock *lock);

/* Notes the lock as held; interrupts have just been turned off, `flags` says what they were. */
static inline void lock_push(struct cpu *cpu, struct spinlock *lock, uint64_t flags)
{
    unsigned nheld = cpu->nheld;
    if (nheld == 0)
        cpu->irq_flags = flags;
    cpu->held[nheld] = lock;
    cpu->nheld = nheld + 1;
}

static inline void spin_lock(struct spinlock *lock)
{
    uint64_t flags = irq_save();
    struct cpu *cpu = this_cpu();
    if (DEBUG)
        lock_check_order(cpu, lock);
    lock_push(cpu, lock, flags);
    while (unlikely(atomic_exchange_explicit(&lock->taken, true, memory_order_acquire)))
        while (atomic_load_explicit(&lock->taken, memory_order_relaxed))
            cpu_relax();
}

static inline void spin_unlock(struct spinlock *lock)
{
    struct cpu *cpu = this_cpu();
    unsigned nheld = cpu->nheld - 1;
    debug_assert(nheld < CPU_MAX_HELD && cpu->held[nheld] == lock);
    atomic_store_explicit(&lock->taken, false, memory_order_release);
    cpu->nheld = nheld;
    if (nheld == 0)
        irq_restore(cpu->irq_flags);
}

/*
 * Takes the lock only if nobody has it; never waits. For looking at other CPUs' queues, whose ranks are
 * equal to one's own.
 */
static inline MUST_CHECK bool spin_trylock(struct spinlock *lock)
{
    uint64_t flags = irq_save();
    if (atomic_exchange_explicit(&lock->taken, true, memory_order_acquire)) {
        irq_restore(flags);
        return false;
    }
    lock_push(this_cpu(), lock, flags);
    return true;
}


#endif
