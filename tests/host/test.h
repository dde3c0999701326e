/*
 * Unit tests on the build machine. TEST(name) { ... } registers itself; each case runs in a child process of its own, so that
 * it may crash, and so that the kernel's static state is fresh. A failed CHECK, an unexpected panic() or a sanitizer's report
 * fails the case.
 */
#ifndef TESTS_HOST_TEST_H
#define TESTS_HOST_TEST_H

#include <setjmp.h>
#include "kernel/panic.h"
#include "kernel/types.h"

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

void test_register(struct test *test);

/* Prints the reason and ends the case. */
NORETURN PRINTF(1, 2) void test_fail(const char *format, ...);

#define TEST(id)                                                                        \
    static void test_##id(void);                                                        \
    __attribute__((constructor)) static void register_##id(void)                        \
    {                                                                                   \
        static struct test test = {#id, test_##id, NULL};                               \
        test_register(&test);                                                           \
    }                                                                                   \
    static void test_##id(void)

#define CHECK(condition)                                                                \
    do {                                                                                \
        if (!(condition))                                                               \
            test_fail("%s:%d: %s", __FILE__, __LINE__, #condition);                     \
    } while (0)

/* Two integers, shown if they differ. */
#define CHECK_EQ(a, b)                                                                  \
    do {                                                                                \
        unsigned long long a_ = (unsigned long long)(a), b_ = (unsigned long long)(b);  \
        if (a_ != b_)                                                                   \
            test_fail("%s:%d: %s is %llu, not %llu", __FILE__, __LINE__, #a, a_, b_);   \
    } while (0)

/* The statement must panic with a message that contains `text`. */
extern jmp_buf *test_panic_jump;
bool test_panic_said(const char *text);
#define CHECK_PANIC(statement, text)                                                    \
    do {                                                                                \
        jmp_buf jump_;                                                                  \
        test_panic_jump = &jump_;                                                       \
        if (setjmp(jump_) == 0) {                                                       \
            statement;                                                                  \
            test_fail("%s:%d: no panic: %s", __FILE__, __LINE__, #statement);           \
        }                                                                               \
        test_panic_jump = NULL;                                                         \
        CHECK(test_panic_said(text));                                                   \
    } while (0)

/* Repeatable random numbers (xorshift64*). */
struct random { uint64_t state; };
static inline uint64_t random_next(struct random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * 0x2545f4914f6cdd1dull;
}
static inline uint64_t random_below(struct random *r, uint64_t n) { return (random_next(r) >> 16) % n; }

#endif
