/*
 * What user mode must not do: each attempt, in a task of its own, ends that task with PRIMER_STATUS_FAULT and harms
 * nobody else. And what it may do with odd flags and selectors, after which the kernel works as ever.
 */
#include "tests/user/lib/test.h"

int main(int argc, char **argv);

#define KERNEL_CODE 0xffffffff80100000ul
#define FLAG_DF (1ul << 10)
#define FLAG_NT (1ul << 14)
#define FLAG_AC (1ul << 18)

static uint64_t target;         /* for the attempts: set before the fork */

/* --- memory --- */

static const char *read_it(void)    { return *(volatile uint8_t *)target ? "read" : "read a zero"; }
static const char *write_it(void)   { *(volatile uint8_t *)target = 1; return "written"; }
static const char *execute_it(void) { ((void (*)(void))target)(); return "executed"; }

static const char *must_fault(test_function *attempt, uint64_t address)
{
    target = address;
    const char *reason = test_child(attempt, PRIMER_STATUS_FAULT);
    return reason ? test_fail("at 0x%lx: %s", address, reason) : NULL;
}

static const char *kernel_addresses(void)
{
    static const uint64_t places[] = {
        KERNEL_CODE, 0xffff800000000000, 0xffff800000100000, 0xffffc00000000000, 0xffffd00000007000, 0xffffe00000000000,
        UINT64_MAX, PRIMER_USER_MAX, 0x0000800000000000, 0x8000000000000000, 0, PRIMER_USER_MIN - 1,
    };
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        CHECK_CASE(must_fault(read_it, places[i]));
        CHECK_CASE(must_fault(write_it, places[i]));
        CHECK_CASE(must_fault(execute_it, places[i]));
    }
    return NULL;
}

static const uint8_t constant_ret = 0xc3;

static const char *write_xor_execute(void)
{
    static uint8_t data[16];
    uint8_t *area = test_map(3 * PAGE);
    data[0] = area[0] = area[PAGE] = area[2 * PAGE] = 0xc3;     /* ret */
    CHECK_CASE(must_fault(execute_it, (vaddr_t)data));
    CHECK_CASE(must_fault(execute_it, (vaddr_t)area));
    CHECK_CASE(must_fault(execute_it, (vaddr_t)&constant_ret));
    CHECK_CASE(must_fault(write_it, (vaddr_t)main));
    CHECK_CASE(must_fault(write_it, (vaddr_t)&constant_ret));
    CHECK_STATUS(primer_vm_protect(PRIMER_SELF, (vaddr_t)area, PAGE, R), 0);
    CHECK_CASE(must_fault(write_it, (vaddr_t)area));
    CHECK_CASE(must_fault(execute_it, (vaddr_t)area));
    CHECK_STATUS(primer_vm_protect(PRIMER_SELF, (vaddr_t)area + PAGE, PAGE, 0), 0);
    CHECK_CASE(must_fault(read_it, (vaddr_t)area + PAGE));
    CHECK_STATUS(primer_vm_protect(PRIMER_SELF, (vaddr_t)area + 2 * PAGE, PAGE, RX), 0);
    ((void (*)(void))(area + 2 * PAGE))();                      /* and this is how it is meant */
    return NULL;
}

/* --- instructions --- */

#define ATTEMPT(name, code)                                                               \
    static const char *name(void)                                                         \
    {                                                                                     \
        __asm__ volatile(code : : : "rax", "rbx", "rcx", "rdx", "rdi", "rsi", "memory");  \
        return #name " went through";                                                     \
    }

ATTEMPT(do_cli, "cli")
ATTEMPT(do_sti, "sti")
ATTEMPT(do_hlt, "hlt")
ATTEMPT(do_in, "inb $0x60, %%al")
ATTEMPT(do_out, "mov $0, %%al; outb %%al, $0xf4")
ATTEMPT(do_rdmsr, "mov $0xc0000080, %%ecx; rdmsr")
ATTEMPT(do_wrmsr, "mov $0xc0000082, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx; wrmsr")
ATTEMPT(do_cr0, "mov %%cr0, %%rax")
ATTEMPT(do_cr3, "mov %%cr3, %%rax; mov %%rax, %%cr3")
ATTEMPT(do_cr4, "xor %%eax, %%eax; mov %%rax, %%cr4")
ATTEMPT(do_dr7, "mov %%dr7, %%rax")
ATTEMPT(do_lgdt, "sub $16, %%rsp; lgdt (%%rsp)")
ATTEMPT(do_lidt, "sub $16, %%rsp; lidt (%%rsp)")
ATTEMPT(do_ltr, "mov $0x28, %%ax; ltr %%ax")
ATTEMPT(do_lldt, "xor %%eax, %%eax; lldt %%ax")
ATTEMPT(do_swapgs, "swapgs")
ATTEMPT(do_invlpg, "invlpg (%%rsp)")
ATTEMPT(do_wbinvd, "wbinvd")
ATTEMPT(do_clts, "clts")
ATTEMPT(do_sysret, "mov $0x400000, %%ecx; xor %%r11d, %%r11d; sysretq")
ATTEMPT(do_ud2, "ud2")
ATTEMPT(do_xsetbv, "xor %%ecx, %%ecx; mov $1, %%eax; xor %%edx, %%edx; xsetbv")
ATTEMPT(do_divide, "xor %%ecx, %%ecx; mov $1, %%eax; xor %%edx, %%edx; div %%ecx")
ATTEMPT(do_int3, "int3")
ATTEMPT(do_icebp, ".byte 0xf1")
ATTEMPT(do_int80, "int $0x80")
ATTEMPT(do_kernel_cs, "push $0x08; push $0x400000; lretq")
ATTEMPT(do_kernel_ss, "mov $0x10, %%eax; mov %%ax, %%ss")
ATTEMPT(do_kernel_ds, "mov $0x10, %%eax; mov %%ax, %%ds")
ATTEMPT(do_tss_fs, "mov $0x28, %%eax; mov %%ax, %%fs")
ATTEMPT(do_high_gs, "mov $0xfff8, %%eax; mov %%ax, %%gs")
ATTEMPT(do_iret_kernel, "mov %%rsp, %%rax; push $0x10; push %%rax; push $2; push $0x08; push $0x400000; iretq")
ATTEMPT(do_iret_wild, "mov %%rsp, %%rax; push $0x1b; push %%rax; push $2; push $0x23; "
                      "mov $0x800000000000, %%rcx; push %%rcx; iretq")
ATTEMPT(do_jump_wild, "mov $0x800000000000, %%rax; jmp *%%rax")
ATTEMPT(do_sp_wild, "mov $0x800000000000, %%rsp; push %%rax")
ATTEMPT(do_sp_zero, "xor %%esp, %%esp; push %%rax")
ATTEMPT(do_trap_flag, "pushfq; orq $0x100, (%%rsp); popfq; nop; nop")
ATTEMPT(do_trap_syscall, "pushfq; orq $0x100, (%%rsp); xor %%eax, %%eax; popfq; syscall; nop")

static const char *privileged(void)
{
    static const struct { const char *name; test_function *attempt; } attempts[] = {
#define X(name) {#name, name}
        X(do_cli), X(do_sti), X(do_hlt), X(do_in), X(do_out), X(do_rdmsr), X(do_wrmsr), X(do_cr0), X(do_cr3), X(do_cr4),
        X(do_dr7), X(do_lgdt), X(do_lidt), X(do_ltr), X(do_lldt), X(do_swapgs), X(do_invlpg), X(do_wbinvd), X(do_clts),
        X(do_sysret), X(do_ud2), X(do_xsetbv), X(do_divide), X(do_int3), X(do_icebp), X(do_int80), X(do_kernel_ss),
        X(do_kernel_ds), X(do_tss_fs), X(do_high_gs), X(do_jump_wild), X(do_sp_wild), X(do_sp_zero), X(do_trap_flag),
        X(do_trap_syscall),
#undef X
    };
    for (unsigned i = 0; i < ARRAY_SIZE(attempts); i++) {
        const char *reason = test_child(attempts[i].attempt, PRIMER_STATUS_FAULT);
        if (reason)
            return test_fail("%s: %s", attempts[i].name, reason);
    }
    return NULL;
}

/*
 * Far returns to where user mode may not go. QEMU reads their operands from the stack as the kernel would, which SMAP
 * forbids, so that there they fault for ever instead of once with #GP. What counts is that they do not get through.
 */
static const char *far_returns(void)
{
    static test_function *const attempts[] = {do_kernel_cs, do_iret_kernel, do_iret_wild};
    for (unsigned i = 0; i < ARRAY_SIZE(attempts); i++) {
        uint64_t task = test_fork(attempts[i]);
        status_t status = primer_wait(task, 100 * NS_PER_MS);
        primer_kill(task);
        test_wait(task);
        CHECK(status == PRIMER_STATUS_FAULT || status == E_TIMEOUT);
    }
    return NULL;
}

/* `int n` for every n, written into a page that then becomes code. */
static const char *every_vector(void)
{
    uint8_t *code = test_map(PAGE);
    for (unsigned n = 0; n < 256; n++) {
        code[3 * n] = 0xcd;
        code[3 * n + 1] = (uint8_t)n;
        code[3 * n + 2] = 0xc3;
    }
    CHECK_STATUS(primer_vm_protect(PRIMER_SELF, (vaddr_t)code, PAGE, RX), 0);
    for (unsigned n = 0; n < 256; n++)
        CHECK_CASE(must_fault(execute_it, (vaddr_t)code + 3 * n));
    return NULL;
}

/* --- odd states --- */

/* A call, and a page fault, with a flag set: the kernel works, and the flag is there afterwards. */
static const char *with_flag(uint64_t flag)
{
    volatile uint8_t *page = test_map(PAGE);
    uint64_t after, flags, result;
    __asm__ volatile("pushfq; orq %[flag], (%%rsp); popfq\n\t"
                     "mov %[number], %%eax; syscall\n\t"
                     "movb $1, (%[page])\n\t"
                     "pushfq; pop %[after]; mov %[after], %[flags]; not %[flag]; and %[flag], %[flags]\n\t"
                     "push %[flags]; popfq"
                     : [after] "=&r"(after), [flags] "=&r"(flags), "=&a"(result), [flag] "+&r"(flag)
                     : [page] "r"(page), [number] "i"(SYS_yield)
                     : "rcx", "r11", "memory", "cc");
    CHECK(result == 0);
    CHECK(after & ~flag);
    CHECK(*page == 1);
    return NULL;
}

static const char *flag_df(void) { return with_flag(FLAG_DF); }
static const char *flag_nt(void) { return with_flag(FLAG_NT); }
static const char *flag_ac(void) { return with_flag(FLAG_AC); }

static const char *flags(void)
{
    CHECK_CASE(flag_df());
    CHECK_CASE(flag_nt());
    CHECK_CASE(flag_ac());
    return NULL;
}

static const char *selectors(void)
{
    static const uint16_t values[] = {0, 1, 2, 3, 0x1b};
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        __asm__ volatile("mov %0, %%fs; mov %0, %%gs; mov %0, %%ds; mov %0, %%es"
                         : : "r"((uint32_t)values[i]) : "memory");
        CHECK_STATUS(primer_yield(), 0);
        CHECK_STATUS(primer_sleep(NS_PER_MS), 0);
        CHECK(*(volatile uint8_t *)test_map(PAGE) == 0);
    }
    CHECK_STATUS(primer_thread_tls((vaddr_t)values), 0);
    uint16_t word;
    __asm__ volatile("mov %%fs:2, %0" : "=r"(word));
    CHECK(word == 1);
    CHECK_STATUS(primer_thread_tls(PRIMER_USER_MAX), E_BAD_ADDRESS);
    CHECK_STATUS(primer_thread_tls(0x800000000000), E_BAD_ADDRESS);
    CHECK_STATUS(primer_thread_tls(UINT64_MAX), E_BAD_ADDRESS);
    return NULL;
}

/* The last instruction of user memory is a `syscall`: its return address is not mapped, and nearly not canonical. */
static const char *last_syscall(void)
{
    vaddr_t page = PRIMER_USER_MAX - PAGE;
    CHECK_STATUS(primer_vm_map(PRIMER_SELF, page, PAGE, RW, PRIMER_MAP_FIXED), (status_t)page);
    *(uint8_t *)(PRIMER_USER_MAX - 2) = 0x0f;
    *(uint8_t *)(PRIMER_USER_MAX - 1) = 0x05;
    CHECK_STATUS(primer_vm_protect(PRIMER_SELF, page, PAGE, RX), 0);
    __asm__ volatile("jmp *%0" : : "r"(PRIMER_USER_MAX - 2), "a"(SYS_yield) : "rcx", "r11", "memory");
    return "went on";
}

static uint64_t entry, stack;

static const char *start_there(void)
{
    primer_must(primer_thread_create(PRIMER_SELF, entry, stack, 0, 0), "creating the thread");
    primer_sleep(TEST_LIMIT);
    return "the thread did not fault";
}

static void push_something(void)
{
    __asm__ volatile("push %rax; push %rbx");
    primer_thread_exit();
}

static const char *thread_starts(void)
{
    static const uint64_t bad_entries[] = {
        0, PRIMER_USER_MIN - 1, PRIMER_USER_MAX, 0x800000000000, UINT64_MAX, KERNEL_CODE,
    };
    static const uint64_t bad_stacks[] = {
        0, 8, 0x800000000000, 0x8000000000000000, UINT64_MAX, UINT64_MAX - 7, KERNEL_CODE,
    };
    for (unsigned i = 0; i < ARRAY_SIZE(bad_entries); i++)
        CHECK_STATUS(primer_thread_create(PRIMER_SELF, bad_entries[i], 0x10000, 0, 0), E_BAD_ADDRESS);
    entry = PRIMER_USER_MAX - 1;
    CHECK_CASE(test_child(start_there, PRIMER_STATUS_FAULT));
    entry = (vaddr_t)push_something;
    for (unsigned i = 0; i < ARRAY_SIZE(bad_stacks); i++) {
        stack = bad_stacks[i];
        CHECK_CASE(test_child(start_there, PRIMER_STATUS_FAULT));
    }
    CHECK_CASE(test_child(last_syscall, PRIMER_STATUS_FAULT));
    return NULL;
}

/* --- stacks --- */

static __attribute__((noinline)) uint64_t recurse(uint64_t n)
{
    volatile uint8_t frame[200];
    frame[n % 200] = (uint8_t)n;
    return n == UINT64_MAX ? 0 : recurse(n + 1) + frame[n % 200];
}

static const char *deep(void) { return recurse(0) ? "no end" : "an end"; }

static void deep_thread(void *unused)
{
    (void)unused;
    recurse(0);
}

static const char *deep_in_thread(void)
{
    struct primer_thread thread;
    test_thread(&thread, deep_thread, NULL, 0);
    primer_thread_join(&thread);
    return "no guard page";
}

static const char *stack_guard(void)
{
    CHECK_CASE(test_child(deep, PRIMER_STATUS_FAULT));
    CHECK_CASE(test_child(deep_in_thread, PRIMER_STATUS_FAULT));
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"kernel_addresses", kernel_addresses},
        {"write_xor_execute", write_xor_execute},
        {"privileged", privileged},
        {"far_returns", far_returns},
        {"every_vector", every_vector},
        {"flags", flags},
        {"selectors", selectors},
        {"thread_starts", thread_starts},
        {"stack_guard", stack_guard},
    };
    return test_main(cases, ARRAY_SIZE(cases), argc, argv);
}
