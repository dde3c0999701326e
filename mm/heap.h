/*
 * The kernel's heap: objects of up to 2 KiB from slabs of one frame each, in size classes of powers of two.
 * A slab's bookkeeping lives in its frame descriptor, and an empty slab goes straight back to the frame
 * pool, so that a leak of one object shows in the count of free frames.
 */
#ifndef MM_HEAP_H
#define MM_HEAP_H

#include "kernel/types.h"

#define HEAP_MAX 2048u      /* bytes */

/* Boot, CPU 0, after frame_init(). */
void heap_init(void);

/* What an object of `size` bytes really takes: a power of two, at least 32. */
static inline size_t heap_size(size_t size)
{
    return size <= 32 ? 32 : (size_t)1 << (64 - __builtin_clzll(size - 1));
}

/*
 * Zeroed memory, aligned to the power of two at or above `size` (1..HEAP_MAX bytes). NULL: no memory. Never
 * sleeps; rank HEAP.
 */
void *heap_alloc(size_t size);
/* `size` must be what was asked for. NULL is fine. */
void heap_free(void *object, size_t size);

#endif
