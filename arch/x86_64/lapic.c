/*
 * The local APIC: each CPU's own interrupt controller, its timer, and the way to interrupt other CPUs. Each
 * CPU touches only its own, with interrupts off, so there is no lock. The registers are reached through
 * memory (xAPIC) or MSRs (x2APIC); apart from sending, only lapic_read() and lapic_write() know which. What
 * an interrupt means is irq_dispatch()'s business. References: Intel SDM vol. 3, chapter 11 (APIC).
 */
#include "arch/cpu.h"
#include "arch/irq.h"
#include "arch/mmu.h"
#include "arch/trap.h"
#include "arch/x86_64/apic.h"
#include "arch/x86_64/insn.h"
#include "kernel/panic.h"

#define MSR_APIC_BASE     0x1b      /* 11.4.4; the address is in the bits of PTE_ADDR */
#define APIC_BASE_X2APIC  (1u << 10)
#define APIC_BASE_ENABLE  (1u << 11)
#define MSR_TSC_DEADLINE  0x6e0     /* 11.5.4.1 */

/* Table 11-1. In x2APIC mode the register at offset r is MSR 0x800 + r/16 (11.12.1.2). */
enum lapic_register {
    LAPIC_ID = 0x20, LAPIC_TASK_PRIORITY = 0x80, LAPIC_EOI = 0xb0, LAPIC_SPURIOUS = 0xf0,
    LAPIC_ICR_LOW = 0x300, LAPIC_ICR_HIGH = 0x310, LAPIC_LVT_TIMER = 0x320, LAPIC_LVT_LINT0 = 0x350,
    LAPIC_LVT_ERROR = 0x370, LAPIC_TIMER_INITIAL = 0x380, LAPIC_TIMER_CURRENT = 0x390, LAPIC_TIMER_DIVIDE = 0x3e0,
};
#define X2APIC_MSR 0x800u

#define SPURIOUS_ENABLE  (1u << 8)          /* 11.9 */
#define LVT_MASKED       (1u << 16)         /* 11.5.1; timer mode bits 18:17, one-shot is 0 */
#define LVT_TSC_DEADLINE (2u << 17)
#define TIMER_DIVIDE_1   0xbu               /* 11.5.4, figure 11-10 */
#define ICR_NMI          (4u << 8)          /* 11.6.1 */
#define ICR_INIT         (5u << 8)
#define ICR_STARTUP      (6u << 8)
#define ICR_PENDING      (1u << 12)
#define ICR_ASSERT       (1u << 14)
#define ICR_OTHERS       (3u << 18)         /* shorthand: all but myself */

/* Fixed after lapic_setup(). */
static bool x2apic;
static volatile uint32_t *registers;        /* NULL in x2APIC mode */

/* Timer ticks per TSC tick, times 2^32. Fixed after timer_calibrate(). */
static uint64_t timer_ratio;

static uint32_t lapic_read(enum lapic_register reg)
{
    return x2apic ? (uint32_t)msr_read(X2APIC_MSR + reg / 16) : registers[reg / 4];
}

static void lapic_write(enum lapic_register reg, uint32_t value)
{
    if (x2apic)
        msr_write(X2APIC_MSR + reg / 16, value);
    else
        registers[reg / 4] = value;
}

void lapic_setup(void)
{
    uint64_t base = msr_read(MSR_APIC_BASE);
    x2apic = cpu_features.x2apic || (base & APIC_BASE_X2APIC);
    if (!x2apic)
        registers = mmu_map_device(paddr(base & PTE_ADDR), PAGE_SIZE);
}

bool lapic_reaches(uint32_t apic_id) { return x2apic || apic_id < 255; }

uint32_t lapic_id(void) { return x2apic ? lapic_read(LAPIC_ID) : lapic_read(LAPIC_ID) >> 24; }

void lapic_eoi(void) { lapic_write(LAPIC_EOI, 0); }

/* The timer stopped, its interrupt open. */
static void timer_setup(void)
{
    if (cpu_features.tsc_deadline) {
        lapic_write(LAPIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_TIMER);
        /* 11.5.4.1: the MSR write may overtake the one to memory */
        __asm__ volatile("mfence" : : : "memory");
    } else {
        lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
        lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_1);
    }
    timer_disarm();
}

void lapic_init(void)
{
    assert(!irqs_on() && (x2apic || registers));
    /*
     * From xAPIC to x2APIC is allowed, back is not (11.12.5): all CPUs go the way that lapic_setup() found
     * possible.
     */
    msr_write(MSR_APIC_BASE, msr_read(MSR_APIC_BASE) | APIC_BASE_ENABLE | (x2apic ? APIC_BASE_X2APIC : 0));
    this_cpu()->apic_id = lapic_id();
    /* First: while it is disabled, it keeps everything masked (11.4.7.2). */
    lapic_write(LAPIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    lapic_write(LAPIC_TASK_PRIORITY, 0);
    /* the legacy PICs' line. LINT1, the NMI, stays as firmware set it */
    lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
    lapic_write(LAPIC_LVT_ERROR, LVT_MASKED);
    timer_setup();
}

/* --- timer --- */

void lapic_timer_free_run(void)
{
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_1);
    lapic_write(LAPIC_TIMER_INITIAL, UINT32_MAX);
}

uint32_t lapic_timer_count(void) { return lapic_read(LAPIC_TIMER_CURRENT); }

void lapic_timer_set_ratio(uint64_t timer_ticks, uint64_t tsc_ticks)
{
    assert(timer_ticks <= UINT32_MAX && tsc_ticks > 0);
    timer_ratio = (timer_ticks << 32) / tsc_ticks;
    timer_setup();                                  /* it was left running free */
}

void timer_arm(uint64_t tsc_ticks)
{
    if (cpu_features.tsc_deadline) {
        /* A deadline that has passed fires at once. 2^62 ticks are decades: no wrap. */
        msr_write(MSR_TSC_DEADLINE, rdtsc() + min_u64(tsc_ticks, 1ull << 62));
        return;
    }
    /*
     * Rounded up, so that the timer does not fire just before the deadline, only to be armed again. 0 would
     * stop it. The counter has 32 bits: beyond its reach (4 s at QEMU's 1 GHz) it fires early, and the
     * handler asks the clock.
     */
    unsigned __int128 count = ((unsigned __int128)tsc_ticks * timer_ratio >> 32) + 1;
    lapic_write(LAPIC_TIMER_INITIAL, count > UINT32_MAX ? UINT32_MAX : (uint32_t)count);
}

void timer_disarm(void)
{
    if (cpu_features.tsc_deadline)
        msr_write(MSR_TSC_DEADLINE, 0);
    else
        lapic_write(LAPIC_TIMER_INITIAL, 0);
}

/* --- interrupting other CPUs --- */

static void icr_send(uint32_t apic_id, uint32_t command)
{
    if (x2apic) {
        /* One write, no status to wait for. It may overtake stores that the receiver is to see (11.12.3). */
        __asm__ volatile("mfence; lfence" : : : "memory");
        msr_write(X2APIC_MSR + LAPIC_ICR_LOW / 16, (uint64_t)apic_id << 32 | command);
        return;
    }
    uint64_t flags = irq_save();        /* a handler that also sends must not come between the two halves */
    /*
     * Normally idle at once. A CPU that never accepts is dead: whoever waits for its answer will notice,
     * not we.
     */
    for (unsigned tries = 0; (lapic_read(LAPIC_ICR_LOW) & ICR_PENDING) && tries < 100000; tries++)
        cpu_relax();
    lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
    lapic_write(LAPIC_ICR_LOW, command);    /* this write sends */
    irq_restore(flags);
}

void ipi_send(unsigned cpu, unsigned vector)
{
    assert(cpu < MAX_CPUS && vector >= VECTOR_IRQ_BASE && vector < VECTOR_SPURIOUS);
    icr_send(cpus[cpu].apic_id, ICR_ASSERT | vector);
}

void ipi_stop_others(void)
{
    if (x2apic || registers)            /* a panic may come before there is an APIC, and then there are no others */
        icr_send(0, ICR_OTHERS | ICR_ASSERT | ICR_NMI);
}

void lapic_send_init(uint32_t apic_id) { icr_send(apic_id, ICR_ASSERT | ICR_INIT); }

void lapic_send_startup(uint32_t apic_id, paddr_t page)
{
    assert(page.value < 0x100000 && (page.value & PAGE_MASK) == 0);
    icr_send(apic_id, ICR_ASSERT | ICR_STARTUP | (uint32_t)(page.value >> PAGE_SHIFT));
}
