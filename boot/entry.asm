; The first instructions of Primer. A boot loader enters here in 32-bit protected mode without paging: GRUB through the
; Multiboot2 header (Multiboot2 2.0, 3.1 and 3.2), QEMU's -kernel through the PVH note (Xen, docs/misc/pvh.pandoc). The code
; refuses CPUs that cannot run the kernel, builds temporary page tables, enters long mode and calls C in the higher half.
;
; Everything is linked at KERNEL_BASE + physical address, so the 32-bit part names each label through PHYS().
; Interrupts stay off; no lock; nothing here runs twice (the other CPUs come through trampoline.asm).

KERNEL_BASE equ 0xffffffff80000000
%define PHYS(label) (label - KERNEL_BASE)

global multiboot2_start, pvh_start, boot_stack_top, boot_entry_tsc
extern boot_multiboot2, boot_pvh

; --- what boot loaders look for -----------------------------------------------

MULTIBOOT2_MAGIC        equ 0xe85250d6
MULTIBOOT2_ARCH_I386    equ 0               ; 32-bit protected mode
MULTIBOOT2_LOADED       equ 0x36d76289      ; in eax on entry
XEN_ELFNOTE_PHYS32_ENTRY equ 18

section .multiboot2 progbits alloc noexec nowrite align=8
header:
    dd MULTIBOOT2_MAGIC, MULTIBOOT2_ARCH_I386, header_end - header
    dd 0x100000000 - (MULTIBOOT2_MAGIC + MULTIBOOT2_ARCH_I386 + (header_end - header))
align 8
    dw 4, 1                                 ; console flags: optional
    dd 12, 2                                ; EGA text will do
align 8
    dw 5, 1                                 ; framebuffer: optional
    dd 20, 1024, 768, 32
align 8
    dw 6, 0                                 ; modules page-aligned: the archive is mapped into programs
    dd 8
align 8
    dw 0, 0
    dd 8
header_end:

section .note.pvh note alloc noexec nowrite align=4
    dd 4, 8, XEN_ELFNOTE_PHYS32_ENTRY       ; sizes of name and descriptor, type
    db "Xen", 0
    dq PHYS(pvh_start)                      ; QEMU reads eight bytes of an ELF64 file

; --- 32-bit protected mode -----------------------------------------------

section .text
bits 32

; ebx: physical address of the loader's information; esi, from here on: the C function that understands it.
multiboot2_start:
    cmp eax, MULTIBOOT2_LOADED
    mov esi, PHYS(text_loader)
    jne refuse
    mov esi, PHYS(boot_multiboot2)
    jmp start

pvh_start:
    mov esi, PHYS(boot_pvh)

start:
    cld
    mov esp, PHYS(boot_stack_top)
    push ebx
    call check_cpu
    pop ebx
    rdtsc                                   ; every CPU that has long mode has it
    mov [PHYS(boot_entry_tsc)], eax
    mov [PHYS(boot_entry_tsc) + 4], edx
    call make_tables

    mov eax, cr4
    or eax, 1 << 5                          ; PAE
    mov cr4, eax
    mov eax, PHYS(pml4)
    mov cr3, eax
    mov ecx, 0xc0000080                     ; IA32_EFER: LME and NXE
    rdmsr
    or eax, 1 << 8 | 1 << 11
    wrmsr
    mov eax, cr0
    or eax, 1 << 31 | 1 << 16               ; PG, and WP: read-only holds for the kernel too
    mov cr0, eax                            ; SDM vol. 3, 10.8.5: long mode is active from here, in 32-bit compatibility
    lgdt [PHYS(gdt_pointer_low)]
    jmp 8:PHYS(long_mode)

; Says what the CPU lacks and does not return, or returns. Keeps esi. Loses the rest.
check_cpu:
    xor edi, edi                            ; bits of text_* to say
    pushfd                                  ; SDM vol. 1, 20.1.2: CPUID exists if EFLAGS.ID can be flipped
    pop eax
    mov ecx, eax
    xor eax, 1 << 21
    push eax
    popfd
    pushfd
    pop eax
    cmp eax, ecx
    je .nothing
    mov eax, 1
    cpuid
    bt edx, 26
    jc .extended
    or edi, 4
.extended:
    mov eax, 0x80000000
    cpuid
    xor edx, edx
    cmp eax, 0x80000001
    jb .flags                               ; no extended leaves: neither of the two
    mov eax, 0x80000001
    cpuid
.flags:
    bt edx, 29
    jc .long_mode
    or edi, 1
.long_mode:
    bt edx, 20
    jc .judge
    or edi, 2
.judge:
    test edi, edi
    jnz .refuse
    ret
.nothing:
    mov edi, 7
.refuse:
    mov ebp, edi
    call serial_init
    mov edi, 0xb8000                        ; VGA text; in another mode nobody sees it, and no harm is done
    mov esi, PHYS(text_lacks)
    call put_string
    mov esi, PHYS(text_long_mode)
    test ebp, 1
    call put_string_nz
    mov esi, PHYS(text_nx)
    test ebp, 2
    call put_string_nz
    mov esi, PHYS(text_sse2)
    test ebp, 4
    call put_string_nz
    mov esi, PHYS(text_end)
    jmp finish

; Prints the text at esi and ends the machine.
refuse:
    mov esp, PHYS(boot_stack_top)
    call serial_init
    mov edi, 0xb8000
finish:
    call put_string
    mov dx, 0xf4                            ; isa-debug-exit, if QEMU has it: its exit code becomes 17 * 2 + 1
    mov eax, 17
    out dx, eax
.halt:
    cli
    hlt
    jmp .halt

; COM1 to 115200 baud, 8 data bits, no parity, one stop bit, FIFOs on, no interrupts (16550 data sheet, 8).
; Loses eax, ecx, edx.
serial_init:
    mov ecx, PHYS(serial_settings)
.next:
    movzx edx, byte [ecx]
    add edx, 0x3f8
    mov al, [ecx + 1]
    out dx, al
    add ecx, 2
    cmp ecx, PHYS(serial_settings_end)
    jb .next
    ret

; The text at esi to the serial line and to the VGA text screen at edi, which moves on. Loses eax, ecx, edx, esi.
put_string_nz:
    jz put_string.end
put_string:
.next:
    mov cl, [esi]
    test cl, cl
    jz .end
    inc esi
    mov edx, 0x3fd                          ; line status: bit 5, the transmitter can take a byte
.wait:
    in al, dx
    test al, 1 << 5
    jz .wait
    mov al, cl
    mov edx, 0x3f8
    out dx, al
    cmp cl, ' '
    jb .next                                ; line ends are for the serial line
    mov ch, 0x4f                            ; white on red
    mov [edi], cx
    add edi, 2
    jmp .next
.end:
    ret

; Four GiB in 2 MiB pages, seen three times: at 0, at DIRECT_BASE (entry 256 of the PML4) and, its first GiB, at
; KERNEL_BASE (511, 510). All of it writable and executable: mmu_boot_init() makes the tables that last. Loses eax, edi.
make_tables:
    mov edi, PHYS(pd)
    mov eax, 0x83                           ; present, writable, 2 MiB
.next:
    mov [edi], eax
    add edi, 8
    add eax, 2 << 20
    jnc .next                               ; carry: 4 GiB are done
%assign gib 0
%rep 4
    mov dword [PHYS(pdpt_low) + gib * 8], PHYS(pd) + gib * 4096 + 3
%assign gib gib + 1
%endrep
    mov dword [PHYS(pdpt_high) + 510 * 8], PHYS(pd) + 3
    mov dword [PHYS(pml4)], PHYS(pdpt_low) + 3
    mov dword [PHYS(pml4) + 256 * 8], PHYS(pdpt_low) + 3
    mov dword [PHYS(pml4) + 511 * 8], PHYS(pdpt_high) + 3
    ret

; --- 64-bit mode -----------------------------------------------

bits 64
long_mode:
    mov rax, higher_half
    jmp rax
higher_half:
    lgdt [rel gdt_pointer_high]             ; the low mapping will go
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    mov rsp, boot_stack_top
    xor ebp, ebp                            ; backtraces end here
    mov rax, KERNEL_BASE
    add rax, rsi
    mov edi, ebx                            ; the only argument: where the loader's information is
    call rax                                ; never returns

; --- data -----------------------------------------------

section .rodata
align 8
gdt:                                        ; accessed bits are set, so that the CPU never writes here (SDM vol. 3, 3.4.5.1)
    dq 0
    dq 0x00af9b000000ffff                   ; 8: code, 64-bit
    dq 0x00cf93000000ffff                   ; 16: data
gdt_end:
gdt_pointer_low:
    dw gdt_end - gdt - 1
    dd PHYS(gdt)
gdt_pointer_high:
    dw gdt_end - gdt - 1
    dq gdt

serial_settings:                            ; register, value
    db 1, 0x00, 3, 0x80, 0, 1, 1, 0, 3, 0x03, 2, 0x07
serial_settings_end:

text_loader:    db "Primer was not started by a Multiboot2 or PVH boot loader.", 13, 10, 0
text_lacks:     db "Primer cannot run on this CPU. It lacks:", 0
text_long_mode: db " [64-bit mode]", 0
text_nx:        db " [no-execute pages (NX)]", 0
text_sse2:      db " [SSE2]", 0
text_end:       db 13, 10, 0

section .bss nobits alloc noexec write align=4096
pml4:       resb 4096
pdpt_low:   resb 4096
pdpt_high:  resb 4096
pd:         resb 4 * 4096
            resb 16384
boot_stack_top:
boot_entry_tsc: resq 1                      ; where the kernel's time begins
