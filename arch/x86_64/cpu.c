/*
 * A CPU made ready for the kernel: features by CPUID, segment descriptors and TSS, control registers, the
 * MSRs of `syscall`. Called once per CPU at boot, by kernel_main() and kernel_main_secondary(). Everything
 * is per CPU or fixed after boot, so no lock. Other CPUs are started in smp.c; interrupt controllers are in
 * lapic.c and ioapic.c, page tables in mmu.c.
 */
#include "arch/cpu.h"
#include "arch/trap.h"
#include "arch/x86_64/descriptors.h"
#include "arch/x86_64/insn.h"
#include "kernel/panic.h"
#include "mm/frame.h"

struct cpu cpus[MAX_CPUS];
struct cpu_features cpu_features;

/* asm.inc and the inline assembly in arch/cpu.h and kernel/trace.h use these numbers. */
_Static_assert(offsetof(struct cpu, self) == 0, "this_cpu()");
_Static_assert(offsetof(struct cpu, current) == 8, "thread_current()");
_Static_assert(offsetof(struct cpu, kernel_rsp) == 16, "CPU_KERNEL_RSP");
_Static_assert(offsetof(struct cpu, user_rsp) == 24, "CPU_USER_RSP");
_Static_assert(offsetof(struct cpu, left) == 32, "CPU_LEFT");
_Static_assert(offsetof(struct cpu, trace_ring) == 40, "trace_write()");
_Static_assert(offsetof(struct cpu, trace_head) == 48, "trace_write()");
_Static_assert(offsetof(struct cpu, trace_tag) == 56, "trace_write()");
_Static_assert(offsetof(struct cpu_features, smap) == 1, "CPU_FEATURES_SMAP");

/* --- features --- */

/*
 * Leaf 0xd has subleaves: 0 what XCR0 can hold, 1 more instructions, n where component n lies (SDM vol. 2,
 * CPUID).
 */
static struct cpuid cpuid_xsave(uint32_t subleaf)
{
    struct cpuid r = cpuid_read(0xd);
    if (subleaf != 0)
        __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                                 : "a"(0xd), "c"(subleaf));
    return r;
}

/*
 * Sizes: FXSAVE's 512 bytes; with XSAVE a header of 64 more, then AVX where the CPU says (SDM vol. 1,
 * 13.4).
 */
static void find_fpu_features(const struct cpuid *basic)
{
    cpu_features.xsave_size = 512;
    if (!(basic->ecx >> 26 & 1) || cpuid_read(0xd).eax == 0)
        return;
    cpu_features.xsave = true;
    cpu_features.xsave_size += 64;
    cpu_features.xsaveopt = cpuid_xsave(1).eax >> 0 & 1;
    cpu_features.avx = (basic->ecx >> 28 & 1) && (cpuid_xsave(0).eax >> 2 & 1);
    if (cpu_features.avx) {
        struct cpuid component = cpuid_xsave(2);
        cpu_features.xsave_size = component.eax + component.ebx;
    }
}

static void require(uint32_t word, unsigned bit, const char *name)
{
    if (!(word >> bit & 1))
        boot_fail("this CPU has no %s, and Primer cannot do without it", name);
}

static void set_gs(struct cpu *cpu);

void cpu_features_init(void)
{
    /* First of all: whoever reports a failure takes locks, and locks ask which CPU this is. */
    set_gs(&cpus[0]);

    struct cpuid basic = cpuid_read(1), more = cpuid_read(7), extended = cpuid_read(0x80000001);
    require(basic.edx, 4, "time-stamp counter (TSC)");
    require(basic.edx, 9, "local APIC");
    require(basic.edx, 24, "FXSAVE");
    require(basic.edx, 26, "SSE2");
    require(extended.edx, 11, "SYSCALL");
    require(extended.edx, 20, "no-execute pages (NX)");

    cpu_features.nx = true;
    cpu_features.pge = basic.edx >> 13 & 1;
    cpu_features.x2apic = basic.ecx >> 21 & 1;
    cpu_features.tsc_deadline = basic.ecx >> 24 & 1;
    cpu_features.smep = more.ebx >> 7 & 1;
    cpu_features.erms = more.ebx >> 9 & 1;
    cpu_features.smap = more.ebx >> 20 & 1;
    cpu_features.umip = more.ecx >> 2 & 1;
    cpu_features.gib_pages = extended.edx >> 26 & 1;
    find_fpu_features(&basic);
}

/* --- control registers and MSRs --- */

#define MSR_SYSENTER_CS     0x174
#define MSR_EFER            0xc0000080
#define MSR_STAR            0xc0000081
#define MSR_LSTAR           0xc0000082
#define MSR_FMASK           0xc0000084
#define MSR_FS_BASE         0xc0000100
#define MSR_GS_BASE         0xc0000101
#define MSR_KERNEL_GS_BASE  0xc0000102

#define EFER_SCE (1u << 0)
#define EFER_NXE (1u << 11)

#define RFLAGS_TF (1u << 8)
#define RFLAGS_DF (1u << 10)
#define RFLAGS_NT (1u << 14)
#define RFLAGS_AC (1u << 18)

/* SDM vol. 3, 2.5. */
#define CR0_PE (1ul << 0)
#define CR0_MP (1ul << 1)
#define CR0_ET (1ul << 4)
#define CR0_NE (1ul << 5)
#define CR0_WP (1ul << 16)
#define CR0_PG (1ul << 31)

#define CR4_PAE        (1ul << 5)
#define CR4_MCE        (1ul << 6)
#define CR4_PGE        (1ul << 7)
#define CR4_OSFXSR     (1ul << 9)
#define CR4_OSXMMEXCPT (1ul << 10)
#define CR4_UMIP       (1ul << 11)
#define CR4_OSXSAVE    (1ul << 18)
#define CR4_SMEP       (1ul << 20)
#define CR4_SMAP       (1ul << 21)

#define DR7_NO_BREAKPOINTS 0x400        /* SDM vol. 3, 18.2.4: bit 10 is always 1 */

/*
 * Whole values, not bits added to whatever the firmware left: so caches are on, alignment checks and
 * FSGSBASE (trap.asm relies on that) off, and a breakpoint of somebody else's cannot strike between
 * `syscall` and swapgs.
 */
static void load_control_registers(void)
{
    uint64_t cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    uint64_t cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    cr4 |= cpuid_read(1).edx >> 7 & 1 ? CR4_MCE : 0;
    cr4 |= cpu_features.pge ? CR4_PGE : 0;
    cr4 |= cpu_features.umip ? CR4_UMIP : 0;
    cr4 |= cpu_features.smep ? CR4_SMEP : 0;
    cr4 |= cpu_features.smap ? CR4_SMAP : 0;
    cr4 |= cpu_features.xsave ? CR4_OSXSAVE : 0;
    __asm__ volatile("mov %0, %%cr0; mov %1, %%cr4" : : "r"(cr0), "r"(cr4) : "memory");
    __asm__ volatile("mov %0, %%dr7" : : "r"((uint64_t)DR7_NO_BREAKPOINTS));
    msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SCE | EFER_NXE);
}

/*
 * STAR: `syscall` loads cs and ss from its low selector and the next, `sysret` from 16 and 8 above its high
 * one (SDM vol. 2).
 */
static void load_syscall_msrs(void)
{
    _Static_assert(SELECTOR_KERNEL_DATA == SELECTOR_KERNEL_CODE + 8, "SYSCALL");
    _Static_assert(SELECTOR_USER_CODE == SELECTOR_USER_DATA + 8, "SYSRET");
    uint64_t sysret_base = SELECTOR_USER_DATA - 8;
    msr_write(MSR_STAR, sysret_base << 48 | (uint64_t)SELECTOR_KERNEL_CODE << 32);
    msr_write(MSR_LSTAR, (uintptr_t)syscall_enter);
    msr_write(MSR_FMASK, RFLAGS_IF | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC);
    msr_write(MSR_SYSENTER_CS, 0);      /* `sysenter` is an exception, as any unknown instruction */
}

static void set_gs(struct cpu *cpu)
{
    cpu->self = cpu;
    msr_write(MSR_GS_BASE, (uintptr_t)cpu);
    msr_write(MSR_KERNEL_GS_BASE, 0);
}

/* --- segments --- */

/* SDM vol. 3, figure 8-11. */
struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "SDM vol. 3, 8.7");

#define GDT_TSS 5
#define SELECTOR_TSS (GDT_TSS * 8)

static struct segments {
    uint64_t gdt[GDT_TSS + 2];          /* a TSS descriptor takes two places */
    struct tss tss;
} segments[MAX_CPUS];

/*
 * Descriptors with limit and base ignored, as 64-bit mode does: present, type, privilege, and L for code
 * (SDM vol. 3, 3.4.5).
 */
#define DESCRIPTOR_KERNEL_CODE 0x00209a0000000000ul
#define DESCRIPTOR_KERNEL_DATA 0x0000920000000000ul
#define DESCRIPTOR_USER_CODE   0x0020fa0000000000ul
#define DESCRIPTOR_USER_DATA   0x0000f20000000000ul

#define IST_STACK_SIZE PAGE_SIZE
static _Alignas(16) uint8_t boot_ist_stacks[IST_COUNT - 1][IST_STACK_SIZE];

/*
 * CPU 0 needs its stacks before there are frames to allocate; the others pay only if they exist. Never
 * given back.
 */
static void *ist_stack_top(unsigned id, enum ist ist)
{
    if (id == 0)
        return boot_ist_stacks[ist - 1] + IST_STACK_SIZE;
    struct frame *frame = frame_alloc();
    if (!frame)
        panic("no memory for the exception stacks of CPU %u", id);
    return (uint8_t *)frame_virt(frame) + IST_STACK_SIZE;
}

static void fill_segments(struct segments *s, unsigned id)
{
    s->tss.io_map = sizeof(s->tss);     /* beyond the limit: no port is the user's */
    for (enum ist ist = IST_NMI; ist < IST_COUNT; ist++)
        s->tss.ist[ist - 1] = (uintptr_t)ist_stack_top(id, ist);

    s->gdt[SELECTOR_KERNEL_CODE / 8] = DESCRIPTOR_KERNEL_CODE;
    s->gdt[SELECTOR_KERNEL_DATA / 8] = DESCRIPTOR_KERNEL_DATA;
    s->gdt[SELECTOR_USER_DATA / 8] = DESCRIPTOR_USER_DATA;
    s->gdt[SELECTOR_USER_CODE / 8] = DESCRIPTOR_USER_CODE;
    /* Present, available 64-bit TSS (SDM vol. 3, 8.2.3). */
    uint64_t base = (uintptr_t)&s->tss;
    s->gdt[GDT_TSS] = (sizeof(s->tss) - 1) | (base & 0xffffff) << 16
                    | 0x89ul << 40 | (base >> 24 & 0xff) << 56;
    s->gdt[GDT_TSS + 1] = base >> 32;
}

/* Loading a selector into GS clears its base, so set_gs() comes after. */
static void load_segments(const struct segments *s)
{
    struct table_pointer gdt = {sizeof(s->gdt) - 1, (uintptr_t)s->gdt};
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "mov %2, %%ss\n\t"
                     "mov %3, %%ds\n\t"
                     "mov %3, %%es\n\t"
                     "mov %3, %%fs\n\t"
                     "mov %3, %%gs\n\t"
                     "ltr %w4"
                     :
                     : "m"(gdt), "i"(SELECTOR_KERNEL_CODE), "r"(SELECTOR_KERNEL_DATA), "r"(0),
                       "r"(SELECTOR_TSS)
                     : "rax", "memory");
}

void cpu_init(unsigned id)
{
    assert(id < MAX_CPUS);
    struct cpu *cpu = &cpus[id];
    cpu->id = id;
    cpu->trace_tag = (uint64_t)id << 48;
    set_gs(cpu);            /* for frame_alloc() */
    fill_segments(&segments[id], id);
    load_segments(&segments[id]);
    set_gs(cpu);
    if (id == 0)
        idt_init();
    idt_load();
    load_control_registers();
    load_syscall_msrs();
    fpu_init();
    cpu_local_ready = true;     /* locks and reports may ask who they are */
}

/* --- while running --- */

void cpu_set_kernel_stack(void *stack_top)
{
    assert((uintptr_t)stack_top % 16 == 0);
    struct cpu *cpu = this_cpu();
    cpu->kernel_rsp = (uintptr_t)stack_top;
    segments[cpu->id].tss.rsp[0] = (uintptr_t)stack_top;
}

void cpu_set_user_tls(vaddr_t base)
{
    assert(base <= USER_MAX);           /* WRMSR of an address that is not canonical is an exception */
    /* Even if it was the same the last time: user code changes it by loading a selector into FS. */
    msr_write(MSR_FS_BASE, base);
}

NORETURN void cpu_halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt" : : : "memory");
}
