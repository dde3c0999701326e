/*
 * Entry into the kernel and the one way out of it.
 *
 * Everything that enters (exception, interrupt, system call, a kernel thread that gives up the CPU) pushes
 * one struct trap_frame on the kernel stack of the running thread, calls C, and leaves through
 * kernel_exit(), which answers with the frame to resume: that of the same thread, or of whoever the
 * scheduler chose. So a thread that does not run is described by the address of one trap frame and nothing
 * else, and what a handler had on its stack when it decided to block is simply left behind.
 */
#ifndef ARCH_TRAP_H
#define ARCH_TRAP_H

#include "kernel/types.h"

/*
 * Pushed by trap.asm in reverse order; offsets are asserted in arch/x86_64/trap.c. The last five are pushed
 * by the CPU.
 */
struct trap_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector;            /* exception 0-31, interrupt 32-255, TRAP_SYSCALL, TRAP_YIELD */
    uint64_t error;             /* error code of the CPU, or 0 */
    uint64_t rip, cs, rflags, rsp, ss;
};

#define TRAP_SYSCALL 256        /* pseudo vectors: entered by `syscall`, ... */
#define TRAP_YIELD   257        /* ... or by kernel_yield() */

#define VECTOR_PAGE_FAULT 14
#define VECTOR_IRQ_BASE   32    /* IOAPIC input n arrives as VECTOR_IRQ_BASE + n (24 of them) */
#define VECTOR_TIMER      0xe0  /* local APIC timer */
#define VECTOR_RESCHEDULE 0xe1  /* look at need_resched */
#define VECTOR_TLB        0xe2  /* look at the loaded space's TLB generation */
#define VECTOR_SPURIOUS   0xff

#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x10
#define SELECTOR_USER_DATA   0x1b   /* SYSRET wants: user data, then user code, 8 apart (SDM vol. 2, SYSRET) */
#define SELECTOR_USER_CODE   0x23

static inline bool trap_from_user(const struct trap_frame *frame) { return frame->cs & 3; }

/*
 * Called by trap.asm on every entry but system calls, interrupts off. Dispatches to page_fault(),
 * irq_dispatch() or the exception report. May block the current thread; never switches stacks itself.
 */
void trap_dispatch(struct trap_frame *frame);

/*
 * What happened, in words: name and error code, not the registers. For reports; `text` is always
 * terminated. Pure.
 */
void trap_describe(const struct trap_frame *frame, char *text, size_t size);

/*
 * Called by trap.asm last, interrupts off: chooses who runs next and returns his frame. kernel/exit.c.
 */
struct trap_frame *kernel_exit(struct trap_frame *frame);

/*
 * Gives up the CPU from kernel context: builds a TRAP_YIELD frame on the calling thread's stack and goes
 * through kernel_exit(). Returns when the thread is chosen again. A kernel thread that wants to sleep sets
 * its state to blocked under the lock of what it waits for, and then calls this. No spinlock held;
 * interrupts in any state, and back in that state after.
 */
void kernel_yield(void);

/* Prepares the frame of a thread that has never run, at the top of its kernel stack. */
struct trap_frame *trap_frame_user(void *stack_top, vaddr_t entry, vaddr_t stack, uint64_t arg);
struct trap_frame *trap_frame_kernel(void *stack_top, void (*entry)(void *), void *arg);

/* From the next entry from user mode on, this CPU pushes frames below `stack_top`. Interrupts off. */
void cpu_set_kernel_stack(void *stack_top);

/*
 * Saves / loads the FPU and vector registers; `area` is 64-byte aligned, cpu_features.xsave_size bytes.
 * Interrupts off.
 */
void fpu_save(void *area);
void fpu_load(const void *area);
/*
 * Fills in the state that a new program expects (SysV ABI 3.4.1: x87 double extended, all exceptions
 * masked).
 */
void fpu_area_init(void *area);

/* The FS base (thread pointer) of user code on this CPU. Interrupts off; `base` is a user address. */
void cpu_set_user_tls(vaddr_t base);

#endif
