/* kernel/mem.c, compiled with its names changed, against the C library. Every length and alignment, and what lies around. */
#include <string.h>
#include "test.h"

void *primer_memcpy(void *restrict to, const void *restrict from, size_t len);
void *primer_memset(void *to, int byte, size_t len);
void *primer_memmove(void *to, const void *from, size_t len);
int primer_memcmp(const void *a, const void *b, size_t len);
size_t primer_strlen(const char *s);
size_t primer_strnlen(const char *s, size_t max);
int primer_strcmp(const char *a, const char *b);
int primer_strncmp(const char *a, const char *b, size_t max);

#define SIZE 160u

static uint8_t ours[SIZE], theirs[SIZE], source[SIZE];

static void refill(struct random *r)
{
    for (unsigned i = 0; i < SIZE; i++) {
        ours[i] = theirs[i] = (uint8_t)random_next(r);
        source[i] = (uint8_t)random_next(r);
    }
}

TEST(mem_copies)
{
    struct random r = {8};
    for (unsigned step = 0; step < 100000; step++) {
        unsigned to = (unsigned)random_below(&r, SIZE), from = (unsigned)random_below(&r, SIZE);
        unsigned len = (unsigned)random_below(&r, SIZE - (to > from ? to : from) + 1);
        refill(&r);
        CHECK(primer_memcpy(ours + to, source + from, len) == ours + to);
        memcpy(theirs + to, source + from, len);
        CHECK(memcmp(ours, theirs, SIZE) == 0);
        CHECK(primer_memmove(ours + to, ours + from, len) == ours + to);
        memmove(theirs + to, theirs + from, len);
        CHECK(memcmp(ours, theirs, SIZE) == 0);
        CHECK(primer_memset(ours + to, (int)step, len) == ours + to);
        memset(theirs + to, (int)step, len);
        CHECK(memcmp(ours, theirs, SIZE) == 0);
    }
}

static int sign(int x) { return (x > 0) - (x < 0); }

TEST(mem_compares)
{
    struct random r = {9};
    for (unsigned step = 0; step < 100000; step++) {
        char a[12], b[12];
        for (unsigned i = 0; i < 12; i++) {
            a[i] = (char)(random_below(&r, 12) ? 'a' : random_next(&r));
            b[i] = random_below(&r, 12) ? a[i] : (char)random_next(&r);
        }
        unsigned max = (unsigned)random_below(&r, 12);
        CHECK_EQ(sign(primer_memcmp(a, b, max)), sign(memcmp(a, b, max)));
        CHECK_EQ(primer_strnlen(a, max), strnlen(a, max));
        a[11] = b[11] = '\0';
        CHECK_EQ(primer_strlen(a), strlen(a));
        CHECK_EQ(sign(primer_strcmp(a, b)), sign(strcmp(a, b)));
        CHECK_EQ(sign(primer_strncmp(a, b, max)), sign(strncmp(a, b, max)));
    }
}
