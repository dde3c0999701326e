/*
 * Run queues and the choice of the next thread. One queue per CPU, under a lock of its own; sched_pick() is called by the kernel exit only, sched_ready() by
 * whoever wakes or creates a thread. Policy: the most urgent thread runs, round robin among equals; a woken thread goes where it would
 * preempt or where a CPU idles, else back where it ran; an idle CPU steals. Page requests and IPC raise priorities from outside, by sched_set_prio().
 */
#include "kernel/sched.h"
#include "arch/irq.h"
#include "kernel/lock.h"
#include "kernel/options.h"
#include "kernel/prio_queue.h"
#include "kernel/time.h"

struct runq {
    struct spinlock lock;
    /* Under lock. */
    struct prio_queue ready;
    _Atomic uint32_t ready_count;   /* read by thieves without the lock: a hint */
    bool slice_armed;               /* the timer will come and look at the slice, soon enough */
    bool slice_over;                /* the running thread has had its time */
    uint64_t slice_end;             /* TSC; matters while somebody of the same priority waits */
    uint64_t idle_ticks;
    uint64_t idle_since;            /* TSC; 0: not idle */

    /* Written by this CPU alone, interrupts off; others read them as hints. */
    struct thread *_Atomic running; /* the thread that runs here, from the moment it is picked */
    _Atomic uint8_t running_prio;   /* its priority */
    uint64_t switches;

    /*
     * A ready thread that is to run here next, before its equals, and is on no queue: how a faulter hands the CPU to the worker, and the worker
     * hands it back, without a trip through the queue. Own CPU only, interrupts off; so no lock, and no thief sees it.
     */
    struct thread *next;
};

static struct runq runqs[MAX_CPUS];
static uint64_t quantum_ticks;      /* fixed after sched_init() */
static _Atomic uint64_t idle_cpus;  /* bit n: CPU n has nothing to run. Set and cleared by CPU n; others pick from it */

void sched_init(void)
{
    quantum_ticks = ns_to_tsc(options.quantum_us * 1000ull);
    for (unsigned i = 0; i < MAX_CPUS; i++) {
        spin_init(&runqs[i].lock, "run queue", RANK_RUNQ);
        prio_queue_init(&runqs[i].ready);
    }
}

void sched_kick(unsigned cpu)
{
    atomic_store_explicit(&cpus[cpu].need_resched, true, memory_order_release);
    uint64_t flags = irq_save();
    if (cpu != this_cpu()->id)
        ipi_send(cpu, VECTOR_RESCHEDULE);
    irq_restore(flags);
}

/*
 * The thread's run queue, locked. It may be moved until we have the lock, so look again then. `cpu` changes only under the lock of the queue it names,
 * so whoever holds that lock is alone with the thread's priority and its place, also while it is on no queue at all.
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

static void enqueue(struct runq *q, struct thread *thread, bool front)
{
    if (front)
        prio_queue_push_front(&q->ready, thread->prio, &thread->run_node);
    else
        prio_queue_push(&q->ready, thread->prio, &thread->run_node);
    atomic_fetch_add_explicit(&q->ready_count, 1, memory_order_relaxed);
}

static void dequeue(struct runq *q, struct thread *thread)
{
    prio_queue_remove(&q->ready, thread->prio, &thread->run_node);
    atomic_fetch_sub_explicit(&q->ready_count, 1, memory_order_relaxed);
}

/* Where a thread that has just become ready should go. A guess from hints; a wrong one costs time, not correctness. */
static unsigned place(struct thread *thread)
{
    unsigned home = thread->cpu;
    /* Its CPU may still be leaving its stack: nobody else can run it yet. */
    if (thread->pinned || atomic_load_explicit(&thread->on_cpu, memory_order_acquire))
        return home;
    /* Its worker runs there and is done in a moment, as a rule; if it is not, sched_offer() lets an idle CPU know. */
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
 * Who waited for a page did not choose to sleep, and a worker works for somebody who did not: both go on before their equals. Otherwise each page would
 * cost a thread a whole round of everybody else.
 */
static bool goes_first(const struct thread *thread)
{
    return thread->wait == WAIT_WORK || thread->wait == WAIT_PAGE;
}

static unsigned prio_running(struct runq *q) { return atomic_load_explicit(&q->running_prio, memory_order_relaxed); }

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
    enqueue(q, thread, goes_first(thread));
    unsigned running = prio_running(q);
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
    if (goes_first(thread) && thread->cpu == cpu->id && !here->next) {
        here->next = thread;
        if (thread->prio > prio_running(here)
            || atomic_load_explicit(&cpu->current->state, memory_order_relaxed) != THREAD_RUNNING)
            atomic_store_explicit(&cpu->need_resched, true, memory_order_relaxed);
    } else {
        ready_on_queue(thread, cpu->id);
    }
    irq_restore(flags);
}

/* The most urgent thread that may be moved here from the queue of another CPU; NULL. Never waits for a lock. */
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
        dequeue(q, found);
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
 * Who was to run next stands in line after all: at the front, unless it is a faulter and the slice that it would go on with is over. Under q->lock.
 */
static void queue_next(struct runq *q)
{
    if (!q->next)
        return;
    enqueue(q, q->next, !q->slice_over || q->next->wait == WAIT_WORK);
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
static bool preempt(struct runq *q, struct thread *self, const struct cpu *cpu)
{
    queue_next(q);
    int top = prio_queue_top(&q->ready);
    bool over = q->slice_over;
    if (self == cpu->idle ? top < 0 : top < (int)self->prio || (top == (int)self->prio && !over))
        return false;
    atomic_store_explicit(&self->state, THREAD_READY, memory_order_relaxed);
    if (self != cpu->idle)
        enqueue(q, self, !over);
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
            enqueue(q, stolen, true);
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
    atomic_store_explicit(&q->running, next, memory_order_relaxed);
    atomic_store(&q->running_prio, next->prio);
    q->switches++;
    return next;
}

/*
 * The hand-off: the current thread is blocked, and another was told to run next. Nothing but the queue's bitmap is looked at, without the lock: somebody who
 * comes just now sets need_resched after we have cleared it. The slice is handed on, too, so that faulter and worker together
 * have no more than one; when it is over, the worker still gets the CPU, but the faulter goes back in line.
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
    if (atomic_load_explicit(&self->state, memory_order_relaxed) != THREAD_RUNNING || preempt(q, self, cpu))
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
     * Somebody who came since we looked has compared himself with the thread that leaves. He enqueued and then read running_prio, we wrote it and then look
     * at the queue (both sequentially consistent): one of us sees the other.
     */
    if (unlikely(prio_queue_top(&q->ready) > (int)next->prio)) {
        atomic_store_explicit(&cpu->need_resched, true, memory_order_relaxed);
        ipi_send(cpu->id, VECTOR_RESCHEDULE);
    }
    return next;
}

/*
 * What a change of priority means for the queue the thread is on, or for the CPU it runs on. Under q->lock; true: that CPU must look again (which also sets
 * `running_prio` right, if this CPU has just changed threads).
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
    dequeue(q, thread);
    thread->prio = (uint8_t)prio;
    enqueue(q, thread, false);
    return prio > prio_running(q);
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
    unsigned running = prio_running(q);
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
