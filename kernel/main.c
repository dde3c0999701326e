/*
 * The table of contents: what is set up when the kernel starts, in the order in which one thing needs
 * another.
 */
#include "kernel/main.h"
#include "arch/irq.h"
#include "arch/trap.h"
#include "boot/boot_info.h"
#include "kernel/account.h"
#include "kernel/boot_time.h"
#include "kernel/console_input.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/sched.h"
#include "kernel/trace.h"
#include "mm/filler.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "mm/pinit.h"

#define FIRST_PROGRAM_PRIO 40u

static NORETURN void idle(void)
{
    for (;;) {
        irq_enable();
        if (table_stock_fill())
            /* zeroed frames for page tables: work that nobody waits for, and that anybody may interrupt */
            continue;
        irq_disable();          /* between the look and the wait nobody can come in */
        if (sched_should_yield())
            kernel_yield();
        cpu_idle_wait();
    }
}

/* From here on CPU 0's idle thread runs, which keeps the boot stack for its own. */
static NORETURN void start_threads(void)
{
    pinit_init(0);
    smp_start(options.max_cpus);                    /* each of them ends in kernel_main_secondary() */
    thread_create_kernel("first", 0, FIRST_PROGRAM_PRIO, first_program, NULL);
    idle();
}

void kernel_main(void)
{
    console_early_init();                           /* from here on it can say what is wrong */
    trace_early_init();
    cpu_features_init();
    cpu_init(0);                                    /* exceptions are reported */
    mmu_boot_init(&boot_info);                      /* the kernel's own page tables; all RAM is reachable */
    console_screen_init(&boot_info);
    /* now that a framebuffer can show what is wrong with them */
    options_parse(boot_info.cmdline);
    irq_init(&boot_info);                           /* how many CPUs there are, and how they are reached */
    trace_init(irq_cpu_limit(options.max_cpus), options.trace_events);
    frame_init(&boot_info);                         /* frames can be allocated */
    heap_init();
    account_init();
    filler_init();
    lapic_init();
    timers_init();
    timer_calibrate(&boot_info);                    /* it knows what time it is */
    sched_init();
    if (!thread_create_idle(0))                     /* this is a thread now */
        boot_fail("too little memory for the first thread");
    console_read_init();
    console_input_init();
    kprintf("primer: %u MiB free, TSC %lu MHz, %s\n", (unsigned)(frame_count().free >> 8), tsc_hz / 1000000, boot_info.loader);
    start_threads();
}

void kernel_main_secondary(unsigned cpu_id)
{
    cpu_init(cpu_id);
    lapic_init();
    pinit_init(cpu_id);
    smp_cpu_is_up();
    idle();
}
