/* kernel/format.c: against the C library's snprintf() where the two must agree, and cut-off output. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "kernel/log.h"
#include "test.h"

/* Both must write the same and return the same. */
#define SAME(...)                                                                       \
    do {                                                                                \
        char ours_[200], theirs_[200];                                                  \
        int a_ = format(ours_, sizeof(ours_), __VA_ARGS__);                             \
        int b_ = snprintf(theirs_, sizeof(theirs_), __VA_ARGS__);                       \
        if (a_ != b_ || strcmp(ours_, theirs_) != 0)                                    \
            test_fail("%s:%d: \"%s\", not \"%s\"", __FILE__, __LINE__, ours_, theirs_); \
    } while (0)

TEST(format_numbers)
{
    static const long long values[] = {0, 1, -1, 9, 10, 42, -42, INT_MAX, INT_MIN, UINT_MAX, LLONG_MAX, LLONG_MIN};
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        long long v = values[i];
        SAME("%d %i %u %x", (int)v, (int)v, (unsigned)v, (unsigned)v);
        SAME("%ld %lu %lx %lld %llu %llx", (long)v, (unsigned long)v, (unsigned long)v, v, (unsigned long long)v,
             (unsigned long long)v);
        SAME("%zu|%zx", (size_t)v, (size_t)v);
        SAME("[%5d|%-5d|%05d|%25lld|%-25lld|%025lld]", (int)v, (int)v, (int)v, v, v, v);
        SAME("[%016llx|%3x|%-10x|%10u]", (unsigned long long)v, (unsigned)v, (unsigned)v, (unsigned)v);
    }
    SAME("%*d|%-*d|%*d", 8, 5, 8, 5, -8, 5);
    SAME("100%%");
}

TEST(format_text)
{
    SAME("%s and %s", "one", "");
    SAME("[%10s|%-10s|%.2s|%10.3s|%.*s|%*s]", "abc", "abc", "abc", "abcdef", 2, "xyz", 6, "w");
    SAME("[%c|%3c|%-3c]", 'a', 'b', 'c');
    static const char unterminated[3] = {'x', 'y', 'z'};
    SAME("%.3s", unterminated);
    SAME("%p", (void *)0x1234abcd);
}

TEST(format_cuts_off)
{
    for (size_t size = 0; size <= 12; size++) {
        char buf[16];
        memset(buf, '#', sizeof(buf));
        CHECK_EQ(format(buf, size, "%s-%d", "hello", 12345), 11);
        for (size_t i = size; i < sizeof(buf); i++)
            CHECK(buf[i] == '#');
        if (size > 0)
            CHECK(strlen(buf) == (size <= 11 ? size - 1 : 11) && strncmp(buf, "hello-12345", strlen(buf)) == 0);
    }
}
