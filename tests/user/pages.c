/*
 * What a page has in it: zero at first, whatever an earlier owner left; the writer's bytes and nobody else's after a
 * fork, however threads and relatives take turns; and what its range allows, after protecting, splitting and mapping
 * again. Races with the kernel's workers are in races.c.
 */
#include "tests/user/lib/test.h"

#define PATTERN 0x5a5a5a5a5a5a5a5aull

static uint64_t *area;
static uint64_t area_pages;
static _Atomic uint32_t round_now, arrived, dirty;

static uint64_t *word_of(uint64_t page, unsigned word) { return area + page * (PAGE / 8) + word; }

static bool page_is(uint64_t page, uint64_t value)
{
    const volatile uint64_t *words = word_of(page, 0);
    for (unsigned i = 0; i < PAGE / 8; i++)
        if (words[i] != value)
            return false;
    return true;
}

/* --- stale data --- */

/* Pages that the account may still have, less some for tables and others. */
static uint64_t nearly_all(void)
{
    struct primer_limits limit = test_account_limit(), used = test_account_used();
    uint64_t left = min_u64(limit.frames - used.frames, test_counts().frames);
    return left - left / 64 - 700;
}

/* A byte in each cache line is enough to know a page, and takes less time than all. */
static const char *fill_all(void)
{
    area_pages = nearly_all();
    area = test_map(area_pages * PAGE);
    for (uint64_t page = 0; page < area_pages; page++)
        for (unsigned line = 0; line < PAGE / 8; line += 8)
            *word_of(page, line) = PATTERN;
    return NULL;
}

#define CHECKERS 4u

static void check_share(void *number)
{
    for (uint64_t page = (uintptr_t)number; page < area_pages; page += CHECKERS)
        if (!page_is(page, 0))
            atomic_fetch_add(&dirty, 1);
}

static const char *check_fresh(void)
{
    area = test_map(area_pages * PAGE);
    test_threads(CHECKERS, check_share);
    return atomic_load(&dirty) ? test_fail("%u fresh pages were not zero", atomic_load(&dirty)) : NULL;
}

static const char *stale(void)
{
    CHECK_CASE(test_child(fill_all, 0));
    area_pages = nearly_all() / 2;
    uint64_t other = test_fork(check_fresh);
    CHECK_CASE(check_fresh());
    CHECK_STATUS(test_wait(other), 0);
    return NULL;
}

/* --- many threads, one page --- */

#define JOINERS 12u
#define JOINS   60u

/* All meet, then touch the same fresh page: each sees its own place zero and leaves a value there. */
static void join(void *number)
{
    uint64_t me = (uintptr_t)number;
    for (uint32_t i = 0; i < JOINS; i++) {
        atomic_fetch_add(&arrived, 1);
        while (atomic_load(&round_now) <= i)
            primer_yield();
        uint64_t before = __atomic_fetch_add(word_of(i, (unsigned)me), me + 1, __ATOMIC_SEQ_CST);
        if (before != 0 || *word_of(i, 500) != 0)
            atomic_fetch_add(&dirty, 1);
        __atomic_fetch_add(word_of(i, 300), 1, __ATOMIC_SEQ_CST);
    }
}

static void conduct(void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < JOINS; i++) {
        while (atomic_load(&arrived) < (i + 1) * JOINERS)
            primer_yield();
        atomic_store(&round_now, i + 1);
    }
}

static const char *joins(void)
{
    struct primer_thread conductor;
    area = test_map(JOINS * PAGE);
    test_thread(&conductor, conduct, NULL, 0);
    test_threads(JOINERS, join);
    primer_thread_join(&conductor);
    CHECK(!atomic_load(&dirty));
    for (uint32_t i = 0; i < JOINS; i++) {
        CHECK(*word_of(i, 300) == JOINERS);
        for (unsigned j = 0; j < JOINERS; j++)
            CHECK(*word_of(i, j) == j + 1);
    }
    return NULL;
}

/* --- copy-on-write --- */

#define FAMILY_PAGES 24u

static void write_all(uint64_t value)
{
    for (uint64_t page = 0; page < FAMILY_PAGES; page++)
        for (unsigned i = 0; i < PAGE / 8; i++)
            *word_of(page, i) = value;
}

static bool all_are(uint64_t value)
{
    for (uint64_t page = 0; page < FAMILY_PAGES; page++)
        if (!page_is(page, value))
            return false;
    return true;
}

static const char *grandchild(void)
{
    CHECK(all_are(2));
    write_all(3);
    primer_sleep(2 * NS_PER_MS);
    CHECK(all_are(3));
    return NULL;
}

static const char *child(void)
{
    CHECK(all_are(1));
    for (uint64_t page = 0; page < FAMILY_PAGES; page += 2)
        *word_of(page, 7) = 2;
    for (uint64_t page = 1; page < FAMILY_PAGES; page += 2)
        CHECK(page_is(page, 1));
    write_all(2);
    uint64_t first = test_fork(grandchild), second = test_fork(grandchild);
    primer_yield();
    CHECK(all_are(2));
    write_all(4);
    CHECK_STATUS(test_wait(first), 0);
    CHECK_STATUS(test_wait(second), 0);
    CHECK(all_are(4));
    return NULL;
}

static const char *family(void)
{
    area = test_map(FAMILY_PAGES * PAGE);
    struct test_rounds rounds = {.most = 10};
    while (test_again(&rounds)) {
        write_all(1);
        uint64_t first = test_fork(child), second = test_fork(child);
        CHECK(all_are(1));
        write_all(9);
        CHECK_STATUS(test_wait(first), 0);
        CHECK(all_are(9));
        CHECK_STATUS(test_wait(second), 0);
        CHECK(all_are(9));
    }
    return NULL;
}

/* --- threads that write while their task is forked: no write is lost --- */

#define WRITERS 4u
#define BALLAST_PAGES 1500u      /* cloned after what is written to: makes the time long until the clone's flush */

static _Atomic uint32_t stop;
static uint64_t written[WRITERS];           /* each its thread's */

static void count_up(void *number)
{
    uint64_t me = (uintptr_t)number, value = 0;
    while (!atomic_load(&stop)) {
        value++;
        for (uint64_t page = 0; page < FAMILY_PAGES; page++) {
            volatile uint64_t *word = word_of(page, (unsigned)me * 16);
            if (*word != value - 1)
                atomic_fetch_add(&dirty, 1);
            if (me == 0)        /* past this CPU's TLB: sees at once what a clone under way has done to the entry */
                primer_vm_write(PRIMER_SELF, (vaddr_t)word, &value, sizeof value);
            else
                *word = value;
        }
    }
    written[me] = value;
}

/* In the clone nothing moves any more: a word that still changes is on a page that the parent writes to. */
static const char *look_frozen(void)
{
    uint64_t seen[FAMILY_PAGES][WRITERS];
    for (uint64_t page = 0; page < FAMILY_PAGES; page++)
        for (unsigned i = 0; i < WRITERS; i++)
            seen[page][i] = *(volatile uint64_t *)word_of(page, i * 16);
    primer_yield();
    for (uint64_t page = 0; page < FAMILY_PAGES; page++) {
        if (page % 2)
            *word_of(page, 1) = 1;          /* takes half of them for its own */
        for (unsigned i = 0; i < WRITERS; i++)
            CHECK(*(volatile uint64_t *)word_of(page, i * 16) == seen[page][i]);
    }
    return NULL;
}

static void run_writers(struct primer_thread *threads)
{
    atomic_store(&stop, 0);
    for (uint64_t i = 0; i < WRITERS; i++)
        test_thread(&threads[i], count_up, (void *)i, 0);
}

static const char *fork_under_writers(void)
{
    struct primer_thread threads[WRITERS];
    area = test_map((FAMILY_PAGES + BALLAST_PAGES) * PAGE);
    memset(word_of(FAMILY_PAGES, 0), 1, BALLAST_PAGES * PAGE);
    run_writers(threads);
    struct test_rounds rounds = {.most = 60};
    while (test_again(&rounds))
        CHECK_STATUS(test_wait(test_fork(look_frozen)), 0);
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < WRITERS; i++)
        primer_thread_join(&threads[i]);
    CHECK(!atomic_load(&dirty));
    for (unsigned i = 0; i < WRITERS; i++)
        for (uint64_t page = 0; page < FAMILY_PAGES; page++)
            CHECK(*word_of(page, i * 16) == written[i]);
    return NULL;
}

/* A page that its relatives have left is taken without a copy: the bytes, and no new frame. */
static const char *nothing_to_do(void) { return NULL; }

static uint64_t reused(void)
{
    uint64_t sum = 0;
    struct primer_info_cpu cpu;
    for (unsigned i = 0; primer_info(PRIMER_INFO_CPU, i, &cpu, sizeof cpu) > 0; i++)
        sum += cpu.reused;
    return sum;
}

static const char *copy_reuse(void)
{
    area = test_map(FAMILY_PAGES * PAGE);
    write_all(1);
    CHECK_CASE(test_child(nothing_to_do, 0));
    uint64_t before = reused(), frames = test_account_used().frames;
    for (uint64_t page = 0; page < FAMILY_PAGES; page++)
        *word_of(page, 0) = 5;
    CHECK(reused() - before >= FAMILY_PAGES);
    CHECK(test_account_used().frames <= frames);
    for (uint64_t page = 0; page < FAMILY_PAGES; page++)
        CHECK(*word_of(page, 0) == 5 && *word_of(page, 1) == 1);
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"stale", stale},
        {"joins", joins},
        {"family", family},
        {"fork_under_writers", fork_under_writers},
        {"copy_reuse", copy_reuse},
    };
    return test_main(cases, ARRAY_SIZE(cases), argc, argv);
}
