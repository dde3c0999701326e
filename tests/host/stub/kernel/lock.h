/* Stands in for kernel/lock.h in host tests: a lock that spins, checks ranks, and turns "interrupts" off. */
#ifndef KERNEL_LOCK_H
#define KERNEL_LOCK_H

#include <sched.h>
#include "arch/cpu.h"
#include "kernel/panic.h"

enum lock_rank { RANK_SPACE = 20, RANK_HEAP = 35, RANK_FRAMES = 40 };

struct spinlock {
    atomic_flag taken;
    int rank;
    const char *name;
    uint64_t flags;
};

#define SPINLOCK(lock_name, lock_rank) {.taken = ATOMIC_FLAG_INIT, .rank = (lock_rank), .name = (lock_name)}

static inline void spin_init(struct spinlock *lock, const char *name, enum lock_rank rank)
{
    *lock = (struct spinlock)SPINLOCK(name, rank);
}

static inline void spin_lock(struct spinlock *lock)
{
    uint64_t flags = irq_save();
    struct cpu *cpu = this_cpu();
    assert(cpu->nheld < ARRAY_SIZE(cpu->held));
    assert(cpu->nheld == 0 || cpu->held[cpu->nheld - 1]->rank < lock->rank);
    while (atomic_flag_test_and_set_explicit(&lock->taken, memory_order_acquire))
        sched_yield();
    cpu->held[cpu->nheld++] = lock;
    lock->flags = flags;
}

static inline void spin_unlock(struct spinlock *lock)
{
    struct cpu *cpu = this_cpu();
    assert(cpu->nheld > 0 && cpu->held[cpu->nheld - 1] == lock);
    cpu->nheld--;
    uint64_t flags = lock->flags;
    atomic_flag_clear_explicit(&lock->taken, memory_order_release);
    irq_restore(flags);
}

#endif
