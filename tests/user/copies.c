/*
 * The kernel's own use of user memory: system calls whose buffers are not touched yet, shared, gone, read-only, half
 * there, or no user memory at all; and one task's use of another's. Right bytes or E_BAD_ADDRESS, never a panic.
 */
#include "tests/user/lib/test.h"

#define SELF PRIMER_SELF

int main(int argc, char **argv);

struct pair { struct primer_limits used, limit; };

static status_t info_to(vaddr_t buf, uint64_t len)
{
    return primer_call(SYS_info, PRIMER_INFO_ACCOUNT, 0, buf, len, 0);
}

/* Each call that reads or writes through a pointer, with the same buffer of 64 bytes. Those that write: */
static status_t write_calls(vaddr_t buf, unsigned which)
{
    switch (which) {
    case 0:  return info_to(buf, sizeof(struct pair));
    case 1:  return primer_call(SYS_info, PRIMER_INFO_COMMAND_LINE, 0, buf, 4096, 0);
    default: return primer_call(SYS_vm_read, SELF, (vaddr_t)write_calls, buf, 64, 0);
    }
}

/* Those that read: */
static status_t read_calls(vaddr_t buf, unsigned which)
{
    static uint8_t sink[64];
    switch (which) {
    case 0:  return primer_call(SYS_log, buf, 64, 0, 0, 0);
    case 1:  return primer_call(SYS_task_create, buf, 0, 0, 0, 0);
    case 2:  return primer_call(SYS_vm_read, SELF, buf, (vaddr_t)sink, 64, 0);
    case 3:  return primer_call(SYS_vm_write, SELF, (vaddr_t)sink, buf, 64, 0);
    default: return primer_call(SYS_address_wait, buf & ~3ul, 12345, 0, 0, 0);
    }
}

#define WRITES 3u
#define READS  5u

static const char *bad_buffers(void)
{
    vaddr_t area = (vaddr_t)test_map(4 * PAGE);
    CHECK_STATUS(primer_vm_protect(SELF, area + 2 * PAGE, PAGE, 0), 0);
    test_unmap((void *)(area + PAGE), PAGE);
    const vaddr_t bad[] = {
        1, 0x1000, PRIMER_USER_MIN - 32, area + PAGE, area + PAGE - 8, area + 2 * PAGE, area + 3 * PAGE - 8,
        PRIMER_USER_MAX - 8, PRIMER_USER_MAX, 0x00007fffffffffe0, 0x0000800000000000, 0x8000000000000000,
        0xffff7fffffffffff, 0xffff800000000000, 0xffffc00000000000, 0xffffd00000006000, 0xffffffff80100000,
        0xffffffffffffffc0, 0xfffffffffffffff8, UINT64_MAX,
    };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        for (unsigned j = 0; j < READS; j++) {
            status_t status = read_calls(bad[i], j);
            bool fits = j == 4 && (bad[i] & PAGE_MASK) == PAGE - 8 && bad[i] < PRIMER_USER_MAX;     /* its 4 bytes do */
            if (status != E_BAD_ADDRESS && !fits)
                return test_fail("reading call %u at 0x%lx gave %ld", j, bad[i], status);
        }
        for (unsigned j = 0; j < WRITES; j++)
            CHECK_STATUS(write_calls(bad[i], j), E_BAD_ADDRESS);
    }
    return NULL;
}

static const char *read_only_buffers(void)
{
    static const char constant[PAGE] = "constant";
    vaddr_t area = (vaddr_t)test_map(PAGE);
    CHECK_STATUS(primer_vm_protect(SELF, area, PAGE, R), 0);
    const uint8_t *archive;
    CHECK(primer_archive(&archive) > 0);
    const vaddr_t places[] = {(vaddr_t)constant, area, (vaddr_t)archive, (vaddr_t)main};
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        CHECK_STATUS(write_calls(places[i], 0), E_BAD_ADDRESS);
        CHECK_STATUS(write_calls(places[i], 2), E_BAD_ADDRESS);
        CHECK_STATUS(primer_vm_write(SELF, places[i], "x", 1), E_BAD_ADDRESS);
        CHECK_STATUS(read_calls(places[i], 2), 0);
    }
    CHECK(strcmp(constant, "constant") == 0);
    return NULL;
}

static bool holds_account(const struct pair *pair)
{
    struct primer_limits limit = test_account_limit();
    return memcmp(&pair->limit, &limit, sizeof limit) == 0;
}

static const char *untouched_buffers(void)
{
    vaddr_t area = (vaddr_t)test_map(8 * PAGE);
    CHECK_STATUS(info_to(area, sizeof(struct pair)), sizeof(struct pair));
    CHECK(holds_account((struct pair *)area));
    CHECK_STATUS(info_to(area + 3 * PAGE - 24, sizeof(struct pair)), sizeof(struct pair));     /* across two pages */
    CHECK(holds_account((struct pair *)(area + 3 * PAGE - 24)));
    CHECK(*(uint64_t *)(area + 2 * PAGE) == 0 && *(uint64_t *)(area + 4 * PAGE - 8) == 0);
    CHECK_STATUS(primer_vm_write(SELF, area + 6 * PAGE - 3, (void *)(area + 5 * PAGE - 4), 7), 0);
    CHECK_STATUS(primer_address_wait((void *)(area + 7 * PAGE), 1, 0), E_AGAIN);
    CHECK_STATUS(primer_address_wait((void *)(area + 7 * PAGE), 0, NS_PER_MS), E_TIMEOUT);
    return NULL;
}

static vaddr_t shared;

static const char *into_copy(void)
{
    CHECK_STATUS(info_to(shared + PAGE - 24, sizeof(struct pair)), sizeof(struct pair));
    CHECK(holds_account((struct pair *)(shared + PAGE - 24)));
    CHECK(*(uint64_t *)shared == 1 && *(uint64_t *)(shared + 2 * PAGE - 8) == 2);
    return NULL;
}

/* A copy into shared pages copies them first: the relative does not see it. */
static const char *cow_buffers(void)
{
    shared = (vaddr_t)test_map(8 * PAGE);
    for (unsigned round = 0; round < 20; round++) {
        memset((void *)shared, 0x33, 8 * PAGE);
        *(uint64_t *)shared = 1;
        *(uint64_t *)(shared + 2 * PAGE - 8) = 2;
        uint64_t child = test_fork(into_copy);
        if (round & 1)
            CHECK_CASE(into_copy());
        CHECK_STATUS(test_wait(child), 0);
        if (!(round & 1))
            CHECK(*(uint64_t *)(shared + PAGE - 8) == 0x3333333333333333 && *(uint8_t *)(shared + PAGE) == 0x33);
    }
    return NULL;
}

static const char *trace_into_copy(void)
{
    struct primer_info_cpu cpu;
    CHECK(primer_info(PRIMER_INFO_CPU, 0, &cpu, sizeof cpu) > 0);
    uint64_t count = min_u64(64, cpu.trace_head / 2);
    uint64_t from = cpu.trace_head - count;
    struct primer_event *events = (struct primer_event *)(shared + PAGE - 48);
    status_t got = primer_trace_read(0, from, events, count);
    CHECK(got > 0 || got == E_NOT_FOUND);
    for (status_t i = 0; i < got; i++)
        CHECK(events[i].cpu == 0 && events[i].kind >= 1 && events[i].kind <= PRIMER_EVENT_TASK_NEW);
    return NULL;
}

static const char *trace_buffers(void)
{
    shared = (vaddr_t)test_map(4 * PAGE);
    CHECK_CASE(trace_into_copy());
    for (unsigned round = 0; round < 10; round++) {
        memset((void *)shared, 0x44, 4 * PAGE);
        uint64_t child = test_fork(trace_into_copy);
        CHECK_STATUS(test_wait(child), 0);
        for (unsigned i = 0; i < 4 * PAGE; i++)
            CHECK(*(uint8_t *)(shared + i) == 0x44);
    }
    vaddr_t page = shared;
    CHECK_STATUS(primer_call(SYS_trace_read, 0, 0, 0xffff800000000000, 4, 0), E_BAD_ADDRESS);
    CHECK_STATUS(primer_call(SYS_trace_read, 0, 0, page, UINT64_MAX / 32, 0), E_BAD_ADDRESS);
    CHECK_STATUS(primer_call(SYS_trace_read, 0, UINT64_MAX - 1, page, 4, 0), E_NOT_FOUND);
    CHECK_STATUS(primer_call(SYS_trace_read, 64, 0, page, 4, 0), E_NOT_FOUND);
    CHECK_STATUS(primer_call(SYS_trace_read, UINT64_MAX, 0, page, 4, 0), E_NOT_FOUND);
    return NULL;
}

/* --- another task's memory --- */

static const char *sleep_on(void)
{
    primer_sleep(PRIMER_FOREVER);
    return NULL;
}

static const char *other_task(void)
{
    shared = (vaddr_t)test_map(8 * PAGE);
    memset((void *)shared, 0x11, 4 * PAGE);
    uint64_t child = test_fork(sleep_on);
    uint8_t *buf = test_map(8 * PAGE);
    CHECK_STATUS(primer_vm_read(child, shared, buf, 8 * PAGE), 0);
    for (unsigned i = 0; i < 8 * PAGE; i++)
        CHECK(buf[i] == (i < 4 * PAGE ? 0x11 : 0));
    memset(buf, 0x22, 8 * PAGE);
    CHECK_STATUS(primer_vm_write(child, shared + PAGE / 2, buf, 7 * PAGE), 0);
    for (unsigned i = 0; i < 8 * PAGE; i++)
        CHECK(*(uint8_t *)(shared + i) == (i < 4 * PAGE ? 0x11 : 0));
    CHECK_STATUS(primer_vm_read(child, shared, buf, 8 * PAGE), 0);
    for (unsigned i = 0; i < 8 * PAGE; i++)
        CHECK(buf[i] == (i < PAGE / 2 ? 0x11 : i < 15 * PAGE / 2 ? 0x22 : 0));

    CHECK_STATUS(primer_vm_protect(child, shared, PAGE, R), 0);
    CHECK_STATUS(primer_vm_write(child, shared, buf, 2 * PAGE), E_BAD_ADDRESS);
    CHECK_STATUS(primer_vm_protect(child, shared, PAGE, 0), 0);
    CHECK_STATUS(primer_vm_read(child, shared, buf, 1), E_BAD_ADDRESS);
    *(uint8_t *)shared = 5;                             /* ours is as it was */
    CHECK_STATUS(primer_vm_unmap(child, shared + PAGE, PAGE), 0);
    CHECK_STATUS(primer_vm_read(child, shared + 2 * PAGE - 1, buf, 1), E_BAD_ADDRESS);
    CHECK_STATUS(primer_vm_read(child, 0xffff800000000000, buf, 1), E_BAD_ADDRESS);
    CHECK_STATUS(primer_vm_read(child, UINT64_MAX, buf, 2), E_BAD_ADDRESS);
    CHECK_STATUS(primer_vm_write(child, PRIMER_USER_MAX - 1, buf, 2), E_BAD_ADDRESS);
    CHECK_STATUS(primer_vm_read(child, 0, buf, 0), 0);
    primer_kill(child);
    CHECK_STATUS(primer_wait(child, TEST_LIMIT), PRIMER_STATUS_KILLED);
    CHECK_STATUS(primer_vm_read(child, shared, buf, 1), E_BAD_ADDRESS);
    CHECK_STATUS(primer_vm_map(child, 0, PAGE, RW, 0), E_DEAD);
    CHECK_STATUS(primer_thread_create(child, (vaddr_t)main, 0, 0, 0), E_DEAD);
    return NULL;
}

/*
 * Mapping, unmapping and copying in a task while it ends, from outside. Each way in must find it alive or ended, and
 * nothing may stay behind.
 */
static uint64_t victim;
static _Atomic uint32_t stop;

static void meddle(void *number)
{
    vaddr_t place = 0x40000000 + (uintptr_t)number * 0x400000;
    static uint8_t bytes[3 * PAGE];
    uint64_t random = place;
    while (!atomic_load(&stop)) {
        primer_sleep(test_random(&random) % 100 * NS_PER_US);   /* or they do nothing but wait for each other's lock */
        status_t at = primer_vm_map(victim, place, 4 * PAGE, RW, 0);
        primer_vm_write(victim, place + PAGE - 8, bytes, 2 * PAGE);
        if (at == E_DEAD)
            break;
        primer_vm_protect(victim, place, 2 * PAGE, R);
        if (at > 0 && (uintptr_t)number % 2)
            primer_vm_unmap(victim, (vaddr_t)at, 4 * PAGE);
    }
}

static const char *meddle_at_end(void)
{
    struct test_rounds rounds = {.most = 60};
    uint64_t random = 5;
    while (test_again(&rounds)) {
        struct primer_thread threads[4];
        victim = test_fork(sleep_on);
        atomic_store(&stop, 0);
        for (uint64_t i = 0; i < ARRAY_SIZE(threads); i++)
            test_thread(&threads[i], meddle, (void *)i, 0);
        primer_sleep(test_random(&random) % 2000 * NS_PER_US);
        CHECK_STATUS(primer_kill(victim), 0);
        CHECK_STATUS(primer_wait(victim, TEST_LIMIT), PRIMER_STATUS_KILLED);
        atomic_store(&stop, 1);
        for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
            primer_thread_join(&threads[i]);
        primer_handle_close(victim);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"bad_buffers", bad_buffers},
        {"read_only_buffers", read_only_buffers},
        {"untouched_buffers", untouched_buffers},
        {"cow_buffers", cow_buffers},
        {"trace_buffers", trace_buffers},
        {"other_task", other_task},
        {"meddle_at_end", meddle_at_end},
    };
    return test_main(cases, ARRAY_SIZE(cases), argc, argv);
}
