/*
 * Starts the other CPUs, one after the other: INIT to all, 10 ms, then a start-up IPI to each, which sends
 * it through boot/trampoline.asm onto its idle thread's stack and into kernel_main_secondary(). Called
 * once, on CPU 0, at boot. CPU numbers are handed out densely, in the order in which CPUs really come up.
 * There is no way to stop a CPU again. No lock: CPUs start one at a time, and `claim` is where the two
 * sides meet. Reference: Intel SDM vol. 3, 9.4.4 (MP initialization example).
 */
#include <stdatomic.h>

#include "arch/cpu.h"
#include "arch/irq.h"
#include "arch/mmu.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/apic.h"
#include "arch/x86_64/insn.h"
#include "kernel/log.h"
#include "kernel/main.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/time.h"

/* Where the trampoline is copied to: below 1 MiB, where real mode reaches, in RAM that is never allocated. */
#define TRAMPOLINE 0x8000u

#define MILLISECOND 1000000ull      /* in ns */

#define MSR_EFER 0xc0000080
#define EFER_LMA (1u << 10)         /* set by the CPU itself */

extern const char trampoline_start[], trampoline_words[], trampoline_end[];     /* boot/trampoline.asm */

/*
 * The last bytes of the trampoline. Written here before each start-up IPI; the CPU that starts sees them
 * read-only.
 */
struct words {
    uint64_t cr3, efer, claim, stack, entry, cpu;
};

/*
 * CPUs that are up: 0 .. up_count-1. Raised by each new CPU itself, one at a time, while CPU 0 waits for
 * it.
 */
static _Atomic unsigned up_count = 1;

/* 1: a start is open. Whoever swaps it for 0 decides, the new CPU or the one that has waited long enough. */
static _Atomic uint64_t claim;

unsigned cpu_count(void) { return atomic_load_explicit(&up_count, memory_order_acquire); }

/* Release: what the new CPU has set up is seen by whoever sees it counted. */
void smp_cpu_is_up(void)
{
    assert(this_cpu()->id == cpu_count());
    atomic_fetch_add_explicit(&up_count, 1, memory_order_release);
}

static struct words *trampoline_copy(void)
{
    char *to = phys_to_virt(paddr(TRAMPOLINE));
    for (const char *from = trampoline_start; from < trampoline_end; from++)
        *to++ = *from;
    assert((size_t)(trampoline_end - trampoline_words) == sizeof(struct words));
    struct words *words = phys_to_virt(paddr(TRAMPOLINE + (uint64_t)(trampoline_words - trampoline_start)));

    words->cr3 = mmu_kernel_root().value;
    assert(words->cr3 <= UINT32_MAX);       /* the trampoline loads it in 32-bit mode */
    words->efer = msr_read(MSR_EFER) & ~(uint64_t)EFER_LMA;
    words->claim = (uintptr_t)&claim;
    words->entry = (uintptr_t)kernel_main_secondary;
    return words;
}

/* Waits at most 100 ms for the claim to be taken. */
static void wait_claimed(void)
{
    uint64_t deadline = time_ns() + 100 * MILLISECOND;
    while (atomic_load_explicit(&claim, memory_order_relaxed) == 1 && time_ns() < deadline)
        cpu_relax();
}

/* False if the CPU does not come; then it is back where INIT puts it, and harmless. */
static bool cpu_start(struct words *words, uint32_t apic_id, unsigned id, void *stack)
{
    words->stack = (uintptr_t)stack;
    words->cpu = id;
    atomic_store_explicit(&claim, 1, memory_order_release);     /* the words are written */
    for (unsigned tries = 0; tries < 2 && atomic_load_explicit(&claim, memory_order_relaxed) == 1; tries++) {
        /* the second is ignored if the CPU is late, not lost */
        lapic_send_startup(apic_id, paddr(TRAMPOLINE));
        wait_claimed();
    }
    if (atomic_exchange_explicit(&claim, 0, memory_order_acq_rel) == 1) {
        lapic_send_init(apic_id);
        return false;
    }
    /*
     * It runs our code, with this stack and this number: from here on, not coming up is the kernel's own
     * fault.
     */
    uint64_t deadline = time_ns() + 10000 * MILLISECOND;
    while (cpu_count() == id) {
        if (time_ns() > deadline)
            panic("CPU %u (APIC id %u) started, but hangs before its idle thread", id, apic_id);
        cpu_relax();
    }
    return true;
}

/*
 * Firmware lists the CPU that boots, too; should it not, one of the others stays idle, and this is still a
 * limit.
 */
unsigned irq_cpu_limit(unsigned limit)
{
    return (unsigned)max_u64(1, min_u64(limit, acpi_info.cpu_count));
}

/* INIT to each CPU that may be started; their APIC ids, and how many. */
static unsigned init_others(unsigned limit, uint32_t apic_ids[MAX_CPUS])
{
    unsigned count = 0;
    for (unsigned i = 0; i < acpi_info.cpu_count && count + 1 < limit; i++) {
        uint32_t apic_id = acpi_info.apic_ids[i];
        if (apic_id == lapic_id())
            continue;
        if (!lapic_reaches(apic_id)) {
            kprintf("smp: CPU with APIC id %u skipped: it takes x2APIC to reach it\n", apic_id);
            continue;
        }
        lapic_send_init(apic_id);
        apic_ids[count++] = apic_id;
    }
    return count;
}

void smp_start(unsigned limit)
{
    static uint32_t apic_ids[MAX_CPUS];
    unsigned others = init_others(irq_cpu_limit(limit), apic_ids);
    if (others == 0)
        return;
    uint64_t after_init = time_ns() + 10 * MILLISECOND;
    struct words *words = trampoline_copy();
    mmu_identity_begin(paddr(TRAMPOLINE));
    while (time_ns() < after_init)
        cpu_relax();

    void *stack = NULL;             /* kept for the next one when a CPU does not come */
    for (unsigned i = 0; i < others; i++) {
        unsigned id = cpu_count();
        if (!stack && !(stack = thread_create_idle(id))) {
            kprintf("smp: no memory for CPU %u: going on with %u\n", id, id);
            break;
        }
        if (cpu_start(words, apic_ids[i], id, stack))
            stack = NULL;
        else
            kprintf("smp: CPU with APIC id %u does not start; going on without it\n", apic_ids[i]);
    }
    mmu_identity_end();
    kprintf("smp: %u of %u CPUs are up\n", cpu_count(), others + 1);
}
