/*
 * Between cpu.c, fpu.c, trap.c and trap.asm: what the set-up of a CPU needs of each, and the headers in
 * arch/ do not show.
 */
#ifndef ARCH_X86_64_DESCRIPTORS_H
#define ARCH_X86_64_DESCRIPTORS_H

#include "kernel/types.h"

struct trap_frame;

/*
 * Stacks of their own in the TSS (SDM vol. 3, 6.14.5), for what may come at any instruction. 0 in an IDT
 * entry means none.
 */
enum ist { IST_NONE, IST_NMI, IST_DOUBLE_FAULT, IST_MACHINE_CHECK, IST_COUNT };

/* The operand of LGDT and LIDT. */
struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

/* Fills the one IDT. CPU 0, boot. */
void idt_init(void);
/* Points the calling CPU at it. */
void idt_load(void);

/* Turns on the vector registers that cpu_features names, and clears them. After CR4 is set. */
void fpu_init(void);

/* trap.asm: where `syscall` arrives; one stub of TRAP_STUB_SIZE bytes for each vector. */
#define TRAP_STUB_SIZE 16
void syscall_enter(void);
extern const uint8_t trap_stubs[256 * TRAP_STUB_SIZE];

/* trap.asm calls it for NMI, #DF and #MC, on their own stacks. */
NORETURN void trap_fatal(struct trap_frame *frame);

#endif
