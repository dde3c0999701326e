/*
 * The frame around test cases: runs each in a clone of the program, with a time limit, and compares the machine's
 * counts before and after. The runner itself has one thread and no lock.
 */
#include "tests/user/lib/test.h"

static const char *program;                 /* argv[0], for test_spawn() */
static uint64_t spawn_number;

const char *test_fail(const char *format, ...)
{
    static char texts[8][256];              /* threads of one case may fail at the same time */
    static _Atomic unsigned next;
    char *text = texts[atomic_fetch_add(&next, 1) % ARRAY_SIZE(texts)];
    va_list args;
    va_start(args, format);
    format_v(text, sizeof texts[0], format, args);
    va_end(args);
    return text;
}

static int call(test_function *function)
{
    const char *reason = function();
    if (reason)
        print("  %s\n", reason);
    return reason ? TEST_STATUS_FAILED : 0;
}

uint64_t test_fork(test_function *function)
{
    status_t task = primer_must(primer_fork(), "a fork");
    if (task == 0)
        primer_exit(call(function));
    return (uint64_t)task;
}

status_t test_wait(uint64_t handle)
{
    status_t status = primer_wait(handle, TEST_LIMIT);
    if (status == E_TIMEOUT) {
        primer_kill(handle);
        primer_wait(handle, TEST_LIMIT);
    }
    primer_handle_close(handle);
    return status;
}

const char *test_child(test_function *function, status_t status)
{
    status_t got = test_wait(test_fork(function));
    if (got == status)
        return NULL;
    return got == E_TIMEOUT ? "a child does not end" : test_fail("a child ended with status %ld, not %ld", got, status);
}

status_t test_spawn(const char *name, uint64_t number, const struct primer_limits *limits)
{
    char path[64], word[64], digits[24];
    format(path, sizeof path, "%s", program);
    format(word, sizeof word, "=%s", name);
    format(digits, sizeof digits, "%lu", number);
    char *argv[] = {path, word, digits, NULL};
    const char *reason;
    return primer_spawn(program, 3, argv, limits, 0, &reason);
}

uint64_t test_number(void) { return spawn_number; }

void test_thread(struct primer_thread *thread, void (*function)(void *), void *argument, unsigned prio)
{
    primer_must(primer_thread_start(thread, function, argument, prio), "starting a thread");
}

void test_threads(unsigned count, void (*function)(void *))
{
    struct primer_thread *threads = primer_must_map(align_up(count * sizeof *threads, PAGE));
    for (unsigned i = 0; i < count; i++)
        test_thread(&threads[i], function, (void *)(uintptr_t)i, 0);
    for (unsigned i = 0; i < count; i++)
        primer_thread_join(&threads[i]);
    test_unmap(threads, align_up(count * sizeof *threads, PAGE));
}

void *test_map(uint64_t len) { return primer_must_map(len); }

void test_unmap(void *address, uint64_t len)
{
    primer_must(primer_vm_unmap(PRIMER_SELF, (vaddr_t)address, len), "unmapping");
}

bool test_again(struct test_rounds *rounds)
{
    uint64_t now = primer_clock();
    if (rounds->done == 0)
        rounds->end = now + 2 * NS_PER_S;
    return rounds->done++ < min_u64(rounds->most, now < rounds->end ? rounds->most : 3);
}

uint64_t test_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

static const char *nothing(void) { return NULL; }

static bool run_case(const struct test_case *test)
{
    struct test_counts before = test_counts();
    uint64_t started = primer_clock();
    const char *reason = test_child(test->run, 0);
    uint64_t ms = (primer_clock() - started) / NS_PER_MS;
    const char *missing = test_settle(&before);
    if (!reason)
        reason = missing;
    if (reason)
        print("FAIL %s: %s\n", test->name, reason);
    else
        print("ok %s (%lu ms)\n", test->name, ms);
    return !reason;
}

static bool is_wanted(const char *name, int argc, char **argv)
{
    bool wanted = argc < 2;
    for (int i = 1; i < argc; i++)
        wanted |= strcmp(argv[i], name) == 0;
    return wanted;
}

int test_main(const struct test_case *cases, unsigned count, int argc, char **argv)
{
    program = argv[0];
    if (argc == 3 && argv[1][0] == '=' && parse_u64(argv[2], &spawn_number)) {
        for (unsigned i = 0; i < count; i++)
            if (strcmp(cases[i].name, argv[1] + 1) == 0)
                return call(cases[i].run);
        return TEST_STATUS_FAILED;
    }
    /* What the runner touches for the first time would be missing after the first case. */
    for (unsigned i = 0; i < 2; i++)
        test_child(nothing, 0);
    unsigned passed = 0, failed = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!is_wanted(cases[i].name, argc, argv) || cases[i].name[0] == '_')
            continue;
        if (run_case(&cases[i]))
            passed++;
        else
            failed++;
    }
    print("%s: %u passed, %u failed\n", argv[0], passed, failed);
    return passed == 0 || failed > 0;
}
