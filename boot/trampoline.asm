; How a CPU other than the first gets from real mode into the kernel: 16 to 32 to 64 bits in one page. smp.c copies this
; to TRAMPOLINE and fills in the words at its end; the start-up IPI makes the CPU begin at its first byte, in real mode,
; with CS = TRAMPOLINE / 16 and IP = 0. The page is mapped at its own physical address meanwhile, because the
; instruction after "paging on" is fetched through the page tables.
; References: Intel SDM vol. 3, 9.4 (MP initialization), 10.8.5 (entering IA-32e mode).

TRAMPOLINE equ 0x8000           ; asserted in smp.c
%define AT(label) (TRAMPOLINE + label - trampoline_start)

MSR_EFER equ 0xc0000080
CR4_PAE  equ 1 << 5
; PG, WP, NE, ET, MP, PE. The rest off, above all CD and NW: INIT leaves the caches as they were, perhaps off.
CR0_BITS equ 0x80010033

CODE32 equ 0x08
DATA   equ 0x10
CODE64 equ 0x18

global trampoline_start, trampoline_words, trampoline_end

section .rodata

align 16
trampoline_start:
bits 16
        cli
        cld
        xor     ax, ax
        mov     ds, ax
        lgdt    [AT(gdt_pointer)]
        mov     eax, 1                          ; PE only, so far
        mov     cr0, eax
        jmp     dword CODE32:AT(protected)

bits 32
protected:
        mov     ax, DATA
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     eax, CR4_PAE
        mov     cr4, eax
        mov     eax, [AT(word_cr3)]             ; below 4 GiB: here CR3 has only 32 bits
        mov     cr3, eax
        mov     ecx, MSR_EFER
        mov     eax, [AT(word_efer)]            ; LME, and NXE since the kernel's tables use it
        xor     edx, edx
        wrmsr
        mov     eax, CR0_BITS
        mov     cr0, eax
        jmp     CODE64:AT(long_mode)

bits 64
long_mode:
        xor     eax, eax
        mov     rdx, [abs AT(word_claim)]
        xchg    rax, [rdx]                      ; locked: either we take the start, or smp.c has given us up
        test    rax, rax
        jz      .given_up
        mov     rsp, [abs AT(word_stack)]
        mov     edi, [abs AT(word_cpu)]
        mov     rax, [abs AT(word_entry)]
        xor     ebp, ebp                        ; ends a backtrace
        call    rax                             ; kernel_main_secondary(cpu), never returns
.given_up:
        hlt
        jmp     .given_up

align 8
gdt:
        dq      0
        dq      0x00cf9b000000ffff              ; CODE32: flat. "Accessed" is set in all: the page is read-only
        dq      0x00cf93000000ffff              ; DATA: flat
        dq      0x00af9b000000ffff              ; CODE64
gdt_pointer:
        dw      $ - gdt - 1
        dd      AT(gdt)

; struct words of smp.c
align 8
trampoline_words:
word_cr3:       dq 0
word_efer:      dq 0
word_claim:     dq 0
word_stack:     dq 0
word_entry:     dq 0
word_cpu:       dq 0
trampoline_end:
