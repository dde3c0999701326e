/* Memory and strings, by their C names: the compiler calls the first four on its own, freestanding or not. */
#ifndef KERNEL_MEM_H
#define KERNEL_MEM_H

#include <stddef.h>

/* By 8 bytes a step, so that a 4 KiB page takes 512 of them. Any context. */
void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memset(void *to, int byte, size_t len);
void *memmove(void *to, const void *from, size_t len);
int memcmp(const void *a, const void *b, size_t len);

size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);

#endif
