/*
 * What the in-guest tests share. A test program has named cases; each runs in a task of its own, so that a fault
 * or a hang fails one case and not the program, and afterwards everything must be back: free frames, tasks,
 * threads, and what the account has in use.
 */
#ifndef TESTS_USER_LIB_TEST_H
#define TESTS_USER_LIB_TEST_H

#include "user/lib/primer.h"

#define RW   (PRIMER_PROT_READ | PRIMER_PROT_WRITE)
#define R    PRIMER_PROT_READ
#define RX   (PRIMER_PROT_READ | PRIMER_PROT_EXEC)
#define PAGE PAGE_SIZE

#define TEST_LIMIT (120 * NS_PER_S)     /* guest time for anything to end that must end */

/* A case returns NULL, or why it failed: text that lasts until its task ends. */
typedef const char *test_function(void);

struct test_case {
    const char *name;
    test_function *run;
};

/*
 * main() of a test program: runs the cases that argv names, or all. Prints a line for each and a summary; 0 only
 * if some ran and all passed.
 */
int test_main(const struct test_case *cases, unsigned count, int argc, char **argv);

/* For a case's own use: `return test_fail(...)`. */
PRINTF(1, 2) const char *test_fail(const char *format, ...);

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        if (!(condition))                                                                 \
            return test_fail("line %d: not so: %s", __LINE__, #condition);                \
    } while (0)

/* Both are evaluated once. */
#define CHECK_STATUS(call, wanted)                                                        \
    do {                                                                                  \
        status_t test_got = (call), test_wanted = (wanted);                               \
        if (test_got != test_wanted)                                                      \
            return test_fail("line %d: %s gave %ld (%s), not %ld", __LINE__, #call, test_got,  \
                             primer_error_name(test_got), test_wanted);                   \
    } while (0)

/* Hands a failure on. */
#define CHECK_CASE(call)                                                                  \
    do {                                                                                  \
        const char *test_reason = (call);                                                 \
        if (test_reason)                                                                  \
            return test_reason;                                                           \
    } while (0)

/* --- tasks and threads: run.c --- */

#define TEST_STATUS_FAILED 99           /* of a task that test_fork() started: its function gave a reason */

/* Runs `function` in a clone of this task; a reason is printed there. A handle to the task; ends the caller if that fails. */
uint64_t test_fork(test_function *function);
/* Waits for a task or thread, closes the handle, and hands on its status; E_TIMEOUT: it was killed after TEST_LIMIT. */
status_t test_wait(uint64_t handle);
/* Both; and what became of it must be `status`. */
const char *test_child(test_function *function, status_t status);

/*
 * The same for a task on an account of its own with `limits`: this program started anew, as `PROGRAM =NAME NUMBER`, which
 * calls the case of that name and nothing else. A handle or an error. `number` is what test_number() gives there.
 */
status_t MUST_CHECK test_spawn(const char *name, uint64_t number, const struct primer_limits *limits);
uint64_t test_number(void);

/* A thread that must start. */
void test_thread(struct primer_thread *thread, void (*function)(void *), void *argument, unsigned prio);
/* `count` threads run function(i), i from 0; returns when all have ended. */
void test_threads(unsigned count, void (*function)(void *));

/* --- the machine's counts: counts.c --- */

struct test_counts { uint64_t frames, tasks, threads; struct primer_limits used; };

struct test_counts test_counts(void);
/* Waits a while for the counts to be `before` again. NULL, or what is missing. */
const char *test_settle(const struct test_counts *before);
struct primer_limits test_account_limit(void);
struct primer_limits test_account_used(void);
unsigned test_cpus(void);

/* --- memory, numbers --- */

void *test_map(uint64_t len);
void test_unmap(void *address, uint64_t len);
static inline void test_touch(void *address) { *(volatile uint8_t *)address = *(volatile uint8_t *)address; }
/*
 * For loops that make a race likely, on slow machines too: at most `most` rounds, and no more after two seconds, but at
 * least three. All-zero otherwise: `struct test_rounds rounds = {.most = 40}; while (test_again(&rounds))`.
 */
struct test_rounds { unsigned most, done; uint64_t end; };
bool test_again(struct test_rounds *rounds);
/* The next of a sequence that `state` (not 0) begins: xorshift64*, by Marsaglia and Vigna. */
uint64_t test_random(uint64_t *state);

#endif
