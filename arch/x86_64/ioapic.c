/*
 * Device interrupts: the IOAPICs that deliver them, the legacy PICs that must not, and irq_dispatch(),
 * where every interrupt of every kind arrives. Routes are made during boot, on CPU 0, and then only read:
 * no lock. All device interrupts go to CPU 0. References: Intel 82093AA IOAPIC datasheet, 8259A datasheet.
 */
#include "arch/cpu.h"
#include "arch/irq.h"
#include "arch/mmu.h"
#include "arch/port.h"
#include "arch/trap.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/apic.h"
#include "kernel/log.h"
#include "kernel/trace.h"
#include "kernel/panic.h"
#include "kernel/timer.h"
#include "mm/aspace.h"

/* Inputs are numbered through over all IOAPICs (GSIs); input n has vector VECTOR_IRQ_BASE + n. */
#define MAX_INPUTS (VECTOR_TIMER - VECTOR_IRQ_BASE)

/* 82093AA, 3.1: registers are read and written through a selector and a window. */
#define IOAPIC_WINDOW      (0x10 / 4)
#define IOAPIC_VERSION     1u               /* bits 23:16: number of the last input */
#define IOAPIC_ENTRY(n)    (0x10u + 2 * (n))    /* low half; the high half follows */
#define ENTRY_ACTIVE_LOW   (1u << 13)
#define ENTRY_LEVEL        (1u << 15)
#define ENTRY_MASKED       (1u << 16)

/*
 * The PICs stay masked, but a spurious interrupt of theirs (input 7, 15) cannot be masked. Their vectors
 * are put where no other interrupt is, so that one is never taken for a device's; input 15's is then
 * VECTOR_SPURIOUS.
 */
#define PIC_VECTOR_BASE 0xf0
enum { PIC1_COMMAND = 0x20, PIC1_DATA = 0x21, PIC2_COMMAND = 0xa0, PIC2_DATA = 0xa1 };

static struct ioapic { volatile uint32_t *registers; unsigned first, inputs; } ioapics[ACPI_MAX_IOAPICS];
static struct route { void (*handler)(void); bool level; } routes[MAX_INPUTS];

static _Atomic unsigned unexpected[256];    /* by vector; for a debugger. The first of each is logged */

static uint32_t ioapic_read(const struct ioapic *ioapic, uint32_t reg)
{
    ioapic->registers[0] = reg;
    return ioapic->registers[IOAPIC_WINDOW];
}

static void ioapic_write(const struct ioapic *ioapic, uint32_t reg, uint32_t value)
{
    ioapic->registers[0] = reg;
    ioapic->registers[IOAPIC_WINDOW] = value;
}

/* Leaves *ioapic without inputs if nothing answers there. */
static void ioapic_init(struct ioapic *ioapic, const struct acpi_ioapic *found)
{
    ioapic->registers = mmu_map_device(paddr(found->address), (IOAPIC_WINDOW + 1) * 4);
    ioapic->first = found->first_gsi;
    uint32_t version = ioapic_read(ioapic, IOAPIC_VERSION);
    if (version == UINT32_MAX || ioapic->first >= MAX_INPUTS) {
        kprintf("irq: no usable IOAPIC at 0x%x\n", found->address);
        return;
    }
    ioapic->inputs = (unsigned)min_u64((version >> 16 & 0xff) + 1, MAX_INPUTS - ioapic->first);
    for (unsigned input = 0; input < ioapic->inputs; input++)
        ioapic_write(ioapic, IOAPIC_ENTRY(input), ENTRY_MASKED);
}

/* 8259A datasheet: ICW1 to ICW4 in this order, then the masks. */
static void pic_silence(void)
{
    outb(PIC1_COMMAND, 0x11);
    outb(PIC2_COMMAND, 0x11);
    outb(PIC1_DATA, PIC_VECTOR_BASE);
    outb(PIC2_DATA, PIC_VECTOR_BASE + 8);
    outb(PIC1_DATA, 1 << 2);       /* the second hangs on input 2 of the first */
    outb(PIC2_DATA, 2);
    outb(PIC1_DATA, 1);
    outb(PIC2_DATA, 1);
    outb(PIC1_DATA, 0xff);
    outb(PIC2_DATA, 0xff);
}

void irq_init(const struct boot_info *info)
{
    acpi_init(info);
    pic_silence();
    lapic_setup();
    for (unsigned i = 0; i < acpi_info.ioapic_count; i++)
        ioapic_init(&ioapics[i], &acpi_info.ioapics[i]);
}

static const struct ioapic *ioapic_of(unsigned gsi)
{
    for (unsigned i = 0; i < ACPI_MAX_IOAPICS; i++)
        if (gsi >= ioapics[i].first && gsi - ioapics[i].first < ioapics[i].inputs)
            return &ioapics[i];
    return NULL;
}

void irq_route(unsigned irq, void (*handler)(void))
{
    /* Beyond the ISA interrupts are PCI's: level-triggered, active low (PCI specification 3.0, 2.2.6). */
    struct acpi_isa_irq line = {.gsi = irq, .level = true, .active_low = true};
    if (irq < ACPI_ISA_IRQS)
        line = acpi_info.isa[irq];
    const struct ioapic *ioapic = ioapic_of(line.gsi);
    if (!ioapic) {
        kprintf("irq: no IOAPIC input for interrupt %u: its device will not be heard\n", irq);
        return;
    }
    assert(routes[line.gsi].handler == NULL);
    routes[line.gsi] = (struct route){.handler = handler, .level = line.level};
    uint32_t entry = IOAPIC_ENTRY(line.gsi - ioapic->first);
    ioapic_write(ioapic, entry + 1, cpus[0].apic_id << 24);
    ioapic_write(ioapic, entry, (VECTOR_IRQ_BASE + line.gsi) | (line.level ? ENTRY_LEVEL : 0)
                                | (line.active_low ? ENTRY_ACTIVE_LOW : 0));     /* last: this unmasks it */
}

static uint64_t taken[MAX_CPUS];        /* by its own CPU, interrupts off */

uint64_t irq_count(unsigned cpu) { return __atomic_load_n(&taken[cpu], __ATOMIC_RELAXED); }

static void report_unexpected(unsigned vector)
{
    if (atomic_fetch_add_explicit(&unexpected[vector & 0xff], 1, memory_order_relaxed) == 0)
        kprintf("irq: unexpected interrupt, vector 0x%x, on CPU %u\n", vector, this_cpu()->id);
}

/*
 * Edge-triggered inputs, the timer and other CPUs' interrupts are acknowledged first: each is one event,
 * and one that comes while we handle the last is kept by the APIC until interrupts are on again. So none is
 * lost, and no way out of a handler can leave the CPU deaf. A level-triggered input is a state:
 * acknowledged before the handler has made the device quiet, it would arrive again at once. Interrupts stay
 * off throughout, so the one that lapic_eoi() means is always the one that we are in.
 */
void irq_dispatch(unsigned vector)
{
    taken[this_cpu()->id]++;
    trace(PRIMER_EVENT_INTERRUPT, vector, 0, 0, 0, 0);
    if (vector == VECTOR_SPURIOUS)      /* SDM vol. 3, 11.9: nothing is in service, nothing to acknowledge */
        return;
    unsigned input = vector - VECTOR_IRQ_BASE;
    const struct route *route = input < MAX_INPUTS && routes[input].handler ? &routes[input] : NULL;
    bool level = route && route->level;

    if (!level)
        lapic_eoi();
    if (vector == VECTOR_TIMER)
        timer_interrupt();
    else if (vector == VECTOR_TLB)
        aspace_tlb_interrupt();
    else if (route)
        route->handler();
    else if (vector != VECTOR_RESCHEDULE)   /* its sender has set need_resched, and the kernel exit looks there */
        report_unexpected(vector);
    if (level)
        lapic_eoi();
}
