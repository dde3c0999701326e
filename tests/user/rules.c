/*
 * Rules of docs/invariants.md that the other programs would not miss if they were broken: who is woken, who is
 * urgent, who pays, how long a step is, and what may not fail. tests/breaks/ breaks each of them to see that it is noticed.
 * Cases whose names begin with '_' are run by others, in a task on an account with limits.
 */
#include "tests/user/lib/test.h"

#define PAGES    16u
#define MANY     120u
#define PATIENCE (5 * NS_PER_S)             /* for what takes microseconds */

static uint8_t *area;
static _Atomic uint32_t go, stop;

static struct primer_info_system system_info(void)
{
    struct primer_info_system system;
    primer_must(primer_info(PRIMER_INFO_SYSTEM, 0, &system, sizeof system), "asking for the system's counts");
    return system;
}

static unsigned own_priority(void) { return (unsigned)primer_thread_priority(PRIMER_SELF, 0); }

/* --- INV-4: who sleeps on a page is woken when it is there, all of them and at once --- */

static void touch_first(void *number)
{
    while (!atomic_load(&go))
        primer_yield();
    area[(uintptr_t)number] = (uint8_t)((uintptr_t)number + 1);
}

static const char *joined_page(unsigned count)
{
    struct primer_thread *threads = test_map(align_up(count * sizeof *threads, PAGE));
    area = test_map(PAGE);
    atomic_store(&go, 0);
    for (uint64_t i = 0; i < count; i++)
        test_thread(&threads[i], touch_first, (void *)i, 0);
    atomic_store(&go, 1);
    for (unsigned i = 0; i < count; i++)
        if (primer_wait(threads[i].handle, PATIENCE) != 0)
            return test_fail("thread %u of %u still sleeps on the page", i, count);
    for (unsigned i = 0; i < count; i++) {
        primer_thread_join(&threads[i]);
        CHECK(area[i] == (uint8_t)(i + 1));
    }
    test_unmap(area, PAGE);
    test_unmap(threads, align_up(count * sizeof *threads, PAGE));
    return NULL;
}

static const char *all_wake(void)
{
    struct test_rounds rounds = {.most = 30};
    while (test_again(&rounds))
        CHECK_CASE(joined_page(20));
    return NULL;
}

/* --- INV-5: a page whose frame is paid for comes, though the account has nothing else left --- */

static const char *touch_without_kernel_memory(void)
{
    area = test_map(PAGES * PAGE);
    for (unsigned i = 0; primer_vm_map(PRIMER_SELF, 0, PAGE, i % 2 ? R : RX, 0) > 0;)
        i++;
    for (unsigned i = 0; i < PAGES; i++)
        CHECK_STATUS(primer_vm_write(PRIMER_SELF, (vaddr_t)area + i * PAGE, "x", 1), 0);
    return NULL;
}

static const char *page_needs_a_frame_only(void)
{
    static const struct primer_limits small = {.frames = 600, .kernel_bytes = 64 * 1024, .threads = 4, .tasks = 2};
    status_t task = test_spawn("_touch_without_kernel_memory", 0, &small);
    CHECK(task > 0);
    CHECK_STATUS(test_wait((uint64_t)task), 0);
    return NULL;
}

/* --- INV-8: no step is long, however much there is to do --- */

#define IRQOFF_MAX 5000u                    /* instructions, as in all.c */

/* Judged only where a nanosecond is an instruction. The maximum is since boot, so this is sharpest with one case per boot. */
static const char *check_irqoff(void)
{
    struct primer_info_system system = system_info();
    bool counted = system.tsc_hz > 999000000 && system.tsc_hz < 1001000000;
    if (!DEBUG || !counted || system.irqoff_max_ns <= IRQOFF_MAX)
        return NULL;
    return test_fail("interrupts were off for %lu instructions, more than %u", system.irqoff_max_ns, IRQOFF_MAX);
}

static const char *short_wakes(void)
{
    CHECK_CASE(joined_page(MANY));
    return check_irqoff();
}

/* Two full leaf tables. */
#define DENSE 1024u

static const char *nothing(void) { return NULL; }

static const char *short_clones(void)
{
    area = test_map(DENSE * PAGE);
    memset(area, 1, DENSE * PAGE);
    CHECK_CASE(test_child(nothing, 0));
    return check_irqoff();
}

static const char *short_unmaps(void)
{
    area = test_map(DENSE * PAGE);
    memset(area, 1, DENSE * PAGE);
    test_unmap(area, DENSE * PAGE);
    return check_irqoff();
}

/* --- INV-9: the worker is as urgent as the most urgent who waits, and his time is charged to whom he serves --- */

#define SPIN_FOR (4 * NS_PER_S)             /* who starves a worker gives up after that, so that the case ends */
#define TOO_LONG (2 * NS_PER_S)

static uint64_t spin_until;

static void spin(void *unused)
{
    (void)unused;
    for (uint64_t i = 1; !atomic_load(&stop) && (i % 1024 || primer_clock() < spin_until); i++)
        ;
}

/* Busy threads of a priority on every CPU, and one to spare. */
struct spinners { struct primer_thread threads[65]; unsigned count; };

static void start_spinners(struct spinners *spinners, unsigned prio)
{
    spin_until = primer_clock() + SPIN_FOR;
    spinners->count = (unsigned)min_u64(test_cpus() + 1, ARRAY_SIZE(spinners->threads));
    for (unsigned i = 0; i < spinners->count; i++)
        test_thread(&spinners->threads[i], spin, NULL, prio);
}

static void stop_spinners(struct spinners *spinners)
{
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < spinners->count; i++)
        primer_thread_join(&spinners->threads[i]);
}

static const char *urgent_fault(void)
{
    static struct spinners spinners;
    area = test_map(PAGES * PAGE);
    CHECK(own_priority() > 2);
    start_spinners(&spinners, own_priority() - 1);
    uint64_t start = primer_clock();
    for (unsigned i = 0; i < PAGES; i++)
        area[i * PAGE] = 1;
    uint64_t took = primer_clock() - start;
    stop_spinners(&spinners);
    return took < TOO_LONG ? NULL : test_fail("pages took %lu ms because others of lower priority compute", took / NS_PER_MS);
}

static void touch(void *page) { *(volatile uint8_t *)page = 1; }

/* Somebody of low priority asks for the page first; `pinit.delay=` makes sure that it is not there yet when we join. */
static const char *urgent_join(void)
{
    static struct spinners spinners;
    struct primer_thread low;
    if (system_info().inline_mode)
        return NULL;                        /* nothing is inherited there */
    area = test_map(PAGE);
    CHECK(own_priority() > 3);
    test_thread(&low, touch, area, 1);
    primer_sleep(NS_PER_MS);
    start_spinners(&spinners, own_priority() - 1);
    uint64_t start = primer_clock();
    touch(area + 1);
    uint64_t took = primer_clock() - start;
    stop_spinners(&spinners);
    primer_thread_join(&low);
    return took < TOO_LONG ? NULL : test_fail("the page took %lu ms because others of lower priority compute", took / NS_PER_MS);
}

/* The youngest task is this one; nobody else makes any meanwhile. */
static const char *time_is_charged(void)
{
    struct primer_info_task task = {0};
    struct primer_info_thread thread = {0};
    if (system_info().inline_mode)
        return NULL;                        /* there the thread fills its pages itself */
    area = test_map(16 * PAGES * PAGE);
    for (unsigned i = 0; i < 16 * PAGES; i++)
        area[i * PAGE] = 1;
    for (uint64_t id = 0; primer_info(PRIMER_INFO_THREAD, id, &thread, sizeof thread) > 0; id = thread.id + 1)
        ;
    for (uint64_t id = 0; primer_info(PRIMER_INFO_TASK, id, &task, sizeof task) > 0; id = task.id + 1)
        ;
    CHECK(thread.task == task.id);
    uint64_t workers = task.cpu_ns > thread.cpu_ns ? task.cpu_ns - thread.cpu_ns : 0;
    if (workers < 16 * PAGES * 200)
        return test_fail("filling %u pages cost the task %lu ns", 16 * PAGES, workers);
    return NULL;
}

/* --- nobody reaches a page that was unmapped, on this CPU or another --- */

static const char *touch_unmapped(void)
{
    area = test_map(PAGE);
    test_touch(area);
    test_unmap(area, PAGE);
    test_touch(area);
    return "a page can be reached after it was unmapped";
}

static void read_for_ever(void *unused)
{
    (void)unused;
    atomic_store(&go, 1);
    while (!atomic_load(&stop))
        test_touch(area);
}

static const char *unmapped_elsewhere(void)
{
    struct primer_thread thread;
    area = test_map(PAGE);
    test_thread(&thread, read_for_ever, NULL, 0);
    while (!atomic_load(&go))
        primer_yield();
    test_unmap(area, PAGE);
    primer_sleep(PATIENCE);
    atomic_store(&stop, 1);
    return "another thread can reach a page after it was unmapped";
}

static const char *unmapped_is_gone(void)
{
    CHECK_CASE(test_child(touch_unmapped, PRIMER_STATUS_FAULT));
    CHECK_CASE(test_child(unmapped_elsewhere, PRIMER_STATUS_FAULT));
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"all_wake", all_wake},
        {"page_needs_a_frame_only", page_needs_a_frame_only},
        {"short_wakes", short_wakes},
        {"short_clones", short_clones},
        {"short_unmaps", short_unmaps},
        {"urgent_fault", urgent_fault},
        {"urgent_join", urgent_join},
        {"time_is_charged", time_is_charged},
        {"unmapped_is_gone", unmapped_is_gone},
        {"_touch_without_kernel_memory", touch_without_kernel_memory},
    };
    return test_main(cases, ARRAY_SIZE(cases), argc, argv);
}
