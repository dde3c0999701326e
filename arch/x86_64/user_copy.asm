; The only instructions that touch user memory from kernel mode, between labels that user_copy.c compares a
; fault's rip with. When such a fault cannot be put right, the copy goes on at its fixup label instead and
; returns false.

%include "arch/x86_64/asm.inc"

global user_copy_bytes:function, user_copy_start, user_copy_end, user_copy_fixup
global user_peek_word:function, user_peek_start, user_peek_end, user_peek_fixup

section .text
bits 64
default rel

; bool user_copy_bytes(void *to, const void *from, size_t len). A fault inside a `rep` leaves rsi, rdi and
; rcx at the first element not yet moved (SDM vol. 2, REP), so resuming the frame goes on where it stopped.
; By eights whatever ERMS says: as fast on its CPUs for short copies, and one instruction for eight bytes
; where instructions are what is counted.
user_copy_bytes:
    mov rcx, rdx
    shr rcx, 3
user_copy_start:
    rep movsq
    mov ecx, edx
    and ecx, 7
    rep movsb
user_copy_end:
    mov eax, 1
    ret
user_copy_fixup:
    xor eax, eax
    ret

; bool user_peek_word(uint32_t *value, const uint32_t *from)
user_peek_word:
user_peek_start:
    mov eax, [rsi]
user_peek_end:
    mov [rdi], eax
    mov eax, 1
    ret
user_peek_fixup:
    xor eax, eax
    ret
