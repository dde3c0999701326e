/*
 * Rules of docs/invariants.md that the other programs would not miss if they were broken: who is woken, who
 * is urgent, who pays, how long a step is, what a clone sees, and what may not fail. tests/breaks/ breaks
 * each of them to see that it is noticed. Cases whose names begin with '_' are run by others, in a task on
 * an account with limits.
 */
#include "tests/user/lib/test.h"

#define PAGES    16u
#define MANY     120u
#define PATIENCE (20 * NS_PER_S)            /* for what takes microseconds */

static uint8_t *area;
static _Atomic uint32_t go, stop;

static struct primer_info_system system_info(void)
{
    struct primer_info_system system;
    primer_must(primer_info(PRIMER_INFO_SYSTEM, 0, &system, sizeof system), "asking for the system's counts");
    return system;
}

static unsigned own_priority(void) { return (unsigned)primer_thread_priority(PRIMER_SELF, 0); }

/* --- threads that touch no page by themselves: their stacks are there already --- */

struct bare { uint64_t handle; uint8_t *stack; };

/* It stays for the next thread in the same place. */
static void give_stack(struct bare *thread)
{
    if (thread->stack)
        return;
    thread->stack = test_map(PAGE);
    thread->stack[PAGE - 1] = 1;
}

static void start_bare(struct bare *thread, void (*entry)(uint64_t), uint64_t argument, unsigned prio)
{
    give_stack(thread);
    vaddr_t top = (vaddr_t)thread->stack + PAGE - 8;
    status_t handle = primer_thread_create(PRIMER_SELF, (vaddr_t)entry, top, argument, prio);
    thread->handle = (uint64_t)primer_must(handle, "starting a thread");
}

/* False: it has not ended within reason. */
static bool end_bare(struct bare *thread)
{
    if (primer_wait(thread->handle, PATIENCE) != 0)
        return false;
    primer_handle_close(thread->handle);
    return true;
}

/* --- INV-4: who sleeps on a page is woken when it is there, all of them and at once --- */

static uint64_t spread;                     /* between one's touch and the next one's, in ns */

static void touch_first(uint64_t number)
{
    while (!atomic_load(&go))
        primer_address_wait(&go, 0, PRIMER_FOREVER);
    if (spread)
        primer_sleep(number * spread);
    area[number] = (uint8_t)(number + 1);
    primer_thread_exit();
}

static const char *joined_page(unsigned count)
{
    static struct bare threads[MANY];
    area = test_map(PAGE);
    atomic_store(&go, 0);
    for (unsigned i = 0; i < count; i++)
        start_bare(&threads[i], touch_first, i, 0);
    atomic_store(&go, 1);
    primer_address_wake(&go, UINT32_MAX);
    for (unsigned i = 0; i < count; i++)
        if (!end_bare(&threads[i]))
            return test_fail("thread %u of %u still sleeps on the page", i, count);
    for (unsigned i = 0; i < count; i++)
        CHECK(area[i] == (uint8_t)(i + 1));
    test_unmap(area, PAGE);
    return NULL;
}

/* All at once, and one after the other. */
static const char *all_wake(void)
{
    struct test_rounds rounds = {.most = 20};
    while (test_again(&rounds)) {
        spread = rounds.done % 2 ? 0 : 200 * NS_PER_US;
        CHECK_CASE(joined_page(20));
    }
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
    static const struct primer_limits small = {
        .frames = 600, .kernel_bytes = 64 * 1024, .threads = 4, .tasks = 2,
    };
    status_t task = test_spawn("_touch_without_kernel_memory", 0, &small);
    CHECK(task > 0);
    CHECK_STATUS(test_wait((uint64_t)task), 0);
    return NULL;
}

/* --- INV-8: no step is long, however much there is to do --- */

#define IRQOFF_MAX 5000u                    /* instructions, as in all.c */
#define DENSE      1024u                    /* pages: two full leaf tables */

/*
 * Judged only where a nanosecond is an instruction. The kernel tells the longest stretch since boot, so this
 * is sharpest with one case per boot, and what was before is not the case's doing.
 */
static const char *check_irqoff(const struct primer_info_system *before)
{
    struct primer_info_system now = system_info();
    bool counted = now.tsc_hz > 999000000 && now.tsc_hz < 1001000000;
    if (!DEBUG || !counted || now.irqoff_max_ns <= max_u64(IRQOFF_MAX, before->irqoff_max_ns))
        return NULL;
    return test_fail("interrupts were off for %lu instructions", now.irqoff_max_ns);
}

static const char *short_wakes(void)
{
    struct primer_info_system before = system_info();
    CHECK_CASE(joined_page(MANY));
    return check_irqoff(&before);
}

static const char *nothing(void) { return NULL; }

static const char *short_clones(void)
{
    struct primer_info_system before = system_info();
    memset(test_map(DENSE * PAGE), 1, DENSE * PAGE);
    CHECK_CASE(test_child(nothing, 0));
    return check_irqoff(&before);
}

static const char *short_unmaps(void)
{
    struct primer_info_system before = system_info();
    area = test_map(DENSE * PAGE);
    memset(area, 1, DENSE * PAGE);
    test_unmap(area, DENSE * PAGE);
    return check_irqoff(&before);
}

/* --- INV-9: the worker is as urgent as the most urgent who waits, and costs whom he serves --- */

#define SPIN_FOR (600 * NS_PER_MS)          /* who starves a worker gives up then, so that the case ends */

static uint64_t spin_until;
static _Atomic uint32_t spin_now;

static void spin(uint64_t unused)
{
    (void)unused;
    primer_address_wait(&spin_now, 0, PRIMER_FOREVER);
    for (uint64_t i = 1; !atomic_load(&stop) && (i % 1024 || primer_clock() < spin_until); i++)
        ;
    primer_thread_exit();
}

/* Threads of our priority less one, as many as there are CPUs and one more; they sleep until told. */
static struct bare spinners[65];
static unsigned spinner_count;

static void make_spinners(void)
{
    spinner_count = (unsigned)min_u64(test_cpus() + 1, ARRAY_SIZE(spinners));
    for (unsigned i = 0; i < spinner_count; i++)
        start_bare(&spinners[i], spin, 0, own_priority() - 1);
    primer_sleep(20 * NS_PER_MS);
}

static void start_spinners(void)
{
    spin_until = primer_clock() + SPIN_FOR;
    atomic_store(&spin_now, 1);
    primer_address_wake(&spin_now, UINT32_MAX);
}

static const char *took_too_long(uint64_t start)
{
    uint64_t took = primer_clock() - start;
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < spinner_count; i++)
        CHECK(end_bare(&spinners[i]));
    if (took < SPIN_FOR)
        return NULL;
    return test_fail("it took %lu ms because others of lower priority compute", took / NS_PER_MS);
}

static const char *urgent_fault(void)
{
    area = test_map(PAGES * PAGE);
    CHECK(own_priority() > 2);
    make_spinners();
    start_spinners();
    uint64_t start = primer_clock();
    for (unsigned i = 0; i < 4; i++)
        area[i * PAGE] = 1;
    return took_too_long(start);
}

/* Says that it is about to touch the page, and does. */
static void tell_and_touch(uint64_t unused)
{
    (void)unused;
    atomic_store(&go, 1);
    area[0] = 1;
    primer_thread_exit();
}

/* With `pinit.delay=` the page is io afterwards. */
static void start_touching(struct bare *thread, unsigned prio)
{
    atomic_store(&go, 0);
    start_bare(thread, tell_and_touch, 0, prio);
    while (!atomic_load(&go))
        primer_sleep(100 * NS_PER_US);
    primer_sleep(100 * NS_PER_US);
}

/*
 * Somebody of low priority has asked for the page; `pinit.delay=` makes sure that it is not there yet when
 * we join.
 */
static const char *urgent_join(void)
{
    static struct bare low;
    if (system_info().inline_mode)
        return NULL;                        /* nothing is inherited there */
    area = test_map(PAGE);
    CHECK(own_priority() > 3);
    make_spinners();
    start_touching(&low, 1);
    start_spinners();
    uint64_t start = primer_clock();
    area[1] = 1;
    CHECK_CASE(took_too_long(start));
    CHECK(end_bare(&low));
    return NULL;
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

/* --- INV-11: for a clone, an io page is what it is being made from --- */

static const char *clone_of_io(uint8_t before)
{
    static struct bare thread;
    static uint8_t seen[PAGE];
    area = test_map(PAGE);
    memset(seen, 1, PAGE);
    if (before) {
        memset(area, before, PAGE);
        primer_must(primer_task_clone(), "a clone");        /* so that the next write copies */
        memset(seen, 1, PAGE);              /* else the kernel's write to it would wait for a copy */
    }
    start_touching(&thread, 0);
    status_t clone = primer_must(primer_task_clone(), "a clone");
    CHECK_STATUS(primer_vm_read((uint64_t)clone, (vaddr_t)area, seen, PAGE), 0);
    CHECK(end_bare(&thread));
    CHECK(area[0] == 1 && area[1] == before);
    CHECK(seen[0] == before || seen[0] == 1);
    for (unsigned i = 1; i < PAGE; i++)
        if (seen[i] != before)
            return test_fail("byte %u of the clone's page is 0x%x, not 0x%x", i, seen[i], before);
    return NULL;
}

static const char *clone_of_zeroed(void) { return clone_of_io(0); }
static const char *clone_of_copied(void) { return clone_of_io(0x55); }

/* --- INV-12: a thread that was killed in its sleep is on no list, and does not see user mode again --- */

#define SLEEP (20 * NS_PER_MS)

static _Atomic uint64_t slept;

static void sleep_measured(uint64_t unused)
{
    (void)unused;
    uint64_t start = primer_clock();
    primer_sleep(SLEEP);
    atomic_store(&slept, primer_clock() - start);
    primer_thread_exit();
}

/* The next thread is made where the killed one was; the page comes while it sleeps. */
static const char *killed_leaves(void)
{
    static struct bare first, second;
    for (unsigned round = 0; round < 5; round++) {
        area = test_map(PAGE);
        give_stack(&second);
        start_touching(&first, 0);
        CHECK_STATUS(primer_kill(first.handle), 0);
        CHECK(end_bare(&first));
        start_bare(&second, sleep_measured, 0, 0);
        CHECK(end_bare(&second));
        if (atomic_load(&slept) < SLEEP)
            return test_fail("a sleep of %lu us ended after %lu us", SLEEP / 1000,
                             atomic_load(&slept) / 1000);
        test_unmap(area, PAGE);
    }
    return NULL;
}

static _Atomic uint32_t came_back;

static void sleep_and_tell(uint64_t unused)
{
    (void)unused;
    primer_sleep(PRIMER_FOREVER);
    atomic_store(&came_back, 1);
    primer_thread_exit();
}

static _Atomic uint64_t counter;

static void count_for_ever(uint64_t unused)
{
    (void)unused;
    for (;;)
        atomic_fetch_add(&counter, 1);
}

/* One that sleeps, and one that computes; with one CPU it is off it while we kill it, and counts no more. */
static const char *killed_is_gone(void)
{
    static struct bare thread;
    atomic_store(&came_back, 0);
    start_bare(&thread, sleep_and_tell, 0, 0);
    primer_sleep(NS_PER_MS);
    CHECK_STATUS(primer_kill(thread.handle), 0);
    CHECK(end_bare(&thread) && !atomic_load(&came_back));

    atomic_store(&counter, 0);
    start_bare(&thread, count_for_ever, 0, 0);
    while (!atomic_load(&counter))
        primer_yield();
    uint64_t before = atomic_load(&counter);
    CHECK_STATUS(primer_kill(thread.handle), 0);
    CHECK(end_bare(&thread));
    CHECK(test_cpus() > 1 || atomic_load(&counter) == before);
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
    primer_sleep(4 * NS_PER_S);
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
        {"clone_of_zeroed", clone_of_zeroed},
        {"clone_of_copied", clone_of_copied},
        {"killed_leaves", killed_leaves},
        {"killed_is_gone", killed_is_gone},
        {"unmapped_is_gone", unmapped_is_gone},
        {"_touch_without_kernel_memory", touch_without_kernel_memory},
    };
    return test_main(cases, ARRAY_SIZE(cases), argc, argv);
}
