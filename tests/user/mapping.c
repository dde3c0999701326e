/* Ranges: where they go, what they allow, and what is left when parts of them are taken away. */
#include "tests/user/lib/test.h"

#define SELF PRIMER_SELF

/* Whether a byte there can be read and written, asked by way of the kernel, which gives an error instead of a fault. */
static bool readable(vaddr_t address)
{
    uint8_t byte;
    return primer_vm_read(SELF, address, &byte, 1) == 0;
}

static bool writable(vaddr_t address)
{
    uint8_t byte = 0x42;
    return primer_vm_write(SELF, address, &byte, 1) == 0;
}

static const char *hints(void)
{
    vaddr_t area = (vaddr_t)test_map(16 * PAGE);
    CHECK_STATUS(primer_vm_unmap(SELF, area, 16 * PAGE), 0);
    area += 4 * PAGE;
    CHECK_STATUS(primer_vm_map(SELF, area, PAGE, RW, PRIMER_MAP_FIXED), (status_t)area);
    CHECK_STATUS(primer_vm_map(SELF, area, PAGE, RW, PRIMER_MAP_FIXED), E_OCCUPIED);
    CHECK_STATUS(primer_vm_map(SELF, area - PAGE, 3 * PAGE, RW, PRIMER_MAP_FIXED), E_OCCUPIED);
    status_t near = primer_vm_map(SELF, area, PAGE, RW, 0);
    CHECK(near > 0 && near != (status_t)area);
    vaddr_t far = 0x123456789000;
    CHECK_STATUS(primer_vm_map(SELF, far, PAGE, RW, 0), (status_t)far);
    vaddr_t last = PRIMER_USER_MAX - PAGE;
    CHECK_STATUS(primer_vm_map(SELF, last, PAGE, RW, PRIMER_MAP_FIXED), (status_t)last);
    status_t elsewhere = primer_vm_map(SELF, PRIMER_USER_MAX - 2 * PAGE, 2 * PAGE, RW, 0);
    CHECK(elsewhere > 0);
    *(volatile uint8_t *)(PRIMER_USER_MAX - 1) = 1;
    return NULL;
}

static const char *bad_arguments(void)
{
    vaddr_t area = (vaddr_t)test_map(4 * PAGE);
    CHECK_STATUS(primer_vm_map(SELF, 0, 0, RW, 0), E_BAD_ARGUMENT);
    CHECK_STATUS(primer_vm_map(SELF, 0, PAGE + 1, RW, 0), E_BAD_ARGUMENT);
    CHECK_STATUS(primer_vm_map(SELF, 0x10001, PAGE, RW, 0), E_BAD_ARGUMENT);
    CHECK_STATUS(primer_vm_map(SELF, 0, PAGE, 8, 0), E_BAD_ARGUMENT);
    CHECK_STATUS(primer_vm_map(SELF, 0, PAGE, RW, 4), E_BAD_ARGUMENT);
    CHECK_STATUS(primer_vm_map(SELF, 0, PAGE, RW | PRIMER_PROT_EXEC, 0), E_BAD_ARGUMENT);
    CHECK_STATUS(primer_vm_map(SELF, 0, PAGE, PRIMER_PROT_WRITE | PRIMER_PROT_EXEC, 0), E_BAD_ARGUMENT);
    CHECK_STATUS(primer_vm_protect(SELF, area, PAGE, RW | PRIMER_PROT_EXEC), E_BAD_ARGUMENT);
    CHECK_STATUS(primer_vm_map(SELF, 0, PRIMER_USER_MAX, RW, 0), E_BAD_ADDRESS);
    CHECK_STATUS(primer_vm_map(SELF, 0, -PAGE, RW, 0), E_BAD_ADDRESS);
    CHECK_STATUS(primer_vm_map(SELF, PRIMER_USER_MIN - PAGE, PAGE, RW, PRIMER_MAP_FIXED), E_BAD_ADDRESS);
    CHECK_STATUS(primer_vm_map(SELF, 0, PAGE, RW, PRIMER_MAP_FIXED), E_BAD_ADDRESS);
    CHECK_STATUS(primer_vm_map(SELF, PRIMER_USER_MAX, PAGE, RW, PRIMER_MAP_FIXED), E_BAD_ADDRESS);
    CHECK_STATUS(primer_vm_map(SELF, 0xffff800000000000, PAGE, RW, PRIMER_MAP_FIXED), E_BAD_ADDRESS);
    CHECK_STATUS(primer_vm_map(SELF, 0, 0, RW, PRIMER_MAP_ARCHIVE), E_BAD_ARGUMENT);
    CHECK_STATUS(primer_vm_map(SELF, area, 0, R, PRIMER_MAP_ARCHIVE | PRIMER_MAP_FIXED), E_OCCUPIED);
    CHECK_STATUS(primer_vm_unmap(SELF, area, -PAGE), E_BAD_ADDRESS);
    CHECK_STATUS(primer_vm_unmap(SELF, area + 1, PAGE), E_BAD_ARGUMENT);
    CHECK_STATUS(primer_vm_unmap(4095, area, PAGE), E_BAD_HANDLE);
    CHECK_STATUS(primer_vm_unmap(SELF, 0, PAGE), E_BAD_ADDRESS);
    CHECK_STATUS(primer_vm_protect(SELF, 0, PAGE, R), E_NOT_MAPPED);
    return NULL;
}

static const char *protection(void)
{
    vaddr_t area = (vaddr_t)test_map(6 * PAGE);
    for (unsigned i = 0; i < 6; i++)
        *(uint64_t *)(area + i * PAGE) = i + 1;
    CHECK_STATUS(primer_vm_protect(SELF, area + PAGE, PAGE, R), 0);
    CHECK_STATUS(primer_vm_protect(SELF, area + 2 * PAGE, PAGE, 0), 0);
    CHECK_STATUS(primer_vm_protect(SELF, area + 3 * PAGE, PAGE, RX), 0);
    static const bool read[] = {1, 1, 0, 1, 1, 1}, write[] = {1, 0, 0, 0, 1, 1};
    for (unsigned i = 0; i < 6; i++) {
        CHECK(readable(area + i * PAGE + 8) == read[i]);
        CHECK(writable(area + i * PAGE + 8) == write[i]);
    }
    CHECK_STATUS(primer_vm_protect(SELF, area, 6 * PAGE, RW), 0);
    for (unsigned i = 0; i < 6; i++)
        CHECK(*(uint64_t *)(area + i * PAGE) == i + 1);
    CHECK_STATUS(primer_vm_unmap(SELF, area + 4 * PAGE, PAGE), 0);
    CHECK_STATUS(primer_vm_protect(SELF, area, 6 * PAGE, R), E_NOT_MAPPED);
    CHECK(writable(area) && writable(area + 5 * PAGE));         /* nothing was changed */
    return NULL;
}

/* Protection given before the first touch, and kept by a clone that never touched. */
static vaddr_t untouched_area;

static const char *look_untouched(void)
{
    CHECK(readable(untouched_area) && !writable(untouched_area));
    CHECK(!readable(untouched_area + PAGE));
    CHECK(writable(untouched_area + 2 * PAGE));
    return NULL;
}

static const char *protection_untouched(void)
{
    untouched_area = (vaddr_t)test_map(3 * PAGE);
    CHECK_STATUS(primer_vm_protect(SELF, untouched_area, PAGE, R), 0);
    CHECK_STATUS(primer_vm_protect(SELF, untouched_area + PAGE, PAGE, 0), 0);
    CHECK_CASE(test_child(look_untouched, 0));
    CHECK_CASE(look_untouched());
    CHECK_CASE(test_child(look_untouched, 0));
    return NULL;
}

static const char *sleep_long(void)
{
    primer_sleep(PRIMER_FOREVER);
    return NULL;
}

/* Who may write may read, also when the page is shared, on either side of a change. */
static const char *write_only(void)
{
    vaddr_t area = (vaddr_t)test_map(2 * PAGE);
    *(volatile uint8_t *)area = 7;
    CHECK_STATUS(primer_vm_protect(SELF, area, 2 * PAGE, PRIMER_PROT_WRITE), 0);
    uint64_t relative = test_fork(sleep_long);
    bool shared_read = *(volatile uint8_t *)area == 7 && readable(area) && readable(area + PAGE);
    CHECK_STATUS(primer_vm_protect(SELF, area, 2 * PAGE, 0), 0);
    CHECK_STATUS(primer_vm_protect(SELF, area, 2 * PAGE, PRIMER_PROT_WRITE), 0);
    shared_read &= readable(area) && writable(area + 8) && readable(area + 8);
    primer_kill(relative);
    CHECK_STATUS(test_wait(relative), PRIMER_STATUS_KILLED);
    CHECK(shared_read);
    return NULL;
}

/*
 * Two threads that give and take the same right, in large steps: whose word was the last, entries and range agree on
 * it. A clone's entries come from the range, ours may be what a slower vm_protect() has left.
 */
#define TUG_PAGES 256u
static vaddr_t tug_area;
static _Atomic uint32_t tug_over;

static void tug(void *number)
{
    while (!atomic_load(&tug_over))
        primer_vm_protect(SELF, tug_area, TUG_PAGES * PAGE, (uintptr_t)number ? RW : R);
}

static const char *all_are_writable(bool wanted)
{
    for (unsigned i = 1; i < TUG_PAGES; i++)
        if (writable(tug_area + i * PAGE) != wanted)
            return test_fail("page %u and its range do not agree", i);
    return NULL;
}

static const char *all_writable(void)  { return all_are_writable(true); }
static const char *none_writable(void) { return all_are_writable(false); }

static const char *tug_of_war(void)
{
    struct test_rounds rounds = {.most = 30};
    while (test_again(&rounds)) {
        struct primer_thread threads[2];
        tug_area = (vaddr_t)test_map(TUG_PAGES * PAGE);
        memset((void *)tug_area, 1, TUG_PAGES * PAGE);
        atomic_store(&tug_over, 0);
        for (uint64_t i = 0; i < 2; i++)
            test_thread(&threads[i], tug, (void *)i, 0);
        primer_sleep((5 + rounds.done % 20) * NS_PER_MS);
        atomic_store(&tug_over, 1);
        for (unsigned i = 0; i < 2; i++)
            primer_thread_join(&threads[i]);
        bool first = writable(tug_area);
        for (unsigned i = 0; i < TUG_PAGES; i++)
            CHECK(writable(tug_area + i * PAGE) == first);
        CHECK_CASE(test_child(first ? all_writable : none_writable, 0));
        test_unmap((void *)tug_area, TUG_PAGES * PAGE);
    }
    return NULL;
}

static const char *split(void)
{
    vaddr_t area = (vaddr_t)test_map(64 * PAGE);
    for (unsigned i = 0; i < 64; i++)
        *(uint64_t *)(area + i * PAGE) = i + 1;
    for (unsigned i = 1; i < 64; i += 4)
        CHECK_STATUS(primer_vm_unmap(SELF, area + i * PAGE, 2 * PAGE), 0);
    for (unsigned i = 0; i < 64; i++) {
        bool there = i % 4 == 0 || i % 4 == 3;
        CHECK(readable(area + i * PAGE) == there);
        CHECK(!there || *(uint64_t *)(area + i * PAGE) == i + 1);
    }
    CHECK_STATUS(primer_vm_unmap(SELF, area, 64 * PAGE), 0);    /* holes are fine */
    CHECK_STATUS(primer_vm_unmap(SELF, area, 64 * PAGE), 0);
    CHECK_STATUS(primer_vm_map(SELF, area, 64 * PAGE, RW, PRIMER_MAP_FIXED), (status_t)area);
    for (unsigned i = 0; i < 64; i++)
        CHECK(*(volatile uint64_t *)(area + i * PAGE) == 0);
    return NULL;
}

/* Far apart and large: tables come and go, and a terabyte costs nothing until it is touched. */
static const char *sparse(void)
{
    uint64_t len = 1ul << 40;
    vaddr_t area = (vaddr_t)test_map(len);
    uint64_t before = test_account_used().frames;
    for (uint64_t at = 0; at < len; at += len / 32)
        *(volatile uint8_t *)(area + at) = 1;
    CHECK(test_account_used().frames > before + 64);
    CHECK_STATUS(primer_vm_protect(SELF, area, len, R), 0);
    CHECK(!writable(area + len / 2));
    test_unmap((void *)(area + PAGE), len - PAGE);
    CHECK(test_account_used().frames <= before + 4);
    return NULL;
}

/*
 * A thread in the middle of vm_protect() must not hold up a more urgent one that touches what is just being given
 * back: the less urgent one could not finish.
 */
#define WIDE 2048u
static _Atomic uint32_t stop;
static vaddr_t wide;

static void toggle(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        primer_vm_protect(SELF, wide, WIDE * PAGE, 0);
        primer_vm_protect(SELF, wide, WIDE * PAGE, R);
    }
}

static const char *protect_below(void)
{
    wide = (vaddr_t)test_map(WIDE * PAGE);
    for (unsigned i = 0; i < WIDE; i++)
        *(volatile uint8_t *)(wide + i * PAGE) = 1;
    struct primer_thread threads[8];
    unsigned count = (unsigned)min_u64(test_cpus(), ARRAY_SIZE(threads));
    unsigned own = (unsigned)primer_thread_priority(SELF, 0);
    for (unsigned i = 0; i < count; i++)
        test_thread(&threads[i], toggle, NULL, own - 1);
    uint64_t state = 7;
    struct test_rounds rounds = {.most = 2000};
    while (test_again(&rounds)) {
        primer_sleep(test_random(&state) % 1500 * NS_PER_US);
        readable(wide + (WIDE - 1 - test_random(&state) % 64) * PAGE);
    }
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < count; i++)
        primer_thread_join(&threads[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"hints", hints},
        {"bad_arguments", bad_arguments},
        {"protection", protection},
        {"protection_untouched", protection_untouched},
        {"write_only", write_only},
        {"tug_of_war", tug_of_war},
        {"split", split},
        {"sparse", sparse},
        {"protect_below", protect_below},
    };
    return test_main(cases, ARRAY_SIZE(cases), argc, argv);
}
