; Every way into the kernel, and the one way out. An entry pushes one struct trap_frame (arch/trap.h) on the
; kernel stack of the running thread and calls C; kernel_exit() then names the frame to resume, on this
; stack or another. Interrupts are off in all of this file. It takes no lock and decides nothing; what a
; trap means is trap.c's business.

%include "arch/x86_64/asm.inc"

extern trap_dispatch, trap_fatal, syscall_entry, kernel_exit, cpu_features
global trap_stubs:data, syscall_enter:function, kernel_yield:function

section .text
bits 64
default rel

; The part of a frame below `vector`. The order is that of struct trap_frame, upside down.
%macro PUSH_CALLER_SAVED 0
    push rdi
    push rsi
    push rdx
    push rcx
    push rax
    push r8
    push r9
    push r10
    push r11
%endmacro

%macro PUSH_CALLEE_SAVED 0
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
%endmacro

; One stub of 16 bytes for each vector; trap.c points IDT entry n at trap_stubs + 16 * n. The CPU has pushed
; ss, rsp, rflags, cs and rip, and for some exceptions an error code (SDM vol. 3, table 6-1: 8, 10-14, 17,
; 21; AMD APM vol. 2, 8.2: 29, 30). A stub evens that out, adds the vector, and goes to the common part;
; those that run on a stack of their own (IST) go elsewhere.
align 16
trap_stubs:
%assign n 0
%rep 256
%if !(n == 8 || (n >= 10 && n <= 14) || n == 17 || n == 21 || n == 29 || n == 30)
    push 0
%endif
    push n
%if n == 2 || n == 8 || n == 18
    jmp near trap_enter_fatal
%else
    jmp near trap_enter
%endif
    times 16 * (n + 1) - ($ - trap_stubs) nop       ; does not assemble if a stub is longer than 16 bytes
%assign n n + 1
%endrep

; Calls void trap_dispatch(struct trap_frame *). The CPU has aligned rsp to 16 before it pushed, and a frame
; is 11 * 16 bytes.
trap_enter:
    cld                                             ; user code may have set DF; C counts on it being clear
    test byte [rsp + FRAME_CS - FRAME_VECTOR], 3
    jz .gs_is_ours
    swapgs
.gs_is_ours:
    PUSH_CALLER_SAVED
    PUSH_CALLEE_SAVED
    cmp byte [cpu_features + CPU_FEATURES_SMAP], 0
    je .no_smap
    clac                                            ; AC may be user code's, or an interrupted user copy's
.no_smap:
    mov rdi, rsp
    call trap_dispatch
trap_leave:
    mov rdi, rsp
    call kernel_exit
    ; falls through

; The one way out: resumes the frame in rax, whatever entry made it.
trap_resume:
    mov rsp, rax
    ; From here on nobody uses the stack that was left, so another CPU may run its thread. Not a moment
    ; earlier: kernel_exit() returned on it. The plain store is enough, since x86 keeps stores in order (SDM
    ; vol. 3, 9.2.2).
    mov rax, [gs:CPU_LEFT]
    test rax, rax
    jz .nobody_left
    mov byte [rax], 0                               ; left->on_cpu
    mov qword [gs:CPU_LEFT], 0
.nobody_left:
    test byte [rsp + FRAME_CS], 3
    jz .gs_stays
    ; Between this and iretq no exception can come but those that look at GS itself (trap_enter_fatal):
    ; whoever writes a user frame sees to it that iretq accepts it.
    swapgs
.gs_stays:
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    pop r11
    pop r10
    pop r9
    pop r8
    pop rax
    pop rcx
    pop rdx
    pop rsi
    pop rdi
    add rsp, 16                                     ; vector, error
    iretq                                           ; loads rsp and ss for kernel frames too (SDM vol. 2, IRET)

; NMI, #DF, #MC, on a stack of their own. They may come at any instruction, also between an entry and its
; swapgs, so cs does not tell whose GS is loaded; its base does: the kernel's is in the upper half, and user
; code cannot load one from there (CR4.FSGSBASE is off). Calls the NORETURN void trap_fatal(struct
; trap_frame *), so that there is no way back to describe.
trap_enter_fatal:
    cld
    PUSH_CALLER_SAVED
    PUSH_CALLEE_SAVED
    mov ecx, 0xc0000101                             ; IA32_GS_BASE
    rdmsr
    test edx, edx
    js .gs_is_ours
    swapgs
.gs_is_ours:
    mov rdi, rsp
    call trap_fatal

; The target of `syscall` (IA32_LSTAR): rip is in rcx, rflags in r11, rsp still the user's; IA32_FMASK has
; cleared IF, TF, DF, NT, AC. Calls void syscall_entry(struct trap_frame *). Every instruction here is on
; the path of the cheapest system call.
syscall_enter:
    swapgs
    mov [gs:CPU_USER_RSP], rsp
    mov rsp, [gs:CPU_KERNEL_RSP]
    push SELECTOR_USER_DATA
    push qword [gs:CPU_USER_RSP]
    push r11
    push SELECTOR_USER_CODE
    push rcx
    push 0
    push TRAP_SYSCALL
    PUSH_CALLER_SAVED
    PUSH_CALLEE_SAVED
    mov rdi, rsp
    call syscall_entry
    mov rdi, rsp
    call kernel_exit
    cmp rax, rsp
    jne trap_resume                                 ; another thread's
    ; The same frame and so the same thread: nobody was left, and rbx, rbp, r12-r15 are in their registers,
    ; since C keeps them. Code that writes these fields of a waiting thread's frame changes `vector` too,
    ; and that sends it through iretq.
    cmp dword [rsp + FRAME_VECTOR], TRAP_SYSCALL
    jne trap_resume
    ; SYSRET to an address that is not canonical faults in ring 0 with the user's rsp (SDM vol. 2, SYSRET).
    ; The address after a `syscall` is at most USER_MAX, as no page from there on is ever mapped. Checked
    ; all the same: a frame can be written to.
    cmp dword [rsp + FRAME_RIP + 4], 0x7fff
    ja trap_resume
    mov rax, [rsp + FRAME_RAX]
    mov rdi, [rsp + FRAME_RDI]
    mov rsi, [rsp + FRAME_RSI]
    mov rdx, [rsp + FRAME_RDX]
    mov r10, [rsp + FRAME_R10]
    mov r8, [rsp + FRAME_R8]
    mov r9, [rsp + FRAME_R9]
    mov rcx, [rsp + FRAME_RIP]
    mov r11, [rsp + FRAME_RFLAGS]
    mov rsp, [rsp + FRAME_RSP]                      ; an NMI from here on is safe: it has a stack of its own
    swapgs
    o64 sysret

; void kernel_yield(void). Builds the frame that an interrupt at the return address would have pushed,
; except that the registers which a C caller does not expect to keep are left as they are found.
kernel_yield:
    mov rax, rsp                                    ; the return address is there, ...
    pushfq
    pop rdx
    cli
    mov rcx, [rax]
    add rax, 8                                      ; ... and this is rsp after the `ret`
    and rsp, -16
    push SELECTOR_KERNEL_DATA
    push rax
    push rdx
    push SELECTOR_KERNEL_CODE
    push rcx
    push 0
    push TRAP_YIELD
    sub rsp, 9 * 8
    PUSH_CALLEE_SAVED
    jmp trap_leave
