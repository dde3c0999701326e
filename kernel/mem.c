/*
 * memcpy() and its family. Everyone calls in, the compiler too. No locks, any context. These are plain
 * copies between kernel addresses: pages are filled by mm/filler.c, which picks the best way for the CPU,
 * and user memory is reached through arch/user.h.
 *
 * A loop that copies or counts bytes is exactly what a compiler turns into a call of memcpy() or strlen(),
 * here a call of itself. The string instructions cannot be mistaken so, and keep_loop() hides the other
 * loops' purpose.
 */
#include <stdint.h>
#include "kernel/mem.h"

static inline void keep_loop(void) { __asm__ volatile(""); }

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
    void *at = to;
    size_t words = len / 8, rest = len % 8;
    __asm__ volatile("rep movsq" : "+D"(at), "+S"(from), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(rest) : : "memory");
    return to;
}

void *memset(void *to, int byte, size_t len)
{
    void *at = to;
    size_t words = len / 8, rest = len % 8;
    uint64_t pattern = (uint8_t)byte * 0x0101010101010101ull;
    __asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(rest) : "a"(pattern) : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t len)
{
    uint8_t *target = to;
    const uint8_t *source = from;

    /* Upwards by words is right also for an overlap, as long as the target is below. */
    if ((uintptr_t)to <= (uintptr_t)from || (uintptr_t)to - (uintptr_t)from >= len)
        return memcpy(to, from, len);
    while (len-- > 0) {
        target[len] = source[len];
        keep_loop();
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < len; i++) {
        if (x[i] != y[i])
            return x[i] - y[i];
        keep_loop();
    }
    return 0;
}

size_t strlen(const char *s) { return strnlen(s, SIZE_MAX); }

size_t strnlen(const char *s, size_t max)
{
    size_t len = 0;
    while (len < max && s[len]) {
        len++;
        keep_loop();
    }
    return len;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, SIZE_MAX); }

int strncmp(const char *a, const char *b, size_t max)
{
    for (size_t i = 0; i < max; i++) {
        if (a[i] != b[i] || !a[i])
            return (uint8_t)a[i] - (uint8_t)b[i];
        keep_loop();
    }
    return 0;
}
