/*
 * Tasks. A task lives as an object for as long as anyone refers to it; as a running thing it ends with its
 * last thread, in task_end(), which runs on that thread's stack and time, preemptibly. A task that never
 * had a thread is taken apart when its last handle goes.
 */
#include "kernel/task.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/trace.h"
#include "mm/aspace.h"

#define KILL_AT_ONCE 8      /* threads told to end per lock hold */

struct task *task_current(void) { return thread_current()->task; }

/*
 * Around a space that exists, a clone of `parent`'s or an empty one (NULL); takes over its owner's
 * reference on success.
 */
static struct task *task_around(struct account *account, struct aspace *space, const struct task *parent, status_t *error)
{
    *error = E_QUOTA;
    if (!account_charge(account, RES_TASKS, 1))
        return NULL;
    struct task *task = account_alloc(account, sizeof *task, error);
    if (!task) {
        account_uncharge(account, RES_TASKS, 1);
        return NULL;
    }
    account_get(account);
    task->account = account;
    task->space = space;
    spin_init(&task->lock, "task", RANK_TASK);
    list_init(&task->threads);
    list_init(&task->killed_threads);
    object_init(&task->object, OBJECT_TASK);
    space->task_id = task->object.id;
    trace(PRIMER_EVENT_TASK_NEW, 0, 0, trace_who(thread_current()->object.id, task->object.id), 0, parent ? parent->object.id : 0);
    return task;
}

static void drop_space(struct aspace *space)
{
    aspace_empty(space);
    aspace_put(space);
}

struct task *task_create(struct account *account, status_t *error)
{
    struct aspace *space = aspace_create(account, error);
    struct task *task = space ? task_around(account, space, NULL, error) : NULL;
    if (space && !task)
        drop_space(space);
    return task;
}

struct task *task_clone(struct task *parent, status_t *error)
{
    struct aspace *space = vm_clone(parent->space, error);
    struct task *task = space ? task_around(parent->account, space, parent, error) : NULL;
    if (space && !task)
        drop_space(space);
    return task;
}

/*
 * Tells some threads; true if there are more. The move to the other list makes each step short, however
 * many there are.
 */
static bool kill_some(struct task *task)
{
    spin_lock(&task->lock);
    for (unsigned i = 0; i < KILL_AT_ONCE; i++) {
        struct list_node *node = list_pop_front(&task->threads);
        if (!node)
            break;
        list_push_back(&task->killed_threads, node);
        /* on a list: not released, and we hold the lock it needs to leave */
        thread_kill(list_entry(node, struct thread, task_node));
    }
    bool more = !list_empty(&task->threads);
    spin_unlock(&task->lock);
    return more;
}

void task_kill(struct task *task, uint8_t status)
{
    spin_lock(&task->lock);
    bool never_ran = task->thread_count == 0 && !task->dying;
    if (!task->dying) {
        task->dying = true;
        task->status = status;
    }
    spin_unlock(&task->lock);
    while (kill_some(task))
        ;
    if (never_ran)
        task_end(task);
}

void task_end(struct task *task)
{
    aspace_empty(task->space);
    handle_close_all(task);
    account_uncharge(task->account, RES_TASKS, 1);
    object_end(&task->object, task->status);
}

void task_release(struct task *task)
{
    if (!task->dying) {         /* no thread ever ran, nobody killed it */
        aspace_empty(task->space);
        account_uncharge(task->account, RES_TASKS, 1);
    }
    aspace_put(task->space);
    struct account *account = task->account;
    account_free(account, task, sizeof *task);
    account_put(account);
}
