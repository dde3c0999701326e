/*
 * The last words: what is wrong, who ran, what he held, how he got there, and what the init queues look
 * like. Called from anywhere, in any state, so it relies on as little as possible: it takes no lock,
 * allocates nothing, and before reading through a pointer it asks whether that can be one. The first CPU
 * here has the word; a panic inside the panic says one line and ends.
 */
#include "kernel/panic.h"
#include "arch/irq.h"
#include "arch/mmu.h"
#include "arch/trap.h"
#include "kernel/exit_record.h"
#include "kernel/ksyms.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/thread.h"
#include "mm/pinit.h"

#define MESSAGE_BYTES    256
#define BACKTRACE_MAX    24
#define BACKTRACE_STRIDE 0x4000     /* no function's frame, and no kernel stack, is larger */

bool cpu_local_ready;
_Atomic bool panic_in_progress;

static _Atomic int panic_cpu = -1;  /* id of the CPU that reports */

/* The calling CPU; NULL before it can be known. */
static struct cpu *cpu_if_known(void)
{
    return cpu_local_ready ? this_cpu() : NULL;
}

/*
 * False if this CPU is already in the middle of a report. Does not return if another one is: two would be
 * garbled.
 */
static bool panic_enter(const struct cpu *cpu)
{
    int self = cpu ? (int)cpu->id : 0;
    int reporter = -1;

    irq_disable();
    if (!atomic_compare_exchange_strong(&panic_cpu, &reporter, self)) {
        if (reporter != self)
            cpu_halt();
        return false;
    }
    atomic_store(&panic_in_progress, true);
    if (cpu && cpu_count() > 1)
        ipi_stop_others();
    console_panic_mode();
    return true;
}

static void print_address(unsigned number, uint64_t address, uint64_t lookup)
{
    uint64_t offset;
    const char *name = ksym_name(lookup, &offset);
    if (name)
        kprintf("  #%-2u %016lx  %s+0x%lx\n", number, address, name, offset + (address - lookup));
    else
        kprintf("  #%-2u %016lx\n", number, address);
}

/*
 * Whether a saved rbp may be followed: in the kernel's half, aligned, a little further up the stack than
 * `below`.
 */
static bool is_stack_frame(uint64_t rbp, uint64_t below)
{
    return rbp >= DIRECT_BASE && rbp % 8 == 0 && rbp > below && rbp - below < BACKTRACE_STRIDE;
}

/*
 * Every function keeps its caller's rbp at (rbp) and the return address above it (-fno-omit-frame-pointer).
 * A return address is looked up one byte before: behind a call that never returns, the next function may
 * begin.
 */
static void print_callers(unsigned number, uint64_t rbp, uint64_t stack)
{
    uint64_t below = stack - 1;
    for (; number < BACKTRACE_MAX && is_stack_frame(rbp, below); number++) {
        const uint64_t *pair = (const uint64_t *)rbp;
        uint64_t address = pair[1];
        if (address < KERNEL_BASE)
            return;
        print_address(number, address, address - 1);
        below = rbp;
        rbp = pair[0];
    }
}

static void print_registers(const struct trap_frame *f)
{
    kprintf("  rip %016lx  cs  %04lx  rflags %08lx  vector %lu  error %lx\n",
            f->rip, f->cs, f->rflags, f->vector, f->error);
    kprintf("  rax %016lx  rbx %016lx  rcx %016lx\n", f->rax, f->rbx, f->rcx);
    kprintf("  rdx %016lx  rsi %016lx  rdi %016lx\n", f->rdx, f->rsi, f->rdi);
    kprintf("  rbp %016lx  rsp %016lx  r8  %016lx\n", f->rbp, f->rsp, f->r8);
    kprintf("  r9  %016lx  r10 %016lx  r11 %016lx\n", f->r9, f->r10, f->r11);
    kprintf("  r12 %016lx  r13 %016lx  r14 %016lx\n", f->r12, f->r13, f->r14);
    kprintf("  r15 %016lx\n", f->r15);
}

static void print_cpu(const struct cpu *cpu)
{
    if (cpu->current)
        thread_describe_current();
    kprintf("locks held:%s", cpu->nheld ? "" : " none");
    for (unsigned i = 0; i < cpu->nheld && i < CPU_MAX_HELD; i++)
        kprintf(" \"%s\"", cpu->held[i]->name);
    kprintf("\n");
}

/* `frame`: the exception, or NULL; `rbp`: where the caller of panic() is found otherwise. */
static NORETURN void report(const struct trap_frame *frame, uint64_t rbp, const char *message)
{
    const struct cpu *cpu = cpu_if_known();

    if (!panic_enter(cpu)) {
        kprintf("primer: panic inside the panic: %s\n", message);
        machine_end(EXIT_PANIC, 0);
    }
    kprintf("\nprimer: panic on CPU %u: ", cpu ? cpu->id : 0);
    kprintf("%s\n", message);
    if (cpu)
        print_cpu(cpu);
    if (frame)
        print_registers(frame);

    kprintf("backtrace:\n");
    if (!frame) {
        print_callers(0, rbp, rbp);
    } else {
        print_address(0, frame->rip, frame->rip);
        if (!trap_from_user(frame))
            print_callers(1, frame->rbp, frame->rsp);
    }
    if (cpu)
        pinit_describe();
    machine_end(EXIT_PANIC, 0);
}

void panic(const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    format_v(message, sizeof(message), format, args);
    va_end(args);
    report(NULL, (uintptr_t)__builtin_frame_address(0), message);
}

void panic_trap(const struct trap_frame *frame, const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    format_v(message, sizeof(message), format, args);
    va_end(args);
    report(frame, 0, message);
}

void boot_fail(const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    format_v(message, sizeof(message), format, args);
    va_end(args);
    irq_disable();
    console_panic_mode();
    kprintf("primer: cannot start: ");
    kprintf("%s\n", message);
    machine_end(EXIT_BOOT_FAIL, 0);
}
