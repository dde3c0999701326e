/* mm/heap.c: alignment, zeroing, no overlap, empty slabs given back, and what it says to misuse. */
#include <string.h>
#include "machine.h"
#include "mm/heap.h"
#include "test.h"

#define OBJECTS 3000u

static struct object { uint8_t *at; size_t size; uint8_t fill; } objects[OBJECTS];

static void check_fill(const struct object *object)
{
    for (size_t i = 0; i < object->size; i++)
        CHECK_EQ(object->at[i], object->fill);
}

TEST(heap_random)
{
    struct random r = {4};
    machine_start(64);
    heap_init();
    struct frame_counts start = frame_count();
    for (unsigned step = 0; step < 200000; step++) {
        struct object *object = &objects[random_below(&r, OBJECTS)];
        if (object->at) {
            check_fill(object);
            heap_free(object->at, object->size);
            object->at = NULL;
            continue;
        }
        object->size = 1 + random_below(&r, random_below(&r, 2) ? 64 : HEAP_MAX);
        object->at = heap_alloc(object->size);
        CHECK(object->at);
        size_t aligned = 32;
        while (aligned < object->size)
            aligned *= 2;
        CHECK_EQ((uintptr_t)object->at % aligned, 0);
        object->fill = 0;
        check_fill(object);
        object->fill = (uint8_t)step;
        memset(object->at, object->fill, object->size);
    }
    CHECK(frame_count().free < start.free);
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (objects[i].at) {
            check_fill(&objects[i]);
            heap_free(objects[i].at, objects[i].size);
        }
    }
    CHECK_EQ(frame_count().free, start.free);
}

TEST(heap_uses_whole_frames)
{
    machine_start(8);
    heap_init();
    uint64_t free = frame_count().free;
    for (size_t size = 32; size <= HEAP_MAX; size *= 2) {
        for (unsigned i = 0; i < PAGE_SIZE / size; i++)
            objects[i].at = heap_alloc(size);
        CHECK_EQ(frame_count().free, free - 1);
        for (unsigned i = 0; i < PAGE_SIZE / size; i++)
            heap_free(objects[i].at, size);
        CHECK_EQ(frame_count().free, free);
    }
}

TEST(heap_out_of_memory)
{
    machine_start(4);
    heap_init();
    uint64_t free = frame_count().free;
    struct link { struct link *next; } *chain = NULL, *link;
    uint64_t count = 0;
    for (; (link = heap_alloc(1024)); count++) {
        link->next = chain;
        chain = link;
    }
    CHECK_EQ(count, free * 4);
    while ((link = chain)) {
        chain = link->next;
        heap_free(link, 1024);
    }
    CHECK_EQ(frame_count().free, free);
}

TEST(heap_misuse_panics)
{
    machine_start(8);
    heap_init();
    char *a = heap_alloc(100), *b = heap_alloc(100);
    heap_free(NULL, 100);
    CHECK_PANIC(heap_alloc(0), "size");
    CHECK_PANIC(heap_alloc(HEAP_MAX + 1), "size");
    if (DEBUG) {
        heap_free(a, 100);
        CHECK_PANIC(heap_free(a, 100), "freed twice");
    }
    (void)b;
}

TEST(heap_wrong_size_panics)
{
    machine_start(8);
    heap_init();
    char *a = heap_alloc(100);
    CHECK_PANIC(heap_free(a, 200), "slab");
}
