/*
 * Between the files of the interrupt controllers, timer calibration and CPU start: what arch/irq.h does not
 * show.
 */
#ifndef ARCH_X86_64_APIC_H
#define ARCH_X86_64_APIC_H

#include "kernel/types.h"

/* Decides between xAPIC and x2APIC and maps the registers. CPU 0, boot, before its lapic_init(). */
void lapic_setup(void);

/* Whether an interrupt can be sent to this APIC id: ids from 255 on need x2APIC (SDM vol. 3, 11.12). */
bool lapic_reaches(uint32_t apic_id);

/* The calling CPU's id. After lapic_setup(). */
uint32_t lapic_id(void);

/* End of interrupt. The one with the highest vector in service is meant; harmless if there is none. */
void lapic_eoi(void);

/* INIT and start-up IPI, SDM vol. 3, 9.4.4. The CPU starts in real mode at `page`, which is below 1 MiB. */
void lapic_send_init(uint32_t apic_id);
void lapic_send_startup(uint32_t apic_id, paddr_t page);

/* For the calibration: runs the timer down from its largest value, with its interrupt masked. */
void lapic_timer_free_run(void);
uint32_t lapic_timer_count(void);

/*
 * Fixes how many timer ticks go on how many TSC ticks, for timer_arm(). CPU 0, boot, before other CPUs
 * start.
 */
void lapic_timer_set_ratio(uint64_t timer_ticks, uint64_t tsc_ticks);

#endif
