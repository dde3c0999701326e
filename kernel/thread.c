/*
 * Threads: states, waking, killing, ending. Slots (stack and struct) come from kernel/thread_slot.c. The
 * scheduler decides who runs, the kernel exit runs him; here is only what happens to a thread from its
 * first to its last moment.
 */
#include "kernel/thread.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/thread_slot.h"
#include "kernel/trace.h"
#include "mm/aspace.h"
#include "mm/fault.h"

const char *thread_state_name(enum thread_state state)
{
    static const char *const names[] = {"new", "ready", "running", "blocked", "dead"};
    return state < ARRAY_SIZE(names) ? names[state] : "?";
}

const char *wait_reason_name(enum wait_reason reason)
{
    static const char *const names[] = {"-", "page", "address", "sleep", "end", "console", "work"};
    return reason < ARRAY_SIZE(names) ? names[reason] : "?";
}

static void set_name(struct thread *thread, const char *name)
{
    format(thread->name, sizeof thread->name, "%s", name);
}

static struct thread *create(const char *name, unsigned cpu, unsigned prio)
{
    struct thread *thread = thread_slot_alloc();
    if (!thread)
        return NULL;
    thread->cpu = cpu;
    thread->prio = thread->base_prio = (uint8_t)prio;
    list_init(&thread->run_node);
    list_init(&thread->wait_node);
    list_init(&thread->task_node);
    thread->fpu_cpu = UINT32_MAX;
    set_name(thread, name);
    object_init(&thread->object, OBJECT_THREAD);
    thread->who = trace_who(thread->object.id, 0);
    return thread;
}

static void start(struct thread *thread)
{
    atomic_store_explicit(&thread->state, THREAD_READY, memory_order_relaxed);
    trace(PRIMER_EVENT_THREAD_NEW, thread->prio, 0, thread->who, 0, thread->task == NULL);
    sched_ready(thread);
}

struct thread *thread_create_kernel(const char *name, unsigned cpu, unsigned prio, void (*entry)(void *), void *arg)
{
    struct thread *thread = create(name, cpu, prio);
    if (!thread)
        boot_fail("too little memory for the kernel's own threads");
    thread->pinned = true;
    thread->frame = trap_frame_kernel(thread->frame_base, entry, arg);
    start(thread);
    return thread;
}

void *thread_create_idle(unsigned cpu)
{
    struct thread *thread = create("idle", cpu, PRIO_IDLE);
    if (!thread)
        return NULL;
    thread->pinned = true;
    atomic_store_explicit(&thread->state, THREAD_RUNNING, memory_order_relaxed);
    atomic_store_explicit(&thread->on_cpu, 1, memory_order_relaxed);
    cpus[cpu].idle = cpus[cpu].current = thread;
    return thread->frame_base;
}

/* Links a finished thread into its task, unless the task is ending. */
static bool join_task(struct task *task, struct thread *thread)
{
    spin_lock(&task->lock);
    bool alive = !task->dying;
    if (alive) {
        list_push_back(&task->threads, &thread->task_node);
        task->thread_count++;
    }
    spin_unlock(&task->lock);
    return alive;
}

status_t thread_create_user(struct task *task, vaddr_t entry, vaddr_t stack, uint64_t arg, unsigned prio, struct thread **out)
{
    struct account *account = task->account;
    /* For as long as anyone refers to it: a dead one that somebody keeps a handle to still has its slot. */
    if (!account_charge(account, RES_THREADS, 1))
        return E_QUOTA;
    struct thread *thread = create("user", thread_current()->cpu, prio);
    if (!thread) {
        account_uncharge(account, RES_THREADS, 1);
        return E_NO_MEMORY;
    }
    account_get(account);
    thread->account = account;
    thread->task = task;
    thread->task_id = task->object.id;
    thread->who = trace_who(thread->object.id, thread->task_id);
    thread->space = task->space;
    thread->charge = &task->space->cpu_ticks;
    fpu_area_init(thread->fpu);
    thread->frame = trap_frame_user(thread->frame_base, entry, stack, arg);
    if (!join_task(task, thread)) {
        object_put(&thread->object);    /* it has never started: this is its end */
        return E_DEAD;
    }
    object_get(&task->object);
    object_get(&thread->object);        /* the caller's */
    *out = thread;
    start(thread);
    return 0;
}

bool thread_block(enum wait_reason reason, void *object, struct list_node *queue)
{
    struct thread *self = thread_current();
    /*
     * A kill takes a thread out of its sleep, but not off the list of a page (INV-12): it may still be on
     * one, and sleeps no more.
     */
    if (unlikely(atomic_load_explicit(&self->killed, memory_order_relaxed)))
        return false;
    debug_assert(!irqs_on() && !list_linked(&self->wait_node));
    self->wait = reason;
    self->wait_object = object;
    if (queue)
        list_push_back(queue, &self->wait_node);
    /*
     * thread_kill() sets `killed` and then looks at the state; we set the state and then look at `killed`.
     * One of us sees the other, whatever the order (both sides sequentially consistent). If we see it, we
     * must still win the change back against a kill that has seen us.
     */
    atomic_store(&self->state, THREAD_BLOCKED);
    uint8_t blocked = THREAD_BLOCKED;
    if (likely(!atomic_load(&self->killed)) || !atomic_compare_exchange_strong(&self->state, &blocked, THREAD_RUNNING))
        return true;
    list_remove(&self->wait_node);
    return false;
}

bool thread_wake(struct thread *thread, status_t status)
{
    uint8_t blocked = THREAD_BLOCKED;
    if (!atomic_compare_exchange_strong(&thread->state, &blocked, THREAD_READY))
        return false;
    /* Ours now: nobody else makes it ready, and it is on no run queue yet. */
    thread->wake_status = status;
    sched_ready(thread);
    return true;
}

void thread_kill(struct thread *thread)
{
    /* Traced before it can have an effect. */
    trace(PRIMER_EVENT_KILL, 0, 0, thread->who, 0, thread_current()->object.id);
    if (atomic_exchange(&thread->killed, true))
        return;
    if (!thread_wake(thread, E_KILLED))
        /* if it runs: through the exit with it */
        sched_kick(__atomic_load_n(&thread->cpu, __ATOMIC_RELAXED));
}

/*
 * The order matters: what the thread held is given back before anyone who waits for its end is told. Its
 * slot goes last, since we still stand on it: with the last reference, which may be ours or a handle's, and
 * not to be used again before on_cpu is clear.
 */
void thread_end(void)
{
    struct thread *self = thread_current();
    struct task *task = self->task;
    page_wait_leave();

    /*
     * From here on a kernel thread, which no switch connects with the space any more. Before we are off the
     * task's list: once the last one is, the space is taken apart, and one of us who is preempted now must
     * not load it again.
     */
    thread_charge_to(NULL);
    irq_disable();
    aspace_load(NULL);
    self->space = NULL;
    self->task = NULL;
    irq_enable();

    spin_lock(&task->lock);
    list_remove(&self->task_node);
    bool last = --task->thread_count == 0;
    if (last)
        task->dying = true;
    spin_unlock(&task->lock);

    trace(PRIMER_EVENT_THREAD_END, 0, 0, self->who, 0, 0);
    object_end(&self->object, 0);
    if (last)
        task_end(task);
    object_put(&task->object);

    irq_disable();
    atomic_store(&self->state, THREAD_DEAD);
    object_put(&self->object);
    kernel_yield();
    panic("a dead thread was resumed");
}

/* Nothing of the kernel's is under way when an exception comes from user mode, so interrupts may be on. */
static void end_task_for(const char *line)
{
    irq_enable();
    kprintf("primer: %s; the task ends\n", line);
    task_kill(task_current(), PRIMER_STATUS_FAULT);
    irq_disable();
}

void thread_fault(struct trap_frame *frame, const char *what)
{
    struct thread *self = thread_current();
    char line[160];
    format(line, sizeof line, "task %u thread %u: %s at instruction 0x%lx", self->task->object.id, self->object.id, what, frame->rip);
    end_task_for(line);
}

void thread_page_fault(struct trap_frame *frame, const char *what, vaddr_t address)
{
    struct thread *self = thread_current();
    char line[160];
    format(line, sizeof line, "task %u thread %u: %s: address 0x%lx, at instruction 0x%lx", self->task->object.id,
           self->object.id, what, address, frame->rip);
    end_task_for(line);
}

void thread_release(struct thread *thread)
{
    struct account *account = thread->account;
    thread_slot_free(thread);
    if (account) {
        account_uncharge(account, RES_THREADS, 1);
        account_put(account);
    }
}

void thread_describe_current(void)
{
    struct thread *self = thread_current();
    bool blocked = self->state == THREAD_BLOCKED;
    kprintf("thread %u '%s' of task %u, %s%s, priority %u\n", self->object.id, self->name, self->task_id,
            blocked ? "about to wait for: " : "", blocked ? wait_reason_name(self->wait) : thread_state_name(self->state), self->prio);
}
