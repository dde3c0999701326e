/*
 * What handles name: counted objects with a number. An object lives while anyone holds a reference: a
 * handle, a running system call, or the thing itself while it is active (a thread that has not ended refers
 * to itself and to its task).
 */
#ifndef KERNEL_OBJECT_H
#define KERNEL_OBJECT_H

#include <stdatomic.h>
#include "kernel/avl.h"
#include "kernel/list.h"
#include "kernel/types.h"

enum object_type { OBJECT_TASK = 1, OBJECT_THREAD = 2 };

struct object {
    _Atomic uint32_t refs;
    uint32_t id;                    /* never used again for another object of the type. Fixed after object_init() */
    uint8_t type;                   /* enum object_type. Fixed */
    bool ended;                     /* under the end lock (kernel/end.c) */
    uint8_t status;                 /* what wait() tells; valid once ended. Under the end lock */
    struct list_node end_waiters;   /* threads in wait(). Under the end lock */
    struct avl_node by_id;          /* under the registry lock of its type */
};

/* One reference, a fresh id, and listed. */
void object_init(struct object *object, enum object_type type);
static inline void object_get(struct object *object) { atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed); }
/*
 * The last reference destroys it, which may take long: no locks held, interrupts on (a thread's slot: any
 * context).
 */
void object_put(struct object *object);

/*
 * Calls `visit` on the listed object of `type` with the lowest id at or above `id`, under the registry lock
 * (rank LEAF, interrupts off: be short, take no lock). E_NOT_FOUND if there is none.
 */
status_t object_visit(enum object_type type, uint32_t id, void (*visit)(struct object *object, void *arg), void *arg);
/* How many of the type are listed. No lock: old by the time it is used. */
uint64_t object_count(enum object_type type);

/* --- ends: kernel/end.c --- */

/* Marks the object as ended, with a status, and wakes who waits for that. Once per object. Interrupts on. */
void object_end(struct object *object, uint8_t status);
/*
 * Sleeps until the object has ended: its status, E_TIMEOUT, E_KILLED. deadline: TIME_NEVER for no limit.
 * The caller holds a reference.
 */
status_t MUST_CHECK object_wait(struct object *object, uint64_t deadline_ns);

#endif
