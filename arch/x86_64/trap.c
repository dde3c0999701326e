/*
 * What a trap means: the interrupt descriptor table, the way from a vector to its handler, and exceptions
 * put into words. Called by trap.asm with interrupts off, on the kernel stack of the interrupted thread
 * (NMI, #DF and #MC: on a stack of their own). No locks. Policy is elsewhere: page faults in mm/fault.c,
 * the end of a thread at fault in kernel/, interrupts in ioapic.c.
 */
#include "arch/trap.h"
#include "arch/cpu.h"
#include "arch/irq.h"
#include "arch/mmu.h"
#include "arch/x86_64/descriptors.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "mm/fault.h"

/* asm.inc has these numbers. */
_Static_assert(sizeof(struct trap_frame) == 176, "11 * 16 bytes: keeps the stack aligned for C");
_Static_assert(offsetof(struct trap_frame, r11) == 48, "FRAME_R11");
_Static_assert(offsetof(struct trap_frame, r10) == 56, "FRAME_R10");
_Static_assert(offsetof(struct trap_frame, r9) == 64, "FRAME_R9");
_Static_assert(offsetof(struct trap_frame, r8) == 72, "FRAME_R8");
_Static_assert(offsetof(struct trap_frame, rax) == 80, "FRAME_RAX");
_Static_assert(offsetof(struct trap_frame, rdx) == 96, "FRAME_RDX");
_Static_assert(offsetof(struct trap_frame, rsi) == 104, "FRAME_RSI");
_Static_assert(offsetof(struct trap_frame, rdi) == 112, "FRAME_RDI");
_Static_assert(offsetof(struct trap_frame, vector) == 120, "FRAME_VECTOR");
_Static_assert(offsetof(struct trap_frame, rip) == 136, "FRAME_RIP");
_Static_assert(offsetof(struct trap_frame, cs) == 144, "FRAME_CS");
_Static_assert(offsetof(struct trap_frame, rflags) == 152, "FRAME_RFLAGS");
_Static_assert(offsetof(struct trap_frame, rsp) == 160, "FRAME_RSP");
_Static_assert(offsetof(struct thread, on_cpu) == 0, "trap_resume clears it");
_Static_assert(TRAP_SYSCALL == 256 && TRAP_YIELD == 257, "asm.inc");
_Static_assert(SELECTOR_KERNEL_CODE == 0x08 && SELECTOR_KERNEL_DATA == 0x10, "asm.inc");
_Static_assert(SELECTOR_USER_DATA == 0x1b && SELECTOR_USER_CODE == 0x23, "asm.inc");

/* --- the table --- */

/* SDM vol. 3, figure 6-8. */
struct idt_entry {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};
_Static_assert(sizeof(struct idt_entry) == 16, "SDM vol. 3, 6.14.1");

#define GATE_INTERRUPT 0x8e     /* present, DPL 0, 64-bit interrupt gate: turns interrupts off */
#define GATE_FROM_USER 0x60     /* DPL 3: the INT instructions of user code may use it */

#define EXCEPTION_NMI            2
#define EXCEPTION_BREAKPOINT     3
#define EXCEPTION_DOUBLE_FAULT   8
#define EXCEPTION_MACHINE_CHECK 18

static struct idt_entry idt[256];

void idt_init(void)
{
    for (unsigned vector = 0; vector < ARRAY_SIZE(idt); vector++) {
        uintptr_t stub = (uintptr_t)&trap_stubs[vector * TRAP_STUB_SIZE];
        idt[vector] = (struct idt_entry){
            .offset_low = stub & 0xffff,
            .offset_middle = stub >> 16 & 0xffff,
            .offset_high = (uint32_t)(stub >> 32),
            .selector = SELECTOR_KERNEL_CODE,
            .type = GATE_INTERRUPT,
        };
    }
    idt[EXCEPTION_NMI].ist = IST_NMI;
    idt[EXCEPTION_DOUBLE_FAULT].ist = IST_DOUBLE_FAULT;
    idt[EXCEPTION_MACHINE_CHECK].ist = IST_MACHINE_CHECK;
    idt[EXCEPTION_BREAKPOINT].type |= GATE_FROM_USER;   /* `int3` is reported as what it is, not as #GP */
}

void idt_load(void)
{
    struct table_pointer pointer = {sizeof(idt) - 1, (uintptr_t)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

static inline uint64_t read_cr2(void)
{
    uint64_t address;
    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    return address;
}

/* --- words --- */

/* SDM vol. 3, table 6-1; 29 and 30 are AMD's (APM vol. 2, 8.2). */
static const char *const exception_names[VECTOR_IRQ_BASE] = {
    [0] = "divide error (#DE)",
    [1] = "debug exception (#DB)",
    [2] = "non-maskable interrupt",
    [3] = "breakpoint (#BP)",
    [4] = "overflow (#OF)",
    [5] = "bound range exceeded (#BR)",
    [6] = "invalid opcode (#UD)",
    [7] = "no FPU (#NM)",
    [8] = "double fault (#DF)",
    [10] = "invalid TSS (#TS)",
    [11] = "segment not present (#NP)",
    [12] = "stack-segment fault (#SS)",
    [13] = "general protection (#GP)",
    [14] = "page fault (#PF)",
    [16] = "x87 floating-point error (#MF)",
    [17] = "alignment check (#AC)",
    [18] = "machine check (#MC)",
    [19] = "SIMD floating-point error (#XM)",
    [20] = "virtualization exception (#VE)",
    [21] = "control protection (#CP)",
    [29] = "VMM communication (#VC)",
    [30] = "security exception (#SX)",
};

/* SDM vol. 3, figure 4-12. */
static void describe_page_fault(uint64_t error, char *text, size_t size)
{
    const char *access = error >> 4 & 1 ? "instruction fetch from" : error >> 1 & 1 ? "write to" : "read of";
    const char *page = error >> 3 & 1 ? "a page whose entry has reserved bits set"
                     : error & 1      ? "a page that does not allow it"
                                      : "a page that is not present";
    const char *mode = error >> 2 & 1 ? "user" : "kernel";
    format(text, size, "page fault (#PF): %s %s, in %s mode", access, page, mode);
}

void trap_describe(const struct trap_frame *frame, char *text, size_t size)
{
    uint64_t vector = frame->vector, error = frame->error;
    const char *name = vector < ARRAY_SIZE(exception_names) ? exception_names[vector] : NULL;
    if (vector == VECTOR_PAGE_FAULT)
        describe_page_fault(error, text, size);
    else if (!name)
        format(text, size, "vector %lu", vector);
    else if (vector < 10 || vector > 13 || error == 0)
        format(text, size, "%s", name);
    else    /* SDM vol. 3, figure 6-7. The number as it is: emulators disagree on the index of an IDT entry */
        format(text, size, "%s, error code 0x%lx: %s", name, error,
               error >> 1 & 1 ? "an IDT entry" : "a selector");
}

/* --- dispatch --- */

#define DESCRIPTION_MAX 112

void trap_dispatch(struct trap_frame *frame)
{
    uint64_t vector = frame->vector;
    if (DEBUG && (frame->rflags & RFLAGS_IF))
        irqoff_begin();
    if (vector == VECTOR_PAGE_FAULT) {
        /* Nothing has faulted since: interrupts are off, and the kernel's own memory is always mapped. */
        page_fault(frame, read_cr2());
    } else if (vector >= VECTOR_IRQ_BASE) {
        irq_dispatch((unsigned)vector);
    } else {
        char text[DESCRIPTION_MAX];
        trap_describe(frame, text, sizeof(text));
        if (!trap_from_user(frame))
            panic_trap(frame, "%s in the kernel", text);
        thread_fault(frame, text);
    }
}

/*
 * A push onto the guard page below a kernel stack cannot be reported on that stack: its #PF ends as #DF. It
 * shows in CR2, within a page of rsp, since no kernel function has a frame larger than that
 * (-Wframe-larger-than).
 */
static bool kernel_stack_overflowed(const struct trap_frame *frame, uint64_t address)
{
    return frame->rsp >= KSTACK_BASE && frame->rsp < KERNEL_BASE
        && address + PAGE_SIZE > frame->rsp && address < frame->rsp + PAGE_SIZE;
}

/* Any spinlock may be held by the code that was interrupted; panic() copes with that. */
NORETURN void trap_fatal(struct trap_frame *frame)
{
    uint64_t address = read_cr2();
    if (frame->vector == EXCEPTION_NMI && atomic_load(&panic_in_progress))
        cpu_halt();                     /* sent by the CPU that panics */
    if (frame->vector == EXCEPTION_DOUBLE_FAULT && kernel_stack_overflowed(frame, address))
        panic_trap(frame, "kernel stack overflow (double fault, cr2 0x%lx)", address);
    char text[DESCRIPTION_MAX];
    trap_describe(frame, text, sizeof(text));
    if (frame->vector == EXCEPTION_DOUBLE_FAULT)
        panic_trap(frame, "%s, cr2 0x%lx", text, address);
    panic_trap(frame, "%s", text);
}

/* --- frames of threads that have never run --- */

/*
 * The vector is any that is not a system call's: the first way into a thread is iretq, which loads every
 * register.
 */
static struct trap_frame *new_frame(void *top, uint64_t rip, uint64_t rsp, uint64_t arg)
{
    assert((uintptr_t)top % 16 == 0);
    struct trap_frame *frame = (struct trap_frame *)top - 1;
    *frame = (struct trap_frame){
        .vector = TRAP_YIELD, .rdi = arg, .rip = rip, .rsp = rsp,
        .rflags = RFLAGS_IF | 1 << 1,   /* bit 1 is always 1 */
    };
    return frame;
}

struct trap_frame *trap_frame_user(void *stack_top, vaddr_t entry, vaddr_t stack, uint64_t arg)
{
    assert(entry < USER_MAX);
    struct trap_frame *frame = new_frame(stack_top, entry, stack, arg);
    frame->cs = SELECTOR_USER_CODE;
    frame->ss = SELECTOR_USER_DATA;
    return frame;
}

/*
 * `entry` finds the stack as if called from address 0 with no caller's frame (rbp is 0): a backtrace ends
 * there. The frame lies below that return address, not over it.
 */
struct trap_frame *trap_frame_kernel(void *stack_top, void (*entry)(void *), void *arg)
{
    uint64_t *top = stack_top;
    top[-1] = 0;
    struct trap_frame *frame = new_frame(top - 2, (uintptr_t)entry, (uintptr_t)(top - 1), (uintptr_t)arg);
    frame->cs = SELECTOR_KERNEL_CODE;
    frame->ss = SELECTOR_KERNEL_DATA;
    return frame;
}
