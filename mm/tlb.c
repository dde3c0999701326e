/*
 * Who has which address space loaded, and how translations are dropped on all of them.
 *
 * A space counts generations: each shootdown begins a new one, after the page tables have been changed. A
 * CPU that has the space loaded notes the generation before it flushes. Asking CPUs is an interrupt without
 * a message: the asked one flushes whatever it has loaded and notes the generation it read before. So
 * shootdowns by several CPUs at once need no queue, and one flush answers all of them.
 *
 * Why no CPU is missed: it sets its bit in `cpus` before it reads the generation and loads CR3. A shootdown
 * raises the generation before it reads `cpus`. Either it sees the bit and asks, or the CPU's load came
 * after the tables were changed (all four accesses sequentially consistent).
 */
#include "arch/irq.h"
#include "arch/trap.h"
#include "kernel/trace.h"
#include "mm/aspace.h"

static uint64_t shootdowns[MAX_CPUS];       /* by the CPU that asked; interrupts off */

void aspace_load(struct aspace *space)
{
    struct cpu *cpu = this_cpu();
    struct aspace *old = atomic_load_explicit(&cpu->aspace, memory_order_relaxed);
    if (old == space)
        return;
    uint64_t bit = 1ull << cpu->id;
    if (space) {
        atomic_fetch_or(&space->cpus, bit);
        uint64_t generation = atomic_load(&space->tlb_generation);
        mmu_load(&space->pt);
        atomic_store_explicit(&cpu->tlb_seen, generation, memory_order_release);
    } else {
        mmu_load_kernel();
    }
    atomic_store_explicit(&cpu->aspace, space, memory_order_release);
    /* Only now, with no translation of it left here, may the old one's root be freed. */
    if (old)
        atomic_fetch_and(&old->cpus, ~bit);
}

void aspace_tlb_interrupt(void)
{
    struct cpu *cpu = this_cpu();
    struct aspace *space = atomic_load_explicit(&cpu->aspace, memory_order_relaxed);
    if (!space)
        return;
    if (atomic_load(&space->dying)) {
        aspace_load(NULL);
        return;
    }
    uint64_t generation = atomic_load(&space->tlb_generation);
    mmu_flush_all();
    atomic_store_explicit(&cpu->tlb_seen, generation, memory_order_release);
}

/* Whether CPU `id` cannot use a translation of before `generation` any more. */
static bool has_flushed(struct aspace *space, unsigned id, uint64_t generation)
{
    if (!(atomic_load(&space->cpus) >> id & 1))
        return true;
    return !atomic_load(&space->dying)
        && atomic_load_explicit(&cpus[id].aspace, memory_order_acquire) == space
        && atomic_load_explicit(&cpus[id].tlb_seen, memory_order_acquire) >= generation;
}

/*
 * This CPU's part, and asking the others: one step with interrupts off, so that "this CPU" stays what it
 * was. Which have been asked.
 */
static uint64_t flush_here_ask_others(struct aspace *space)
{
    uint64_t flags = irq_save();
    struct cpu *cpu = this_cpu();
    if (atomic_load_explicit(&cpu->aspace, memory_order_relaxed) == space)
        aspace_tlb_interrupt();
    uint64_t others = atomic_load(&space->cpus) & ~(1ull << cpu->id);
    uint32_t asked = 0;
    for (uint64_t left = others; left; left &= left - 1, asked++)
        ipi_send((unsigned)__builtin_ctzll(left), VECTOR_TLB);
    if (others) {
        shootdowns[cpu->id]++;
        trace(PRIMER_EVENT_SHOOTDOWN, 0, 0, 0, 0, asked);
    }
    irq_restore(flags);
    return others;
}

void tlb_shootdown(struct aspace *space)
{
    assert(irqs_on());
    uint64_t generation = atomic_fetch_add(&space->tlb_generation, 1) + 1;
    uint64_t others = flush_here_ask_others(space);
    for (; others; others &= others - 1) {
        unsigned id = (unsigned)__builtin_ctzll(others);
        while (!has_flushed(space, id, generation))
            cpu_relax();
    }
}

uint64_t tlb_shootdowns(unsigned cpu) { return __atomic_load_n(&shootdowns[cpu], __ATOMIC_RELAXED); }
