/*
 * What the firmware's ACPI tables say about CPUs, interrupt controllers and the PM timer, in the kernel's
 * own form.
 */
#ifndef ARCH_X86_64_ACPI_H
#define ARCH_X86_64_ACPI_H

#include "kernel/types.h"

#define ACPI_MAX_IOAPICS 8
#define ACPI_ISA_IRQS    16

struct boot_info;

struct acpi_ioapic { uint32_t address, first_gsi; };            /* GSI: global system interrupt, the number of an IOAPIC input */
struct acpi_isa_irq { uint32_t gsi; bool level, active_low; };  /* where an ISA interrupt arrives, and how */

/*
 * Fixed after acpi_init(). Without usable tables: no CPU listed, the usual IOAPIC, ISA interrupts one to
 * one, no PM timer.
 */
struct acpi_info {
    uint32_t apic_ids[MAX_CPUS];        /* CPUs that may be started, the booting one among them */
    unsigned cpu_count;
    struct acpi_ioapic ioapics[ACPI_MAX_IOAPICS];
    unsigned ioapic_count;
    struct acpi_isa_irq isa[ACPI_ISA_IRQS];
    uint16_t pm_timer_port;             /* 0: there is none */
    uint32_t pm_timer_mask;             /* 24 or 32 ones: the counter's width */
};
extern struct acpi_info acpi_info;

/*
 * CPU 0, boot, after mmu_boot_init(). A bad table costs what it would have told and a log line, never the
 * boot.
 */
void acpi_init(const struct boot_info *info);

#endif
