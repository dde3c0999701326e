/*
 * Timers. One AVL tree per CPU, ordered by deadline, under a lock of its own (rank TIMER). The hardware
 * timer is one-shot and is armed for the earlier of the first timer and the end of the running thread's
 * slice; with neither, it stays silent.
 */
#include "kernel/timer.h"
#include "arch/irq.h"
#include "kernel/lock.h"
#include "kernel/sched.h"

#define FIRE_AT_ONCE 4      /* timers per interrupt: bounds the time with interrupts off; the rest fires at the next, at once */

struct timers {
    struct spinlock lock;
    struct avl_tree tree;       /* under lock */
    struct avl_node *first;     /* the earliest, or NULL */
    uint64_t armed_ns;          /* what the hardware is armed for. Own CPU, interrupts off */
};

static struct timers timers[MAX_CPUS];

void timers_init(void)
{
    for (unsigned i = 0; i < MAX_CPUS; i++) {
        spin_init(&timers[i].lock, "timers", RANK_TIMER);
        timers[i].armed_ns = TIME_NEVER;
    }
}

static struct timer *timer_of(struct avl_node *node) { return container_of(node, struct timer, node); }

static void insert(struct timers *t, struct timer *timer)
{
    struct avl_node *parent = NULL, **link = &t->tree.root;
    bool first = true;
    while (*link) {
        parent = *link;
        bool left = timer->deadline_ns < timer_of(parent)->deadline_ns;
        link = left ? &parent->left : &parent->right;
        first = first && left;
    }
    avl_insert(&t->tree, parent, link, &timer->node);
    if (first)
        t->first = &timer->node;
}

static void take_out(struct timers *t, struct timer *timer)
{
    if (t->first == &timer->node)
        t->first = avl_next(&timer->node);
    avl_remove(&t->tree, &timer->node);
}

/*
 * Arming costs a device access, so a deadline that is not earlier than the armed one waits for that
 * interrupt to arm it.
 */
static void arm(struct timers *t, uint64_t deadline)
{
    if (deadline >= t->armed_ns)
        return;
    t->armed_ns = deadline;
    uint64_t now = time_ns();
    timer_arm(deadline > now ? ns_to_tsc(deadline - now) : 0);
}

void timer_start(struct timer *timer, uint64_t deadline_ns)
{
    struct cpu *cpu = this_cpu();
    struct timers *t = &timers[cpu->id];
    spin_lock(&t->lock);
    assert(timer->state == TIMER_STOPPED);
    timer->cpu = cpu->id;
    timer->deadline_ns = deadline_ns;
    timer->state = TIMER_PENDING;
    insert(t, timer);
    arm(t, timer_of(t->first)->deadline_ns);
    spin_unlock(&t->lock);
}

void timer_cancel(struct timer *timer)
{
    struct timers *t = &timers[timer->cpu];
    for (;;) {
        spin_lock(&t->lock);
        if (timer->state == TIMER_PENDING) {
            take_out(t, timer);
            timer->state = TIMER_STOPPED;
        }
        bool stopped = timer->state == TIMER_STOPPED;
        spin_unlock(&t->lock);
        if (stopped)
            return;
        cpu_relax();        /* its function runs on another CPU, with interrupts off: it will not be long */
    }
}

void timer_rearm(void)
{
    struct timers *t = &timers[this_cpu()->id];
    spin_lock(&t->lock);
    uint64_t first = t->first ? timer_of(t->first)->deadline_ns : TIME_NEVER;
    arm(t, min_u64(first, sched_slice_end()));
    spin_unlock(&t->lock);
}

static void set_stopped(struct timers *t, struct timer *timer)
{
    spin_lock(&t->lock);
    timer->state = TIMER_STOPPED;
    spin_unlock(&t->lock);
}

void timer_interrupt(void)
{
    struct timers *t = &timers[this_cpu()->id];
    uint64_t now = time_ns();
    t->armed_ns = TIME_NEVER;
    for (unsigned fired = 0; fired < FIRE_AT_ONCE; fired++) {
        spin_lock(&t->lock);
        struct timer *timer = t->first ? timer_of(t->first) : NULL;
        bool due = timer && timer->deadline_ns <= now;
        if (due) {
            take_out(t, timer);
            timer->state = TIMER_FIRING;
        }
        spin_unlock(&t->lock);
        if (!due)
            break;
        timer->expired(timer);
        set_stopped(t, timer);
    }
    if (sched_slice_end() <= now)
        sched_slice_over();
    timer_rearm();
}
