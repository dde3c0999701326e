/*
 * The kernel's heap (mm/heap.h). Tasks, ranges, handles and other small objects come from here; frames and
 * stacks do not. One lock per size class. A slab is one frame: which of its objects are free is a chain
 * through the free objects, and the rest of the bookkeeping stands in the frame's descriptor, so objects lie
 * on their natural alignment. It keeps no empty slab: the frame pool's per-CPU cache already makes taking
 * and giving one cheap.
 */
#include "kernel/lock.h"
#include "kernel/mem.h"
#include "mm/frame.h"
#include "mm/heap.h"

#define HEAP_MIN_SHIFT 5u       /* the smallest class: 32 bytes */
#define HEAP_CLASSES   7u       /* ... 64, 128, 256, 512, 1024, 2048 */
#define HEAP_MARK      0xa5a5a5a5a5a5a5a5ull    /* the second word of a freed object, in debug builds */

struct heap_class {
    struct spinlock lock;
    struct list_node partial;           /* slabs with room, by frame.link. A full slab is on no list */
};

static struct heap_class classes[HEAP_CLASSES];

/* A free object. */
struct heap_hole {
    struct heap_hole *next;
    uint64_t mark;
};

void heap_init(void)
{
    for (unsigned i = 0; i < HEAP_CLASSES; i++) {
        spin_init(&classes[i].lock, "heap", RANK_HEAP);
        list_init(&classes[i].partial);
    }
}

static unsigned class_of(size_t size)
{
    assert(size >= 1 && size <= HEAP_MAX);
    return size <= 1u << HEAP_MIN_SHIFT ? 0 : 64u - (unsigned)__builtin_clzll(size - 1) - HEAP_MIN_SHIFT;
}

/* Takes an object out of a slab that has room. */
static void *slab_take(struct frame *slab)
{
    struct heap_hole *hole = slab->slab.free;
    slab->slab.used++;
    if (hole) {
        slab->slab.free = hole->next;
        return hole;
    }
    return (char *)frame_virt(slab) + slab->slab.size * slab->slab.carved++;
}

static bool slab_is_full(const struct frame *slab)
{
    return !slab->slab.free && (size_t)slab->slab.size * (slab->slab.carved + 1u) > PAGE_SIZE;
}

void *heap_alloc(size_t size)
{
    unsigned index = class_of(size);
    struct heap_class *class = &classes[index];

    spin_lock(&class->lock);
    struct frame *slab;
    if (list_empty(&class->partial)) {
        slab = frame_alloc();
        if (!slab) {
            spin_unlock(&class->lock);
            return NULL;
        }
        slab->slab.free = NULL;
        slab->slab.used = slab->slab.carved = 0;
        slab->slab.size = (uint16_t)(1u << (index + HEAP_MIN_SHIFT));
        list_push_front(&class->partial, &slab->link);
    } else {
        slab = list_entry(class->partial.next, struct frame, link);
    }
    void *object = slab_take(slab);
    if (slab_is_full(slab))
        list_remove(&slab->link);
    spin_unlock(&class->lock);

    /* The object is the caller's alone by now. */
    return memset(object, 0, 1ul << (index + HEAP_MIN_SHIFT));
}

/* Debug builds: the mark may be the owner's own data, so only a place in the chain proves a second free. */
static void check_not_free(const struct frame *slab, const struct heap_hole *object)
{
    if (object->mark != HEAP_MARK)
        return;
    for (const struct heap_hole *hole = slab->slab.free; hole; hole = hole->next)
        if (hole == object)
            panic("heap: object %p of %u bytes is freed twice", (const void *)object, (unsigned)slab->slab.size);
}

void heap_free(void *object, size_t size)
{
    if (!object)
        return;
    unsigned index = class_of(size);
    struct heap_class *class = &classes[index];
    struct frame *slab = virt_to_frame(object);
    struct heap_hole *hole = object;

    spin_lock(&class->lock);
    assert(slab->state == FRAME_OWNED && slab->slab.size == 1u << (index + HEAP_MIN_SHIFT) && slab->slab.used > 0);
    assert(((uintptr_t)object & (slab->slab.size - 1u)) == 0);
    if (DEBUG) {
        check_not_free(slab, hole);
        memset(object, 0xa5, slab->slab.size);
    }
    if (slab_is_full(slab))
        list_push_front(&class->partial, &slab->link);
    hole->next = slab->slab.free;
    slab->slab.free = hole;
    bool empty = --slab->slab.used == 0;
    if (empty)
        list_remove(&slab->link);
    spin_unlock(&class->lock);

    if (empty)
        frame_free(slab);
}
