/*
 * What debug builds check about locks, and the stopwatch for interrupts-off stretches. Called from the
 * inline functions of kernel/lock.h and from the trap path, on the calling CPU's own struct cpu, interrupts
 * off: no lock.
 */
#include "kernel/lock.h"
#include "kernel/trace.h"

/*
 * Every lock held counts, not just the innermost: spin_trylock() never waits and so may take one out of
 * order, which must not hide a higher one below it.
 */
void lock_check_order(const struct cpu *cpu, const struct spinlock *lock)
{
    if (cpu->nheld >= CPU_MAX_HELD)
        panic("lock \"%s\": %u locks are held already", lock->name, cpu->nheld);
    for (unsigned i = 0; i < cpu->nheld; i++) {
        const struct spinlock *held = cpu->held[i];
        if (held == lock)
            panic("lock \"%s\": taken twice by CPU %u", lock->name, cpu->id);
        if (lock->rank <= held->rank)
            panic("lock order: \"%s\" (rank %u) taken while holding \"%s\" (rank %u)",
                  lock->name, lock->rank, held->name, held->rank);
    }
}

/*
 * The caller has just turned interrupts off, so whatever stretch was noted before is over, even if nobody
 * said so (an iret can turn them on, too): the newest begin counts.
 */
void irqoff_begin(void)
{
    this_cpu()->irqoff_start = rdtsc();
}

void irqoff_end(void)
{
    struct cpu *cpu = this_cpu();
    if (cpu->irqoff_start == 0)
        return;
    uint64_t ticks = rdtsc() - cpu->irqoff_start;
    cpu->irqoff_start = 0;
    if (ticks <= cpu->irqoff_max)
        return;
    cpu->irqoff_max = ticks;
    cpu->irqoff_where = (uintptr_t)__builtin_return_address(0);
    /* Shifted up, so that the event's page field keeps the address itself, not only its page. */
    trace(PRIMER_EVENT_IRQOFF, 0, cpu->irqoff_where << PAGE_SHIFT, 0, 0, (uint32_t)min_u64(ticks, UINT32_MAX));
}
