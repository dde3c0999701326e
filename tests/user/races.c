/*
 * Everything that can happen to a page between the fault and the publication: unmapping, forking, protecting, killing,
 * ending. Each case makes requests and, while they are under way or not, does the other thing, many times over;
 * `pinit.delay=`, `pinit.shuffle` and `quantum=` on the kernel's command line make the moment long and the order odd.
 */
#include "tests/user/lib/test.h"

#define PAGES  16u
#define ROUNDS 40u

static uint8_t *area;                       /* PAGES pages, of this task */
static _Atomic uint32_t go, ready, stop, wrong;

static void map_at(void *address, unsigned prot)
{
    status_t got = primer_vm_map(PRIMER_SELF, (vaddr_t)address, PAGES * PAGE, prot, PRIMER_MAP_FIXED);
    primer_must(got, "mapping the area again");
}

static bool is_filled(const uint8_t *page, uint8_t byte)
{
    for (unsigned i = 0; i < PAGE; i += 8)
        if (*(const volatile uint64_t *)(page + i) != 0x0101010101010101ull * byte)
            return false;
    return true;
}

/* --- unmap --- */

/* In a task that will fault sooner or later: touches pages, which must be zero. */
static void touch_all(void *number)
{
    (void)number;
    for (unsigned i = 0; i < PAGES; i++) {
        if (!is_filled(area + i * PAGE, 0))
            atomic_store(&wrong, 1);
        area[i * PAGE] = 0;
    }
}

static void unmap_all(void *unused)
{
    (void)unused;
    primer_vm_unmap(PRIMER_SELF, (vaddr_t)area, PAGES * PAGE);
}

/* Ends by the fault of one of the touching threads, or by the unmapping one: never with a byte that is not zero. */
static const char *unmap_under_touch(void)
{
    area = test_map(PAGES * PAGE);
    struct primer_thread threads[3];
    test_thread(&threads[0], touch_all, NULL, 0);
    test_thread(&threads[1], touch_all, NULL, 0);
    test_thread(&threads[2], unmap_all, NULL, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
        primer_thread_join(&threads[i]);
    return atomic_load(&wrong) ? "a page was not zero" : NULL;
}

static const char *unmap_io(void)
{
    struct test_rounds rounds = {.most = ROUNDS};
    while (test_again(&rounds)) {
        status_t status = test_wait(test_fork(unmap_under_touch));
        if (status != 0 && status != PRIMER_STATUS_FAULT)
            return test_fail("round %u ended with %ld", rounds.done, status);
    }
    return NULL;
}

/* --- unmap, and map anew at the same address, while the old page is on its way --- */

/* Looks by way of the kernel, which gives an error and not a fault when the page is just not mapped. */
static void read_words(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        uint64_t word = 1;
        status_t status = primer_vm_read(PRIMER_SELF, (vaddr_t)area, &word, sizeof word);
        if (status == 0 && word != 0)
            atomic_store(&wrong, 1);
    }
}

static const char *remap_io(void)
{
    area = test_map(PAGES * PAGE);
    struct primer_thread threads[2];
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
        test_thread(&threads[i], read_words, NULL, 0);
    struct test_rounds rounds = {.most = 10 * ROUNDS};
    while (test_again(&rounds)) {
        test_unmap(area, PAGES * PAGE);
        map_at(area, RW);
        if (rounds.done % 3 == 0)
            continue;                       /* the readers' requests only */
        CHECK(is_filled(area + PAGE, 0));
        memset(area + PAGE, 0x77, PAGE);
        CHECK(is_filled(area + PAGE, 0x77));
    }
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
        primer_thread_join(&threads[i]);
    CHECK(!atomic_load(&wrong));
    return NULL;
}

/* --- fork --- */

static void touch_in_turn(void *number)
{
    uint64_t me = (uintptr_t)number;
    for (unsigned i = 0; i < PAGES; i++)
        area[i * PAGE + 8 * me] = (uint8_t)(0x10 + me);
}

/* What a clone may see: of each thread's byte, what was there before or what the thread wrote; nothing else. */
static const char *look_at_clone(uint8_t before)
{
    for (unsigned i = 0; i < PAGES; i++)
        for (unsigned j = 0; j < PAGE; j++) {
            uint8_t byte = ((volatile uint8_t *)area)[i * PAGE + j];
            bool written = (j == 0 && byte == 0x10) || (j == 8 && byte == 0x11);
            if (byte != before && !written)
                return test_fail("byte %u of page %u is 0x%x", j, i, byte);
        }
    memset(area, 0x99, PAGES * PAGE);       /* ours alone: the parent will look */
    return NULL;
}

static const char *look_zero(void) { return look_at_clone(0); }
static const char *look_copy(void) { return look_at_clone(0x55); }

static const char *hold_clone(void)
{
    primer_sleep(30 * NS_PER_MS);
    return NULL;
}

/* Forks while two threads touch; `copy`: their pages are shared with a first clone, so each touch copies. */
static const char *fork_round(bool copy)
{
    area = test_map(PAGES * PAGE);
    uint64_t holder = 0;
    if (copy) {
        memset(area, 0x55, PAGES * PAGE);
        holder = test_fork(hold_clone);
    }
    struct primer_thread threads[2];
    for (uint64_t i = 0; i < 2; i++)
        test_thread(&threads[i], touch_in_turn, (void *)i, 0);
    uint64_t first = test_fork(copy ? look_copy : look_zero);
    uint64_t second = test_fork(copy ? look_copy : look_zero);
    for (unsigned i = 0; i < 2; i++)
        primer_thread_join(&threads[i]);
    CHECK_STATUS(test_wait(first), 0);
    CHECK_STATUS(test_wait(second), 0);
    if (copy)
        CHECK_STATUS(test_wait(holder), 0);
    for (unsigned i = 0; i < PAGES; i++)
        for (unsigned j = 0; j < PAGE; j++)
            if (area[i * PAGE + j] != (j == 0 ? 0x10 : j == 8 ? 0x11 : copy ? 0x55 : 0))
                return test_fail("in the parent, byte %u of page %u is 0x%x", j, i, area[i * PAGE + j]);
    test_unmap(area, PAGES * PAGE);
    return NULL;
}

static const char *fork_io_zero(void)
{
    struct test_rounds rounds = {.most = ROUNDS / 2};
    while (test_again(&rounds))
        CHECK_CASE(fork_round(false));
    return NULL;
}

static const char *fork_io_copy(void)
{
    struct test_rounds rounds = {.most = ROUNDS / 4};
    while (test_again(&rounds))
        CHECK_CASE(fork_round(true));
    return NULL;
}

/* --- protect --- */

static void write_checked(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop))
        for (unsigned i = 0; i < PAGES; i++)
            primer_vm_write(PRIMER_SELF, (vaddr_t)area + i * PAGE, &i, sizeof i);
}

/* The protection changes while pages are made and copied; what it is at last holds for each of them. */
static const char *protect_io(void)
{
    struct primer_thread thread;
    struct test_rounds rounds = {.most = ROUNDS};
    while (test_again(&rounds)) {
        area = test_map(PAGES * PAGE);
        atomic_store(&stop, 0);
        test_thread(&thread, write_checked, NULL, 0);
        static const unsigned prots[] = {R, RW, 0, RW, R};
        for (unsigned j = 0; j < ARRAY_SIZE(prots); j++) {
            CHECK_STATUS(primer_vm_protect(PRIMER_SELF, (vaddr_t)area, PAGES * PAGE, prots[j]), 0);
            if (rounds.done & 1)
                primer_yield();
        }
        for (unsigned j = 0; j < PAGES; j++)
            CHECK_STATUS(primer_vm_write(PRIMER_SELF, (vaddr_t)area + j * PAGE, &j, sizeof j), E_BAD_ADDRESS);
        atomic_store(&stop, 1);
        primer_thread_join(&thread);
        for (unsigned j = 0; j < PAGES; j++)
            CHECK(*(uint32_t *)(area + j * PAGE) == 0 || *(uint32_t *)(area + j * PAGE) == j);
        test_unmap(area, PAGES * PAGE);
    }
    return NULL;
}

/* --- kill --- */

static void fault_for_ever(void *unused)
{
    (void)unused;
    status_t own = primer_vm_map(PRIMER_SELF, 0, PAGES * PAGE, RW, 0);
    atomic_fetch_add(&ready, 1);
    for (;;) {
        for (unsigned i = 0; i < PAGES; i++)
            *(volatile uint8_t *)(own + i * PAGE) = 1;
        primer_vm_unmap(PRIMER_SELF, (vaddr_t)own, PAGES * PAGE);
        own = primer_vm_map(PRIMER_SELF, (vaddr_t)own, PAGES * PAGE, RW, 0);     /* a sibling may be faster */
    }
}

/* The same in the kernel's copies: to this task's memory, from it, and both. */
static void copy_for_ever(void *unused)
{
    (void)unused;
    vaddr_t own = (vaddr_t)primer_vm_map(PRIMER_SELF, 0, PAGES * PAGE, RW, 0);
    atomic_fetch_add(&ready, 1);
    for (;;) {
        primer_info(PRIMER_INFO_SYSTEM, 0, (void *)(own + PAGE - 8), sizeof(struct primer_info_system));
        primer_vm_read(PRIMER_SELF, own + 2 * PAGE, (void *)(own + 5 * PAGE - 16), 2 * PAGE);
        primer_vm_write(PRIMER_SELF, own + 8 * PAGE, (void *)(own + 11 * PAGE - 16), 2 * PAGE);
        primer_address_wait((void *)(own + 14 * PAGE), 1, 0);
        primer_vm_unmap(PRIMER_SELF, own, PAGES * PAGE);
        own = (vaddr_t)primer_vm_map(PRIMER_SELF, own, PAGES * PAGE, RW, 0);
    }
}

static const char *kill_threads(void (*function)(void *))
{
    uint64_t random = 0x1234567;
    struct test_rounds rounds = {.most = ROUNDS};
    while (test_again(&rounds)) {
        struct primer_thread threads[3];
        atomic_store(&ready, 0);
        for (unsigned j = 0; j < ARRAY_SIZE(threads); j++)
            test_thread(&threads[j], function, NULL, 0);
        while (atomic_load(&ready) < ARRAY_SIZE(threads))
            primer_yield();
        primer_sleep(test_random(&random) % 700 * NS_PER_US);
        for (unsigned j = 0; j < ARRAY_SIZE(threads); j++)
            CHECK_STATUS(primer_kill(threads[j].handle), 0);
        for (unsigned j = 0; j < ARRAY_SIZE(threads); j++) {
            CHECK_STATUS(primer_wait(threads[j].handle, TEST_LIMIT), 0);
            primer_thread_join(&threads[j]);
        }
    }
    return NULL;
}

static const char *kill_thread_on_page(void) { return kill_threads(fault_for_ever); }
static const char *kill_thread_in_copy(void) { return kill_threads(copy_for_ever); }

static const char *busy_task(void)
{
    struct primer_thread threads[4];
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
        test_thread(&threads[i], i & 1 ? copy_for_ever : fault_for_ever, NULL, 0);
    fault_for_ever(NULL);
    return NULL;
}

static const char *kill_task_on_page(void)
{
    uint64_t random = 0x7654321;
    struct test_rounds rounds = {.most = ROUNDS};
    while (test_again(&rounds)) {
        uint64_t task = test_fork(busy_task);
        primer_sleep(test_random(&random) % 3000 * NS_PER_US);
        CHECK_STATUS(primer_kill(task), 0);
        CHECK_STATUS(test_wait(task), PRIMER_STATUS_KILLED);
    }
    return NULL;
}

/* Several threads wait for one page, and some of them are killed: the others see it done. */
static void join_page(void *number)
{
    while (!atomic_load(&go))
        primer_yield();
    area[(uintptr_t)number + 1] = 1;
    atomic_fetch_add(&ready, 1);
}

static const char *kill_some_that_join(void)
{
    struct test_rounds rounds = {.most = ROUNDS};
    while (test_again(&rounds)) {
        struct primer_thread threads[6];
        area = test_map(PAGES * PAGE);
        atomic_store(&go, 0);
        atomic_store(&ready, 0);
        for (uint64_t j = 0; j < ARRAY_SIZE(threads); j++)
            test_thread(&threads[j], join_page, (void *)j, 0);
        atomic_store(&go, 1);
        for (unsigned j = 0; j < ARRAY_SIZE(threads); j += 2)
            primer_kill(threads[j].handle);
        for (unsigned j = 0; j < ARRAY_SIZE(threads); j++) {
            CHECK_STATUS(primer_wait(threads[j].handle, TEST_LIMIT), 0);
            primer_thread_join(&threads[j]);
        }
        CHECK(atomic_load(&ready) >= ARRAY_SIZE(threads) / 2);
        for (unsigned j = 1; j < ARRAY_SIZE(threads); j += 2)
            CHECK(area[j + 1] == 1);
        test_unmap(area, PAGES * PAGE);
    }
    return NULL;
}

/* --- the end of a task, its requests being under way --- */

static void touch_and_end(void *number)
{
    if ((uintptr_t)number == 7)
        primer_task_exit(7);
    area[(uintptr_t)number * PAGE] = 1;
}

static const char *end_while_pending(void)
{
    area = test_map(PAGES * PAGE);
    for (uint64_t i = 0; i < 8; i++) {
        struct primer_thread thread;
        if (primer_thread_start(&thread, touch_and_end, (void *)i, 0) < 0)
            return "no thread";
    }
    primer_thread_exit();
}

static const char *end_pending(void)
{
    struct test_rounds rounds = {.most = ROUNDS};
    while (test_again(&rounds))
        CHECK_STATUS(test_wait(test_fork(end_while_pending)), 7);
    return NULL;
}

/* One thread kills itself out of a page wait, and it is the last: the request outlives its address space. */
static const char *end_kill_last(void)
{
    struct test_rounds rounds = {.most = ROUNDS};
    while (test_again(&rounds)) {
        uint64_t task = test_fork(end_while_pending);
        primer_yield();
        primer_kill(task);
        status_t status = test_wait(task);
        if (status != PRIMER_STATUS_KILLED && status != 7)
            return test_fail("round %u ended with %ld", rounds.done, status);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"unmap_io", unmap_io},
        {"remap_io", remap_io},
        {"fork_io_zero", fork_io_zero},
        {"fork_io_copy", fork_io_copy},
        {"protect_io", protect_io},
        {"kill_thread_on_page", kill_thread_on_page},
        {"kill_thread_in_copy", kill_thread_in_copy},
        {"kill_task_on_page", kill_task_on_page},
        {"kill_some_that_join", kill_some_that_join},
        {"end_pending", end_pending},
        {"end_kill_last", end_kill_last},
    };
    return test_main(cases, ARRAY_SIZE(cases), argc, argv);
}
