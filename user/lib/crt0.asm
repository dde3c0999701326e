; Where threads of a program begin. Both entries are the targets of thread_create: rdi is the argument, rsp
; is 16-byte aligned and nothing is on the stack. The calls give the C functions the alignment that they
; expect (SysV ABI 3.2.2); rbp 0 ends a debugger's chain of frames.

bits 64
default rel

section .text

; void _start(struct argument_block *block): the program's first thread. start.c
global _start
extern primer_start
_start:
    xor     ebp, ebp
    call    primer_start
    ud2

; void primer_thread_entry(struct primer_thread *thread): every other one. thread.c
global primer_thread_entry
extern primer_thread_main
primer_thread_entry:
    xor     ebp, ebp
    call    primer_thread_main
    ud2

section .note.GNU-stack noalloc noexec nowrite progbits
