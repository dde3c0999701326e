/* Threads and tasks: starting, ending, waiting, killing, priorities, and what of a thread must survive a switch. */
#include "tests/user/lib/test.h"

static _Atomic uint32_t counter, stop, wrong;

static void add_one(void *unused)
{
    (void)unused;
    atomic_fetch_add(&counter, 1);
}

static const char *create_storm(void)
{
    struct test_rounds rounds = {.most = 25};
    unsigned started = 0;
    while (test_again(&rounds)) {
        test_threads(40, add_one);
        started += 40;
    }
    CHECK(atomic_load(&counter) == started);
    return NULL;
}

static void storm(void *number)
{
    for (unsigned i = 0; i < 10; i++) {
        struct primer_thread thread;
        test_thread(&thread, add_one, NULL, 0);
        if ((uintptr_t)number % 2)
            primer_kill(thread.handle);
        primer_thread_join(&thread);
    }
}

static const char *storm_of_storms(void)
{
    test_threads(16, storm);
    CHECK(atomic_load(&counter) >= 80 && atomic_load(&counter) <= 160);
    return NULL;
}

static void run_for_ever(void *unused)
{
    (void)unused;
    for (;;)
        atomic_fetch_add(&counter, 1);
}

static void sleep_for_ever(void *unused)
{
    (void)unused;
    primer_sleep(PRIMER_FOREVER);
}

static const char *sleeping_task(void)
{
    primer_sleep(PRIMER_FOREVER);
    return NULL;
}

static void wait_for_ever(void *unused)
{
    static uint32_t word;
    (void)unused;
    primer_address_wait(&word, 0, PRIMER_FOREVER);
    atomic_store(&wrong, 1);
}

static void wait_for_task(void *task)
{
    primer_wait((uint64_t)(uintptr_t)task, PRIMER_FOREVER);
}

static const char *kills(void)
{
    uint64_t task = test_fork(sleeping_task);
    static void (*const functions[])(void *) = {run_for_ever, sleep_for_ever, wait_for_ever, wait_for_task};
    struct test_rounds rounds = {.most = 40};
    while (test_again(&rounds))
        for (unsigned i = 0; i < ARRAY_SIZE(functions); i++) {
            struct primer_thread thread;
            test_thread(&thread, functions[i], (void *)(uintptr_t)task, 0);
            if (rounds.done % 2)
                primer_sleep(NS_PER_MS / 2);
            CHECK_STATUS(primer_kill(thread.handle), 0);
            CHECK_STATUS(primer_wait(thread.handle, TEST_LIMIT), 0);
            CHECK_STATUS(primer_kill(thread.handle), 0);        /* once more does no harm */
            primer_thread_join(&thread);
        }
    CHECK(!atomic_load(&wrong));
    CHECK_STATUS(primer_kill(task), 0);
    CHECK_STATUS(test_wait(task), PRIMER_STATUS_KILLED);
    return NULL;
}

static const char *waits(void)
{
    uint64_t task = test_fork(sleeping_task);
    uint64_t start = primer_clock();
    CHECK_STATUS(primer_wait(task, 3 * NS_PER_MS), E_TIMEOUT);
    CHECK(primer_clock() - start >= 3 * NS_PER_MS);
    CHECK_STATUS(primer_wait(task, 0), E_TIMEOUT);
    CHECK_STATUS(primer_kill(task), 0);
    CHECK_STATUS(primer_wait(task, TEST_LIMIT), PRIMER_STATUS_KILLED);
    CHECK_STATUS(primer_wait(task, 0), PRIMER_STATUS_KILLED);
    CHECK_STATUS(primer_handle_close(task), 0);
    CHECK_STATUS(primer_wait(task, 0), E_BAD_HANDLE);
    CHECK_STATUS(primer_handle_close(task), E_BAD_HANDLE);
    status_t empty = primer_task_create(NULL);                  /* never had a thread */
    CHECK(empty > 0);
    CHECK_STATUS(primer_wait((uint64_t)empty, NS_PER_MS), E_TIMEOUT);
    CHECK_STATUS(primer_kill((uint64_t)empty), 0);
    CHECK_STATUS(primer_wait((uint64_t)empty, TEST_LIMIT), PRIMER_STATUS_KILLED);
    CHECK_STATUS(primer_handle_close((uint64_t)empty), 0);
    return NULL;
}

static const char *sleeps(void)
{
    static const uint64_t spans[] = {0, 1, 1000, 150000, 1000000, 7000000, 20000000};
    for (unsigned round = 0; round < 5; round++)
        for (unsigned i = 0; i < ARRAY_SIZE(spans); i++) {
            uint64_t start = primer_clock();
            CHECK_STATUS(primer_sleep(spans[i]), 0);
            CHECK(primer_clock() - start >= spans[i]);
        }
    return NULL;
}

/* --- priorities --- */

static _Atomic uint64_t turns[4];

static void take_turns(void *number)
{
    while (!atomic_load(&stop))
        atomic_fetch_add(&turns[(uintptr_t)number], 1);
}

/* Busy threads below us on every CPU: we come back from each sleep all the same, and soon. */
static const char *higher_preempts(void)
{
    struct primer_thread threads[16];
    unsigned own = (unsigned)primer_thread_priority(PRIMER_SELF, 0);
    unsigned count = (unsigned)min_u64(2 * test_cpus(), ARRAY_SIZE(threads));
    CHECK(own > 2);
    for (uint64_t i = 0; i < count; i++)
        test_thread(&threads[i], take_turns, (void *)(i % 4), own - 1);
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < 20; i++) {
        uint64_t start = primer_clock();
        primer_sleep(NS_PER_MS);
        least = min_u64(least, primer_clock() - start);
    }
    CHECK_STATUS(primer_thread_priority(threads[0].handle, own - 2), own - 1);
    CHECK_STATUS(primer_thread_priority(threads[0].handle, 0), own - 2);
    CHECK_STATUS(primer_thread_priority(threads[0].handle, PRIMER_PRIO_MAX + 1), E_BAD_ARGUMENT);
    if (own < PRIMER_PRIO_MAX)
        CHECK_STATUS(primer_thread_priority(threads[0].handle, own + 1), E_NO_RIGHT);
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < count; i++)
        primer_thread_join(&threads[i]);
    return least < 9 * NS_PER_MS ? NULL : test_fail("the fastest of 20 sleeps of 1 ms took %lu us", least / 1000);
}

/* Twice as many busy equals as CPUs: each of them gets on. */
static const char *equals_share(void)
{
    struct primer_thread threads[4];
    unsigned own = (unsigned)primer_thread_priority(PRIMER_SELF, 0);
    for (uint64_t i = 0; i < ARRAY_SIZE(threads); i++)
        test_thread(&threads[i], take_turns, (void *)i, own - 1);
    primer_sleep(300 * NS_PER_MS);
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
        if (atomic_load(&turns[i]) == 0)
            atomic_store(&wrong, 1);
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
        primer_thread_join(&threads[i]);
    CHECK(!atomic_load(&wrong));
    return NULL;
}

/* --- what a thread keeps --- */

#define KEEPERS 6u

static void keep_tls(void *number)
{
    uint64_t block[2] = {0x1000 + (uintptr_t)number, 0}, seen;
    primer_thread_tls((vaddr_t)block);
    while (!atomic_load(&stop)) {
        __asm__ volatile("mov %%fs:0, %0" : "=r"(seen));
        if (seen != block[0])
            atomic_store(&wrong, 1);
        if (++block[1] % 64 == 0)
            primer_yield();
    }
}

/* Patterns in all vector registers and the FPU's, kept over a while of computing, a page fault, and being preempted. */
static void keep_sse(void *number)
{
    uint64_t pattern[2] = {0x0123456789abcdef * ((uintptr_t)number + 1), ~(uintptr_t)number}, out[6];
    while (!atomic_load(&stop)) {
        volatile uint8_t *page = (uint8_t *)primer_vm_map(PRIMER_SELF, 0, PAGE, RW, 0);
        uint32_t control = 0x1f80 | (uint32_t)((uintptr_t)number & 3) << 13, control_out;
        __asm__ volatile("movdqu (%[in]), %%xmm0; movdqa %%xmm0, %%xmm7; movdqa %%xmm0, %%xmm15\n\t"
                         "fildll (%[in]); ldmxcsr %[control]\n\t"
                         "mov $40000, %%ecx; 1: dec %%ecx; jnz 1b\n\t"
                         "movb $1, (%[page])\n\t"
                         "movdqu %%xmm0, (%[out]); movdqu %%xmm7, 16(%[out]); movdqu %%xmm15, 32(%[out])\n\t"
                         "fistpll (%[in]); stmxcsr %[control_out]"
                         : [control_out] "=m"(control_out)
                         : [in] "r"(pattern), [out] "r"(out), [page] "r"(page), [control] "m"(control)
                         : "rcx", "xmm0", "xmm7", "xmm15", "memory", "cc");
        for (unsigned i = 0; i < 6; i++)
            if (out[i] != pattern[i % 2])
                atomic_store(&wrong, 1);
        if (pattern[0] != 0x0123456789abcdef * ((uintptr_t)number + 1) || control_out != control)
            atomic_store(&wrong, 2);
        primer_vm_unmap(PRIMER_SELF, (vaddr_t)page, PAGE);
    }
}

/* CPUID.1:ECX.OSXSAVE and AVX, and XCR0's bits 1 and 2 (SDM vol. 1, 14.3). */
static bool has_avx(void)
{
    uint32_t a = 1, b, c = 0, d, low, high;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if ((c >> 27 & 3) != 3)
        return false;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6;
}

static void keep_avx(void *number)
{
    uint64_t pattern[4], out[4];
    for (unsigned i = 0; i < 4; i++)
        pattern[i] = 0x0102030405060708 * ((uintptr_t)number + i + 1);
    while (!atomic_load(&stop)) {
        volatile uint8_t *page = (uint8_t *)primer_vm_map(PRIMER_SELF, 0, PAGE, RW, 0);
        __asm__ volatile("vmovdqu (%[in]), %%ymm3; mov $40000, %%ecx; 1: dec %%ecx; jnz 1b\n\t"
                         "movb $1, (%[page]); vmovdqu %%ymm3, (%[out]); vzeroupper"
                         : : [in] "r"(pattern), [out] "r"(out), [page] "r"(page) : "rcx", "xmm3", "memory", "cc");
        if (memcmp(pattern, out, sizeof out) != 0)
            atomic_store(&wrong, 3);
        primer_vm_unmap(PRIMER_SELF, (vaddr_t)page, PAGE);
    }
}

static const char *keep(void (*function)(void *))
{
    struct primer_thread threads[KEEPERS];
    for (uint64_t i = 0; i < KEEPERS; i++)
        test_thread(&threads[i], function, (void *)i, 0);
    primer_sleep(400 * NS_PER_MS);
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < KEEPERS; i++)
        primer_thread_join(&threads[i]);
    return atomic_load(&wrong) ? test_fail("changed: kind %u", atomic_load(&wrong)) : NULL;
}

static const char *tls(void) { return keep(keep_tls); }
static const char *sse(void) { return keep(keep_sse); }
static const char *avx(void) { return has_avx() ? keep(keep_avx) : NULL; }

/* --- tasks --- */

static uint8_t *area;
static unsigned level;

/* Three levels of tasks, each with its own bytes in the same pages. */
static const char *family(void)
{
    uint8_t mine = (uint8_t)(0x10 * level);
    memset(area, mine, 4 * PAGE);
    if (level < 3) {
        uint64_t children[4];
        level++;
        for (unsigned i = 0; i < ARRAY_SIZE(children); i++)
            children[i] = test_fork(family);
        for (unsigned i = 0; i < ARRAY_SIZE(children); i++)
            CHECK_STATUS(test_wait(children[i]), 0);
    }
    for (unsigned i = 0; i < 4 * PAGE; i++)
        CHECK(area[i] == mine);
    return NULL;
}

static const char *fork_storm(void)
{
    area = test_map(4 * PAGE);
    struct test_rounds rounds = {.most = 3};        /* 84 tasks each */
    while (test_again(&rounds)) {
        level = 0;
        CHECK_CASE(family());
    }
    return NULL;
}

static const char *exit_with(void) { primer_task_exit(0x1234); }

static const char *exit_status(void)
{
    CHECK_CASE(test_child(exit_with, 0x34));
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"create_storm", create_storm},
        {"storm_of_storms", storm_of_storms},
        {"kills", kills},
        {"waits", waits},
        {"sleeps", sleeps},
        {"higher_preempts", higher_preempts},
        {"equals_share", equals_share},
        {"tls", tls},
        {"sse", sse},
        {"avx", avx},
        {"fork_storm", fork_storm},
        {"exit_status", exit_status},
    };
    return test_main(cases, ARRAY_SIZE(cases), argc, argv);
}
