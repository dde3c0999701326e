/*
 * The scheduler's waking half: where a thread goes that has become ready, and what a change of priority
 * means. Called by whoever wakes or creates a thread, on any CPU; the locks are those of the run queues,
 * one at a time. Who then runs is decided in sched.c.
 */
#include "kernel/sched.h"
#include "arch/irq.h"
#include "kernel/runq.h"
#include "kernel/timer.h"

void sched_kick(unsigned cpu)
{
    atomic_store_explicit(&cpus[cpu].need_resched, true, memory_order_release);
    uint64_t flags = irq_save();
    if (cpu != this_cpu()->id)
        ipi_send(cpu, VECTOR_RESCHEDULE);
    irq_restore(flags);
}

/*
 * The thread's run queue, locked. It may be moved until we have the lock, so look again then. `cpu` changes
 * only under the lock of the queue it names, so whoever holds that lock is alone with the thread's priority
 * and its place, also while it is on no queue at all.
 */
static struct runq *lock_runq_of(struct thread *thread)
{
    for (;;) {
        unsigned cpu = __atomic_load_n(&thread->cpu, __ATOMIC_RELAXED);
        struct runq *q = &runqs[cpu];
        spin_lock(&q->lock);
        if (likely(thread->cpu == cpu))
            return q;
        spin_unlock(&q->lock);
    }
}

/*
 * Where a thread that has just become ready should go. A guess from hints; a wrong one costs time, not
 * correctness.
 */
static unsigned place(struct thread *thread)
{
    unsigned home = thread->cpu;
    /* Its CPU may still be leaving its stack: nobody else can run it yet. */
    if (thread->pinned || atomic_load_explicit(&thread->on_cpu, memory_order_acquire))
        return home;
    /*
     * Its worker runs there and is done in a moment, as a rule; if it is not, sched_offer() lets an idle
     * CPU know.
     */
    if (thread->wait == WAIT_PAGE)
        return home;
    uint64_t idle = atomic_load_explicit(&idle_cpus, memory_order_relaxed);
    if ((idle >> home & 1) || thread->prio > atomic_load_explicit(&runqs[home].running_prio, memory_order_relaxed))
        return home;
    if (idle)
        return (unsigned)__builtin_ctzll(idle);
    for (unsigned i = 0, n = cpu_count(); i < n; i++)
        if (thread->prio > atomic_load_explicit(&runqs[i].running_prio, memory_order_relaxed))
            return i;
    return home;
}

/*
 * Who waited for a page did not choose to sleep, and a worker works for somebody who did not: both go on
 * before their equals. Otherwise each page would cost a thread a whole round of everybody else.
 */
static bool goes_first(const struct thread *thread)
{
    return thread->wait == WAIT_WORK || thread->wait == WAIT_PAGE;
}

/* Puts the thread on a queue; true if the CPU it is for must be told. */
static bool put_on_queue(struct thread *thread, unsigned cpu, bool *shares)
{
    struct runq *q = lock_runq_of(thread);
    if (thread->cpu != cpu) {
        thread->cpu = cpu;
        spin_unlock(&q->lock);
        q = &runqs[cpu];
        spin_lock(&q->lock);
    }
    runq_enqueue(q, thread, goes_first(thread));
    unsigned running = runq_running_prio(q);
    *shares = thread->prio == running && !q->slice_armed;
    q->slice_armed |= *shares;
    bool preempts = thread->prio > running;
    spin_unlock(&q->lock);
    return preempts;
}

/* The long way: to a queue, here or elsewhere. Interrupts off. */
static __attribute__((noinline)) void ready_on_queue(struct thread *thread, unsigned here)
{
    unsigned target = place(thread);
    bool shares;
    if (put_on_queue(thread, target, &shares))
        sched_kick(target);
    else if (shares && target == here)
        timer_rearm();          /* the running thread's time slice matters from now on */
    else if (shares)
        ipi_send(target, VECTOR_TIMER);
}

void sched_ready(struct thread *thread)
{
    uint64_t flags = irq_save();
    struct cpu *cpu = this_cpu();
    struct runq *here = &runqs[cpu->id];
    bool soon = thread->prio > runq_running_prio(here)
             || atomic_load_explicit(&cpu->current->state, memory_order_relaxed) != THREAD_RUNNING;
    /* Not if a user thread just runs on, perhaps for ever: then the time slice must matter. */
    if (goes_first(thread) && thread->cpu == cpu->id && !here->next && (soon || !cpu->current->space)) {
        here->next = thread;
        if (soon)
            atomic_store_explicit(&cpu->need_resched, true, memory_order_relaxed);
    } else {
        ready_on_queue(thread, cpu->id);
    }
    irq_restore(flags);
}

/*
 * Its wake needs no contest: nobody else wakes it. If somebody else was to run next already, it is the long
 * way for both.
 */
void sched_hand_off(struct thread *worker, unsigned prio)
{
    struct runq *here = &runqs[worker->cpu];
    debug_assert(!irqs_on() && worker->cpu == this_cpu()->id && worker->pinned);
    if (worker->prio != prio)
        sched_set_prio(worker, prio);
    if (unlikely(here->next)) {
        thread_wake(worker, 0);
        return;
    }
    atomic_store_explicit(&worker->state, THREAD_READY, memory_order_relaxed);
    here->next = worker;
    atomic_store_explicit(&cpus[worker->cpu].need_resched, true, memory_order_relaxed);
}

/*
 * What a change of priority means for the queue the thread is on, or for the CPU it runs on. Under q->lock;
 * true: that CPU must look again (which also sets `running_prio` right, if this CPU has just changed
 * threads).
 */
static bool apply_prio(struct runq *q, struct thread *thread, unsigned prio)
{
    unsigned old = thread->prio;
    if (old == prio)
        return false;
    if (!list_linked(&thread->run_node)) {
        thread->prio = (uint8_t)prio;
        return atomic_load_explicit(&q->running, memory_order_relaxed) == thread;
    }
    runq_dequeue(q, thread);
    thread->prio = (uint8_t)prio;
    runq_enqueue(q, thread, false);
    return prio > runq_running_prio(q);
}

void sched_set_prio(struct thread *thread, unsigned prio)
{
    struct runq *q = lock_runq_of(thread);
    unsigned cpu = thread->cpu;
    bool kick = apply_prio(q, thread, prio);
    spin_unlock(&q->lock);
    if (kick)
        sched_kick(cpu);
}

unsigned sched_set_base_prio(struct thread *thread, unsigned prio)
{
    struct runq *q = lock_runq_of(thread);
    unsigned cpu = thread->cpu;
    unsigned old = thread->base_prio;
    bool kick = false;
    if (prio) {
        thread->base_prio = (uint8_t)prio;
        kick = apply_prio(q, thread, prio);
    }
    spin_unlock(&q->lock);
    if (kick)
        sched_kick(cpu);
    return old;
}
