/*
 * The end of the machine, good or bad. Called by the power_off system call, panic() and boot_fail(), on any
 * CPU and in any context: no lock. It does not stop the other CPUs; under QEMU the machine is gone with one
 * port write, and panic() has stopped them before.
 */
#include "kernel/exit_record.h"
#include "arch/cpu.h"
#include "arch/port.h"
#include "kernel/ksyms.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/time.h"
#include "kernel/trace.h"

#define EXIT_MAGIC 0x544958454d495250ull    /* "PRIMEXIT", first letter in the lowest byte */

#define DEBUG_EXIT_PORT    0xf4     /* QEMU: -device isa-debug-exit,iobase=0xf4; its exit code is 2 * value + 1 */
#define DEBUG_EXIT_PROGRAM 16       /* 33 */
#define DEBUG_EXIT_OTHER   17       /* 35 */

struct exit_record exit_record;

/* Debug builds: where interrupts were off longest, for whoever has to shorten that. */
static void report_irqoff(void)
{
    const struct cpu *worst = &cpus[0];
    uint64_t offset = 0;
    for (unsigned i = 1; i < cpu_count(); i++)
        if (cpus[i].irqoff_max > worst->irqoff_max)
            worst = &cpus[i];
    const char *name = ksym_name(worst->irqoff_where, &offset);
    kprintf("primer: interrupts were off for at most %lu ns, until %s+0x%lx\n", tsc_to_ns(worst->irqoff_max),
            name ? name : "?", offset);
}

void machine_end(enum exit_reason reason, unsigned status)
{
    static _Atomic bool ending;

    irq_disable();
    /* A program that ends while another CPU panics is no success: the panic says how it ends. */
    if (reason == EXIT_PROGRAM && atomic_load(&panic_in_progress))
        cpu_halt();
    exit_record.reason = reason;
    exit_record.status = status;
    exit_record.magic = EXIT_MAGIC;
    /* Not a second time: something in here went wrong and panicked, or two CPUs end at once. */
    if (!atomic_exchange(&ending, true)) {
        console_panic_mode();
        if (DEBUG && reason == EXIT_PROGRAM)
            report_irqoff();
        trace_finish();
    }
    outb(DEBUG_EXIT_PORT, reason == EXIT_PROGRAM ? DEBUG_EXIT_PROGRAM : DEBUG_EXIT_OTHER);
    kprintf("primer: stopped; it is safe to turn the machine off\n");
    cpu_halt();
}
