/*
 * The scheduler's choosing half: who runs next on this CPU. sched_pick() is called by the kernel exit only.
 * Policy: the most urgent thread runs, round robin among equals, and an idle CPU steals. Threads come to
 * the queues through sched_ready.c; page requests and IPC raise priorities from outside, by
 * sched_set_prio().
 */
#include "kernel/sched.h"
#include "arch/irq.h"
#include "kernel/options.h"
#include "kernel/runq.h"
#include "kernel/time.h"

struct runq runqs[MAX_CPUS];
_Atomic uint64_t idle_cpus;
static uint64_t quantum_ticks;      /* fixed after sched_init() */

void sched_init(void)
{
    quantum_ticks = ns_to_tsc(options.quantum_us * 1000ull);
    for (unsigned i = 0; i < MAX_CPUS; i++) {
        spin_init(&runqs[i].lock, "run queue", RANK_RUNQ);
        prio_queue_init(&runqs[i].ready);
    }
}

/*
 * The most urgent thread that may be moved here from the queue of another CPU; NULL. Never waits for a
 * lock.
 */
static struct thread *steal_from(struct runq *q, unsigned to)
{
    if (atomic_load_explicit(&q->ready_count, memory_order_relaxed) == 0 || !spin_trylock(&q->lock))
        return NULL;
    struct thread *found = NULL;
    for (uint64_t levels = q->ready.nonempty; levels && !found; levels &= ~(1ull << (63 - __builtin_clzll(levels)))) {
        struct list_node *head = &q->ready.level[63 - __builtin_clzll(levels)];
        unsigned looked = 0;
        for (struct list_node *node = head->next; node != head && looked < 4; node = node->next, looked++) {
            struct thread *thread = list_entry(node, struct thread, run_node);
            if (!thread->pinned && !atomic_load_explicit(&thread->on_cpu, memory_order_acquire)) {
                found = thread;
                break;
            }
        }
    }
    if (found) {
        runq_dequeue(q, found);
        found->cpu = to;        /* on no queue now: nobody else finds it */
    }
    spin_unlock(&q->lock);
    return found;
}

static struct thread *steal(unsigned self)
{
    for (unsigned i = 1, n = cpu_count(); i < n; i++) {
        struct thread *found = steal_from(&runqs[(self + i) % n], self);
        if (found)
            return found;
    }
    return NULL;
}

static void note_idle(struct runq *q, unsigned cpu, bool idle)
{
    if (idle == (q->idle_since != 0))
        return;
    if (idle) {
        q->idle_since = rdtsc();
        atomic_fetch_or_explicit(&idle_cpus, 1ull << cpu, memory_order_relaxed);
    } else {
        q->idle_ticks += rdtsc() - q->idle_since;
        q->idle_since = 0;
        atomic_fetch_and_explicit(&idle_cpus, ~(1ull << cpu), memory_order_relaxed);
    }
}

/*
 * Who was to run next stands in line after all: at the front, unless it is a faulter and the slice that it
 * would go on with is over. Under q->lock.
 */
static void queue_next(struct runq *q)
{
    if (!q->next)
        return;
    runq_enqueue(q, q->next, !q->slice_over || q->next->wait == WAIT_WORK);
    q->next = NULL;
}

void sched_offer(void)
{
    uint64_t idle = atomic_load_explicit(&idle_cpus, memory_order_relaxed);
    if (likely(!idle))
        return;
    uint64_t flags = irq_save();
    struct runq *q = &runqs[this_cpu()->id];
    spin_lock(&q->lock);
    queue_next(q);
    spin_unlock(&q->lock);
    if (atomic_load_explicit(&q->ready_count, memory_order_relaxed) > 0)
        sched_kick((unsigned)__builtin_ctzll(idle));
    irq_restore(flags);
}

/* The current thread goes back to the queue if something else should run; true if it did. Under q->lock. */
static bool preempt(struct runq *q, struct thread *self)
{
    queue_next(q);
    int top = prio_queue_top(&q->ready);
    bool over = q->slice_over;
    if (top < (int)self->prio || (top == (int)self->prio && !over))
        return false;
    atomic_store_explicit(&self->state, THREAD_READY, memory_order_relaxed);
    runq_enqueue(q, self, !over);
    return true;
}

/* The first of the queue; idle if there is none. Under q->lock. */
static struct thread *take(struct runq *q, const struct cpu *cpu)
{
    struct list_node *node = prio_queue_pop(&q->ready);
    if (!node)
        return cpu->idle;
    atomic_fetch_sub_explicit(&q->ready_count, 1, memory_order_relaxed);
    return list_entry(node, struct thread, run_node);
}

/* The first of the queue, or one from another CPU, or idle. Under q->lock. */
static struct thread *choose(struct runq *q, const struct cpu *cpu)
{
    queue_next(q);
    struct thread *next = take(q, cpu);
    if (next == cpu->idle) {
        spin_unlock(&q->lock);      /* other queues' locks have the same rank: one at a time */
        struct thread *stolen = steal(cpu->id);
        spin_lock(&q->lock);
        if (stolen)                 /* through the queue: somebody more urgent may have come meanwhile */
            runq_enqueue(q, stolen, true);
        next = take(q, cpu);
    }
    return next;
}

/* Another thread begins a slice, or the same one a new one. Under q->lock. */
static void begin_slice(struct runq *q, const struct cpu *cpu, struct thread *next, uint64_t now)
{
    q->slice_end = now + quantum_ticks;
    q->slice_over = false;
    note_idle(q, cpu->id, next == cpu->idle);
}

static inline struct thread *mark_running(struct runq *q, struct thread *next)
{
    atomic_store_explicit(&next->state, THREAD_RUNNING, memory_order_relaxed);
    atomic_store_explicit(&next->on_cpu, 1, memory_order_relaxed);
    atomic_store(&q->running, next);        /* before its priority is read: see apply_prio() */
    atomic_store(&q->running_prio, next->prio);
    q->switches++;
    return next;
}

/*
 * The hand-off: the current thread is blocked, and another was told to run next. Nothing but the queue's
 * bitmap is looked at, without the lock: somebody who comes just now sets need_resched after we have
 * cleared it. The slice is handed on, too, so that faulter and worker together have no more than one; when
 * it is over, the worker still gets the CPU, but the faulter goes back in line.
 */
static bool is_handed_on(const struct runq *q, const struct thread *self)
{
    return q->next && atomic_load_explicit(&self->state, memory_order_relaxed) != THREAD_RUNNING
        && (int)q->next->prio >= prio_queue_top(&q->ready) && (!q->slice_over || q->next->wait == WAIT_WORK);
}

static __attribute__((noinline)) struct thread *pick_from_queue(struct runq *q, struct cpu *cpu, struct thread *self, uint64_t now)
{
    struct thread *next = self;
    spin_lock(&q->lock);
    /* The idle thread is on no queue, and looks for work elsewhere each time that somebody wakes its CPU. */
    if (self == cpu->idle || atomic_load_explicit(&self->state, memory_order_relaxed) != THREAD_RUNNING
        || preempt(q, self))
        next = choose(q, cpu);
    if (next != self || q->slice_over)
        begin_slice(q, cpu, next, now);
    mark_running(q, next);
    int waiting = prio_queue_top(&q->ready);
    bool arm = waiting >= (int)next->prio && !q->slice_armed;
    q->slice_armed |= arm;
    spin_unlock(&q->lock);
    if (arm)
        timer_rearm();
    if (waiting >= 0 && next != self)
        sched_offer();
    return next;
}

struct thread *sched_pick(struct thread *self, uint64_t now)
{
    struct cpu *cpu = this_cpu();
    struct runq *q = &runqs[cpu->id];
    /* Cleared first: whoever makes a thread ready after this line sets it again. */
    atomic_store_explicit(&cpu->need_resched, false, memory_order_seq_cst);
    if (!is_handed_on(q, self))
        return pick_from_queue(q, cpu, self, now);
    struct thread *next = q->next;
    q->next = NULL;
    mark_running(q, next);
    /*
     * Somebody who came since we looked has compared himself with the thread that leaves. He enqueued and
     * then read running_prio, we wrote it and then look at the queue (both sequentially consistent): one of
     * us sees the other.
     */
    if (unlikely(prio_queue_top(&q->ready) > (int)next->prio)) {
        atomic_store_explicit(&cpu->need_resched, true, memory_order_relaxed);
        ipi_send(cpu->id, VECTOR_RESCHEDULE);
    }
    return next;
}

void sched_yield(void)
{
    uint64_t flags = irq_save();
    sched_slice_over();
    irq_restore(flags);
    kernel_yield();
}

uint64_t sched_slice_end(void)
{
    struct runq *q = &runqs[this_cpu()->id];
    spin_lock(&q->lock);
    unsigned running = runq_running_prio(q);
    bool matters = running != PRIO_IDLE && !q->slice_over && (q->next || prio_queue_top(&q->ready) >= (int)running);
    uint64_t end = matters ? tsc_to_ns(q->slice_end - tsc_boot) : TIME_NEVER;
    q->slice_armed = matters;       /* the caller arms the timer for it */
    spin_unlock(&q->lock);
    return end;
}

void sched_slice_over(void)
{
    struct cpu *cpu = this_cpu();
    struct runq *q = &runqs[cpu->id];
    spin_lock(&q->lock);
    q->slice_over = true;
    spin_unlock(&q->lock);
    atomic_store_explicit(&cpu->need_resched, true, memory_order_relaxed);
}

struct sched_counts sched_counts(unsigned cpu)
{
    struct runq *q = &runqs[cpu];
    spin_lock(&q->lock);
    struct sched_counts counts = {.switches = q->switches, .idle_ticks = q->idle_ticks};
    if (q->idle_since)
        counts.idle_ticks += rdtsc() - q->idle_since;
    spin_unlock(&q->lock);
    return counts;
}
