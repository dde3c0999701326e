/*
 * Handles: small numbers by which a task names objects. Only the task's own; nothing is reachable without
 * one.
 */
#ifndef KERNEL_HANDLE_H
#define KERNEL_HANDLE_H

#include "kernel/object.h"

struct task;

#define HANDLE_MAX 4096             /* per task; 0 is PRIMER_SELF */
#define HANDLE_CHUNK 128            /* the table grows by so many */

struct handle_table {               /* under the task's lock */
    struct object **chunk[HANDLE_MAX / HANDLE_CHUNK];
    uint8_t used[HANDLE_MAX / HANDLE_CHUNK];    /* slots in use, by chunk: a search passes over full ones */
    uint32_t count;
};

/*
 * A handle of `task` to `object`; takes over one reference of the caller's. On failure (E_QUOTA,
 * E_NO_MEMORY) the caller keeps it.
 */
status_t MUST_CHECK handle_add(struct task *task, struct object *object);
/* The object, with a reference, if the handle names one of `type` (0: any); NULL. */
struct object *handle_get(struct task *task, uint64_t handle, unsigned type);
/* E_BAD_HANDLE. May destroy the object. */
status_t handle_close(struct task *task, uint64_t handle);
/* The end of a task: all of them, and the table. Nobody else uses it any more. */
void handle_close_all(struct task *task);

#endif
