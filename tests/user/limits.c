/*
 * Running out: of frames, kernel memory, threads, tasks and handles, by account and by machine. Each way out gives its
 * named error, whoever has an account of his own goes on, and everything comes back. Cases whose names begin with
 * '_' are run by others, in a task on an account with limits.
 */
#include "tests/user/lib/test.h"

static const struct primer_limits small = {.frames = 600, .kernel_bytes = 96 * 1024, .threads = 20, .tasks = 12};

/* --- the children: each in an account with `small` limits --- */

static bool is_within(void)
{
    struct primer_limits used = test_account_used(), limit = test_account_limit();
    return used.frames <= limit.frames && used.kernel_bytes <= limit.kernel_bytes && used.threads <= limit.threads
           && used.tasks <= limit.tasks;
}

static const char *limited_frames(void)
{
    uint8_t *area = test_map(1000 * PAGE);
    status_t status = 0;
    unsigned got = 0;
    while (got < 1000 && (status = primer_vm_write(PRIMER_SELF, (vaddr_t)area + got * PAGE, "x", 1)) == 0)
        got++;
    CHECK_STATUS(status, E_QUOTA);
    CHECK(got > 300 && got < 600);
    CHECK(is_within());
    CHECK_STATUS(primer_task_clone(), E_QUOTA);         /* needs page tables */
    CHECK_STATUS(primer_task_create(NULL), E_QUOTA);
    test_unmap(area, 1000 * PAGE);
    area = test_map(300 * PAGE);
    for (unsigned i = 0; i < 300; i++)
        area[i * PAGE] = 1;                             /* what was given back is usable again */
    return NULL;
}

/* A plain store cannot return an error: it ends the task. */
static const char *limited_store(void)
{
    uint8_t *area = test_map(1000 * PAGE);
    for (unsigned i = 0; i < 1000; i++)
        area[i * PAGE] = 1;
    return "stored to more pages than the account has";
}

/* Copies of shared pages are charged as well. */
static const char *limited_copy(void)
{
    uint8_t *area = test_map(400 * PAGE);
    for (unsigned i = 0; i < 400; i++)
        area[i * PAGE] = 1;
    status_t child = primer_fork();
    if (child == 0) {
        for (unsigned i = 0; i < 400; i++)
            area[i * PAGE] = 2;
        primer_exit(1);                                  /* not reached */
    }
    CHECK(child > 0);
    CHECK_STATUS(test_wait((uint64_t)child), PRIMER_STATUS_FAULT);
    for (unsigned i = 0; i < 400; i++)
        CHECK(area[i * PAGE] == 1);
    CHECK(is_within());
    return NULL;
}

/* Ranges that do not merge, one kernel object each. */
static const char *limited_kernel_bytes(void)
{
    status_t status = 0;
    unsigned got = 0;
    while (got < 3000 && (status = primer_vm_map(PRIMER_SELF, 0, PAGE, got % 2 ? R : RW, 0)) >= 0)
        got++;
    CHECK_STATUS(status, E_QUOTA);
    CHECK(got > 100);
    CHECK_STATUS(primer_task_create(NULL), E_QUOTA);
    CHECK(is_within());
    return NULL;
}

static void sleep_long(void *unused)
{
    (void)unused;
    primer_sleep(PRIMER_FOREVER);
}

static const char *limited_threads(void)
{
    static struct primer_thread threads[64];
    status_t status = 0;
    unsigned got = 0;
    while (got < 64 && (status = primer_thread_start(&threads[got], sleep_long, NULL, 0)) == 0)
        got++;
    CHECK_STATUS(status, E_QUOTA);
    CHECK(got == small.threads - 1);
    CHECK(is_within());
    for (unsigned i = 0; i < got; i++) {
        primer_kill(threads[i].handle);
        primer_thread_join(&threads[i]);
    }
    for (unsigned round = 0; round < 200; round++) {     /* and the same threads over and over: nothing sticks */
        test_thread(&threads[0], sleep_long, NULL, 0);
        primer_kill(threads[0].handle);
        primer_thread_join(&threads[0]);
    }
    return NULL;
}

static const char *limited_tasks(void)
{
    uint64_t tasks[64];
    status_t status = 0;
    unsigned got = 0;
    while (got < 64 && (status = primer_task_create(NULL)) > 0)
        tasks[got++] = (uint64_t)status;
    CHECK_STATUS(status, E_QUOTA);
    CHECK(got == small.tasks - 1);
    for (unsigned i = 0; i < got; i++)
        CHECK_STATUS(primer_handle_close(tasks[i]), 0);
    CHECK(test_account_used().tasks == 1);
    return NULL;
}

/* A child account is taken out of its creator's, and can have no more than is left there. */
static const char *limited_children(void)
{
    struct primer_limits limit = test_account_limit(), all = limit;
    CHECK_STATUS(primer_task_create(&all), E_QUOTA);
    struct primer_limits one = {.frames = UINT64_MAX, .kernel_bytes = 1, .threads = 1, .tasks = 1};
    CHECK_STATUS(primer_task_create(&one), E_QUOTA);
    one = (struct primer_limits){.frames = 100, .kernel_bytes = UINT64_MAX - 10, .threads = 1, .tasks = 1};
    CHECK_STATUS(primer_task_create(&one), E_QUOTA);
    one = (struct primer_limits){.frames = 100, .kernel_bytes = 8192, .threads = 1, .tasks = 0};
    CHECK_STATUS(primer_task_create(&one), E_QUOTA);     /* room for no task, not even the first */
    one = (struct primer_limits){.frames = 0, .kernel_bytes = 8192, .threads = 1, .tasks = 1};
    CHECK_STATUS(primer_task_create(&one), E_QUOTA);
    struct primer_limits before = test_account_used();
    one = (struct primer_limits){.frames = 100, .kernel_bytes = 8192, .threads = 2, .tasks = 2};
    status_t task = primer_task_create(&one);
    CHECK(task > 0);
    struct primer_limits used = test_account_used();
    CHECK(used.frames >= before.frames + 100 && used.tasks >= before.tasks + 2 && used.threads >= before.threads + 2);
    status_t area = primer_vm_map((uint64_t)task, 0, 1000 * PAGE, RW, 0);
    status_t status = 0;
    unsigned got = 0;
    while (got < 1000 && (status = primer_vm_write((uint64_t)task, (vaddr_t)area + got * PAGE, "x", 1)) == 0)
        got++;
    CHECK_STATUS(status, E_QUOTA);
    CHECK(got > 80 && got < 100);
    CHECK(is_within());
    CHECK_STATUS(primer_handle_close((uint64_t)task), 0);
    CHECK(test_account_used().frames == before.frames);
    return NULL;
}

static void breed(void *unused)
{
    (void)unused;
    for (;;) {
        struct primer_thread *thread = (void *)primer_vm_map(PRIMER_SELF, 0, PAGE, RW, 0);
        if ((status_t)thread < 0 || primer_vm_write(PRIMER_SELF, (vaddr_t)thread, "x", 1) < 0
            || primer_thread_start(thread, breed, NULL, 0) < 0)
            primer_sleep(NS_PER_MS);
    }
}

static const char *thread_bomb(void)
{
    breed(NULL);
    return NULL;
}

static _Atomic uint32_t ran;

static void tell(void *unused)
{
    (void)unused;
    atomic_store(&ran, 1);
}

static NORETURN void tell_and_end(void)
{
    atomic_store(&ran, 1);
    primer_thread_exit();
}

/* A thread on a stack that is there already, so that the only memory it costs is the kernel's. */
static status_t bare_thread(void)
{
    static uint8_t stack[PAGE];
    status_t thread = primer_thread_create(PRIMER_SELF, (vaddr_t)tell_and_end, (vaddr_t)stack + PAGE - 8, 0, 0);
    if (thread > 0)
        primer_wait((uint64_t)thread, TEST_LIMIT);
    return thread;
}

/*
 * Takes all kernel memory, so that there is none for one more chunk of handles: then a thread to which nobody can have
 * a handle must not exist. Its one store would tell.
 */
static const char *limited_handles(void)
{
    CHECK(bare_thread() > 0);
    for (unsigned i = 0; primer_vm_map(PRIMER_SELF, 0, PAGE, i % 2 ? R : RX, 0) > 0;)
        i++;
    for (unsigned i = 0; i < 4096; i++) {
        atomic_store(&ran, 0);
        status_t status = bare_thread();
        if (status > 0)
            continue;
        CHECK_STATUS(status, E_QUOTA);
        primer_sleep(50 * NS_PER_MS);
        CHECK(!atomic_load(&ran));
        return NULL;
    }
    return "handles without end";
}

/*
 * Ended threads that somebody has a handle to keep their kernel stacks, which the account that made them has to pay
 * for: or one small account can have all the machine's stacks.
 */
static const char *hoard_threads(void)
{
    for (unsigned i = 0; i < 4090; i++) {
        status_t status = bare_thread();
        if (status < 0) {
            CHECK_STATUS(status, E_QUOTA);
            break;
        }
    }
    primer_sleep(NS_PER_S);
    return NULL;
}

/* --- the cases --- */

static const char *in_small_account(const char *name, status_t wanted)
{
    status_t task = test_spawn(name, 0, &small);
    CHECK(task > 0);
    status_t status = test_wait((uint64_t)task);
    return status == wanted ? NULL : test_fail("%s ended with %ld, not %ld", name, status, wanted);
}

static const char *frames(void)       { return in_small_account("_frames", 0); }
static const char *store(void)        { return in_small_account("_store", PRIMER_STATUS_FAULT); }
static const char *copy(void)         { return in_small_account("_copy", 0); }
static const char *kernel_bytes(void) { return in_small_account("_kernel_bytes", 0); }
static const char *threads(void)      { return in_small_account("_threads", 0); }
static const char *tasks(void)        { return in_small_account("_tasks", 0); }
static const char *children(void)     { return in_small_account("_children", 0); }
static const char *handles(void)      { return in_small_account("_handles", 0); }

/* While it hoards, others get threads as ever. */
static const char *hoard(void)
{
    static struct primer_thread many[20];
    status_t task = test_spawn("_hoard", 0, &small), status = 0;
    CHECK(task > 0);
    do {
        unsigned got = 0;
        while (got < ARRAY_SIZE(many) && (status = primer_thread_start(&many[got], tell, NULL, 0)) == 0)
            got++;
        for (unsigned i = 0; i < got; i++)
            primer_thread_join(&many[i]);
    } while (status == 0 && primer_wait((uint64_t)task, 2 * NS_PER_MS) == E_TIMEOUT);
    CHECK_STATUS(status, 0);
    CHECK_STATUS(test_wait((uint64_t)task), 0);
    return NULL;
}

/* A bomb in its account, and we compute on. */
static const char *bomb_of_threads(void)
{
    status_t task = test_spawn("_thread_bomb", 0, &small);
    CHECK(task > 0);
    uint64_t end = primer_clock() + NS_PER_S / 2, rounds = 0, state = 99;
    while (primer_clock() < end) {
        uint8_t *page = test_map(4 * PAGE);
        CHECK(page[PAGE] == 0);
        page[PAGE] = (uint8_t)test_random(&state);
        test_unmap(page, 4 * PAGE);
        rounds++;
    }
    CHECK(rounds > 10);
    CHECK_STATUS(primer_kill((uint64_t)task), 0);
    CHECK_STATUS(test_wait((uint64_t)task), PRIMER_STATUS_KILLED);
    return NULL;
}

/* Killing its first task would not end the others: this one ends by itself, after a while. */
static const char *bomb_of_forks(void)
{
    status_t task = test_spawn("_short_fork_bomb", 0, &small);
    CHECK(task > 0);
    CHECK_STATUS(test_wait((uint64_t)task), 0);
    return NULL;
}

static const char *short_fork_bomb(void)
{
    uint64_t end = primer_clock() + NS_PER_S / 2;
    bool failed = false;
    uint64_t children[32];
    unsigned count = 0;
    while (primer_clock() < end) {
        status_t child = primer_fork();
        if (child == 0)
            count = 0;                      /* the parent's children are not this one's */
        else if (child > 0 && count < ARRAY_SIZE(children))
            children[count++] = (uint64_t)child;
        else if (child > 0)
            primer_handle_close((uint64_t)child);
        else if (child == E_QUOTA)
            failed = true;
        else
            return test_fail("a fork gave %s", primer_error_name(child));
    }
    for (unsigned i = 0; i < count; i++)
        test_wait(children[i]);
    return failed || is_within() ? NULL : "a fork bomb without a limit";
}

/*
 * All the machine's memory, as far as this account reaches: an error, never a panic; and all of it comes back. Some
 * pages are given back at once, since this program, too, may need one.
 */
static const char *machine_memory(void)
{
    static uint64_t tasks[512];
    memset(tasks, 1, sizeof tasks);
    uint64_t most = test_account_limit().frames - test_account_used().frames + 100;
    uint8_t *area = test_map(most * PAGE);
    status_t status = 0;
    uint64_t got = 0;
    while (got < most && (status = primer_vm_write(PRIMER_SELF, (vaddr_t)area + got * PAGE, "x", 1)) == 0)
        got++;
    bool named = status == E_QUOTA || status == E_NO_MEMORY;
    test_unmap(area + (got - 64) * PAGE, 64 * PAGE);
    unsigned count = 0;
    while (count < ARRAY_SIZE(tasks) && (status = primer_task_create(NULL)) > 0)
        tasks[count++] = (uint64_t)status;
    named &= status == E_QUOTA || status == E_NO_MEMORY;
    for (unsigned i = 0; i < count; i++)
        primer_handle_close(tasks[i]);
    test_unmap(area, most * PAGE);
    CHECK(named);
    return NULL;
}

/* Ever more threads, killed as soon as they are there, at a priority at which they hardly run before. */
static const char *machine_threads(void)
{
    status_t status = 0;
    unsigned got = 0;
    static uint8_t stack[PAGE];             /* of all of them: they only push what they never look at again */
    vaddr_t entry = (vaddr_t)tell_and_end, sp = (vaddr_t)stack + PAGE - 8;
    while (got < 3000 && (status = primer_thread_create(PRIMER_SELF, entry, sp, 0, 1)) > 0) {
        primer_kill((uint64_t)status);
        got++;
    }
    CHECK(got > 100);
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"frames", frames},
        {"store", store},
        {"copy", copy},
        {"kernel_bytes", kernel_bytes},
        {"threads", threads},
        {"tasks", tasks},
        {"children", children},
        {"handles", handles},
        {"hoard", hoard},
        {"bomb_of_threads", bomb_of_threads},
        {"bomb_of_forks", bomb_of_forks},
        {"machine_memory", machine_memory},
        {"machine_threads", machine_threads},
        {"_frames", limited_frames},
        {"_store", limited_store},
        {"_copy", limited_copy},
        {"_kernel_bytes", limited_kernel_bytes},
        {"_threads", limited_threads},
        {"_tasks", limited_tasks},
        {"_children", limited_children},
        {"_handles", limited_handles},
        {"_hoard", hoard_threads},
        {"_thread_bomb", thread_bomb},
        {"_short_fork_bomb", short_fork_bomb},
    };
    return test_main(cases, ARRAY_SIZE(cases), argc, argv);
}
