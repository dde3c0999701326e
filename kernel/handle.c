/*
 * The handle table of a task: slots in chunks that are allocated as they are needed, on the task's account.
 * The task's lock protects it.
 */
#include "kernel/handle.h"
#include "kernel/task.h"

#define CHUNK_BYTES (HANDLE_CHUNK * sizeof(struct object *))

static struct object **slot_of(struct handle_table *table, uint64_t handle)
{
    if (handle == 0 || handle >= HANDLE_MAX || !table->chunk[handle / HANDLE_CHUNK])
        return NULL;
    return &table->chunk[handle / HANDLE_CHUNK][handle % HANDLE_CHUNK];
}

/* Handle 0 is none. */
static uint32_t slots_in(uint32_t chunk) { return chunk == 0 ? HANDLE_CHUNK - 1 : HANDLE_CHUNK; }

/*
 * The lowest free handle that has a chunk; 0: *missing is the chunk that would be needed, or HANDLE_MAX /
 * HANDLE_CHUNK. Under the lock.
 */
static uint32_t find_free(struct handle_table *table, uint32_t *missing)
{
    uint32_t chunk = 0;
    while (chunk < HANDLE_MAX / HANDLE_CHUNK && table->chunk[chunk] && table->used[chunk] == slots_in(chunk))
        chunk++;
    *missing = chunk;
    if (chunk == HANDLE_MAX / HANDLE_CHUNK || !table->chunk[chunk])
        return 0;
    uint32_t handle = chunk == 0 ? 1 : chunk * HANDLE_CHUNK;
    while (*slot_of(table, handle))
        handle++;
    return handle;
}

static bool put_in_slot(struct task *task, struct object *object, uint32_t *handle, uint32_t *missing)
{
    struct handle_table *table = &task->handles;
    spin_lock(&task->lock);
    *handle = find_free(table, missing);
    if (*handle) {
        *slot_of(table, *handle) = object;
        table->used[*handle / HANDLE_CHUNK]++;
        table->count++;
    }
    spin_unlock(&task->lock);
    return *handle;
}

status_t handle_add(struct task *task, struct object *object)
{
    uint32_t handle, missing = 0;
    while (!put_in_slot(task, object, &handle, &missing)) {
        if (missing >= HANDLE_MAX / HANDLE_CHUNK)
            return E_QUOTA;
        status_t error;
        struct object **chunk = account_alloc(task->account, CHUNK_BYTES, &error);
        if (!chunk)
            return error;
        spin_lock(&task->lock);
        bool used = !task->handles.chunk[missing];
        if (used)
            task->handles.chunk[missing] = chunk;
        spin_unlock(&task->lock);
        if (!used)              /* a sibling was faster */
            account_free(task->account, chunk, CHUNK_BYTES);
    }
    return handle;
}

struct object *handle_get(struct task *task, uint64_t handle, unsigned type)
{
    spin_lock(&task->lock);
    struct object **slot = slot_of(&task->handles, handle);
    struct object *object = slot ? *slot : NULL;
    if (object && type && object->type != type)
        object = NULL;
    if (object)
        object_get(object);
    spin_unlock(&task->lock);
    return object;
}

/* Empties a slot; its object with the table's reference, or NULL. */
static struct object *take_from_slot(struct task *task, uint64_t handle)
{
    struct handle_table *table = &task->handles;
    spin_lock(&task->lock);
    struct object **slot = slot_of(table, handle);
    struct object *object = slot ? *slot : NULL;
    if (object) {
        *slot = NULL;
        table->count--;
        table->used[handle / HANDLE_CHUNK]--;
    }
    spin_unlock(&task->lock);
    return object;
}

status_t handle_close(struct task *task, uint64_t handle)
{
    struct object *object = take_from_slot(task, handle);
    if (!object)
        return E_BAD_HANDLE;
    object_put(object);
    return 0;
}

void handle_close_all(struct task *task)
{
    for (uint32_t c = 0; c < HANDLE_MAX / HANDLE_CHUNK; c++) {
        if (!task->handles.chunk[c])
            continue;
        for (uint32_t i = 0; i < HANDLE_CHUNK; i++) {
            struct object *object = take_from_slot(task, c * HANDLE_CHUNK + i);
            if (object)
                object_put(object);
        }
        spin_lock(&task->lock);
        struct object **chunk = task->handles.chunk[c];
        task->handles.chunk[c] = NULL;
        spin_unlock(&task->lock);
        account_free(task->account, chunk, CHUNK_BYTES);
    }
}
