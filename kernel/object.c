/*
 * Counted objects, and the registers of all tasks and all threads by number, for those who list them. A
 * register's lock (rank LEAF) protects its tree; an object leaves it before it is destroyed, so what a
 * visitor sees is always alive.
 */
#include "kernel/object.h"
#include "kernel/lock.h"
#include "kernel/task.h"
#include "kernel/thread.h"

struct registry {
    struct spinlock lock;
    struct avl_tree tree;       /* by id; under lock */
    uint64_t count;             /* under lock */
    uint32_t next_id;           /* under lock; 0 is nobody */
};

static struct registry registries[] = {
    [OBJECT_TASK]   = {.lock = SPINLOCK("register of tasks", RANK_LEAF), .next_id = 1},
    [OBJECT_THREAD] = {.lock = SPINLOCK("register of threads", RANK_LEAF), .next_id = 1},
};

static struct object *object_of(struct avl_node *node) { return container_of(node, struct object, by_id); }

void object_init(struct object *object, enum object_type type)
{
    struct registry *r = &registries[type];
    atomic_store_explicit(&object->refs, 1, memory_order_relaxed);
    object->type = type;
    object->ended = false;
    list_init(&object->end_waiters);
    spin_lock(&r->lock);
    object->id = r->next_id++;
    r->count++;
    struct avl_node *parent = NULL, **link = &r->tree.root;
    while (*link) {             /* a new id is the highest: always to the right */
        parent = *link;
        link = &parent->right;
    }
    avl_insert(&r->tree, parent, link, &object->by_id);
    spin_unlock(&r->lock);
}

void object_put(struct object *object)
{
    if (atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct registry *r = &registries[object->type];
    spin_lock(&r->lock);
    avl_remove(&r->tree, &object->by_id);
    r->count--;
    spin_unlock(&r->lock);
    if (object->type == OBJECT_TASK)
        task_release(container_of(object, struct task, object));
    else
        thread_release(container_of(object, struct thread, object));
}

status_t object_visit(enum object_type type, uint32_t id, void (*visit)(struct object *object, void *arg), void *arg)
{
    struct registry *r = &registries[type];
    spin_lock(&r->lock);
    struct avl_node *found = NULL;
    for (struct avl_node *node = r->tree.root; node;) {
        bool candidate = object_of(node)->id >= id;
        if (candidate)
            found = node;
        node = candidate ? node->left : node->right;
    }
    if (found)
        visit(object_of(found), arg);
    spin_unlock(&r->lock);
    return found ? 0 : E_NOT_FOUND;
}

uint64_t object_count(enum object_type type)
{
    return __atomic_load_n(&registries[type].count, __ATOMIC_RELAXED);
}
