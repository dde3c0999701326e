; primer_fork() returns twice, which C cannot say. The caller-saved registers are nobody's after a call, so
; what a child needs in order to return is the six callee-saved ones and the return address; they are
; pushed, the memory is cloned with them on the stack, and the child starts with its stack pointer just
; there.

bits 64
default rel

section .text

; status_t primer_fork(void)
global primer_fork
extern fork_clone
primer_fork:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    mov     rdi, rsp
    lea     rsi, [fork_child_entry]
    sub     rsp, 8              ; six pushes and the return address make 56 bytes; 64 keeps the call aligned
    call    fork_clone          ; (stack pointer for the child, its entry): a handle or an error
fork_return:
    add     rsp, 8
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret

; Entered by the child's thread with rsp where the parent pushed r15. What lies below belonged to the parent's
; fork_clone() and may be overwritten: it is the child's own copy.
extern fork_child
fork_child_entry:
    sub     rsp, 8
    call    fork_child          ; returns 0
    jmp     fork_return

section .note.GNU-stack noalloc noexec nowrite progbits
