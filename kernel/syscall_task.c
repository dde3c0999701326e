/* System calls on tasks, threads and handles. */
#include "arch/user.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "kernel/task.h"
#include "kernel/thread.h"

/* A handle for an object whose reference the caller has; gives the reference back if there is no room. */
static status_t handle_for(struct object *object)
{
    status_t handle = handle_add(task_current(), object);
    if (handle < 0)
        object_put(object);
    return handle;
}

status_t sys_task_create(const struct call *call)
{
    struct account *account = task_current()->account;
    status_t error;
    if (call->arg[0]) {
        struct primer_limits limits;
        error = copy_from_user(&limits, call->arg[0], sizeof limits);
        if (error)
            return error;
        account = account_create(account, &limits, &error);
        if (!account)
            return error;
    } else {
        account_get(account);
    }
    struct task *task = task_create(account, &error);
    account_put(account);
    return task ? handle_for(&task->object) : error;
}

status_t sys_task_clone(const struct call *call)
{
    (void)call;
    status_t error;
    struct task *task = task_clone(task_current(), &error);
    return task ? handle_for(&task->object) : error;
}

status_t sys_task_exit(const struct call *call)
{
    task_kill(task_current(), (uint8_t)call->arg[0]);
    return 0;       /* not seen: the kernel exit ends the caller */
}

status_t sys_thread_create(const struct call *call)
{
    struct thread *self = thread_current();
    unsigned limit = self->base_prio;
    unsigned prio = call->arg[4] ? (unsigned)call->arg[4] : limit;
    if (prio > limit)
        return E_NO_RIGHT;
    struct thread *thread;
    status_t error = thread_create_user(call->task, call->arg[1], call->arg[2], call->arg[3], prio, &thread);
    if (error)
        return error;
    status_t handle = handle_add(task_current(), &thread->object);
    if (handle < 0) {           /* nobody could ever name it: as if it had not been created */
        thread_kill(thread);
        object_put(&thread->object);
    }
    return handle;
}

status_t sys_thread_exit(const struct call *call)
{
    (void)call;
    thread_kill(thread_current());
    return 0;
}

status_t sys_thread_priority(const struct call *call)
{
    struct thread *thread = container_of(call->object, struct thread, object);
    unsigned prio = (unsigned)call->arg[1];
    if (prio > max_u64(thread_current()->base_prio, thread->base_prio))
        return E_NO_RIGHT;
    return (status_t)sched_set_base_prio(thread, prio);
}

status_t sys_thread_tls(const struct call *call)
{
    struct thread *self = thread_current();
    uint64_t flags = irq_save();
    self->tls = call->arg[0];
    cpu_set_user_tls(self->tls);
    irq_restore(flags);
    return 0;
}

status_t sys_yield(const struct call *call)
{
    (void)call;
    sched_yield();
    return 0;
}

status_t sys_kill(const struct call *call)
{
    if (call->task)
        task_kill(call->task, PRIMER_STATUS_KILLED);
    else
        thread_kill(container_of(call->object, struct thread, object));
    return 0;
}

status_t sys_handle_close(const struct call *call)
{
    return handle_close(task_current(), call->arg[0]);
}
