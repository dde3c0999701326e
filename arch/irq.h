/*
 * Interrupt controllers and the other CPUs: what the rest of the kernel needs of local APIC, IOAPIC and
 * INIT/SIPI.
 */
#ifndef ARCH_IRQ_H
#define ARCH_IRQ_H

#include "kernel/types.h"

struct boot_info;

/*
 * Finds CPUs and IOAPICs through ACPI's MADT, masks the legacy PICs, sets the IOAPIC inputs masked. CPU 0,
 * boot.
 */
void irq_init(const struct boot_info *info);

/* How many CPUs will run at most, this one included, if no more than `limit` may. After irq_init(). */
unsigned irq_cpu_limit(unsigned limit);

/* The calling CPU's local APIC on, timer stopped. Each CPU once, before it turns interrupts on. */
void lapic_init(void);

/*
 * Measures TSC and local APIC timer against the PIT and the ACPI PM timer (and CPUID's word, if it has
 * one), and believes what two of them agree on. CPU 0, boot; about 10 ms. Sets up kernel/time.h.
 */
void timer_calibrate(const struct boot_info *info);

/*
 * Starts the other CPUs (at most `limit` in total); returns when each runs its idle thread or has been
 * given up with a log line.
 */
void smp_start(unsigned limit);
/*
 * Called by each of them at the end of its initialisation, in kernel_main_secondary(): from here on it
 * counts.
 */
void smp_cpu_is_up(void);

/*
 * Arms this CPU's timer to interrupt (VECTOR_TIMER) in `ticks` TSC ticks, at once if 0; replaces what was
 * armed. Interrupts off.
 */
void timer_arm(uint64_t tsc_ticks);
void timer_disarm(void);

/* Sends one of VECTOR_* to another CPU. Returns at once. */
void ipi_send(unsigned cpu, unsigned vector);
/* Non-maskable: stops every other CPU, for a panic. */
void ipi_stop_others(void);

/*
 * Routes IOAPIC input / ISA interrupt `irq` to CPU 0 and calls `handler` (interrupts off) on each. Boot
 * only.
 */
void irq_route(unsigned irq, void (*handler)(void));

/* Called by trap_dispatch() for vectors from VECTOR_IRQ_BASE on; acknowledges, then calls the handler. */
void irq_dispatch(unsigned vector);

/* Interrupts that CPU `cpu` has taken, all kinds together. */
uint64_t irq_count(unsigned cpu);

#endif
