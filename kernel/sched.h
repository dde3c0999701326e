/*
 * The scheduler: per-CPU run queues of fixed priorities, round robin inside one. Who runs next is decided
 * in one place, the kernel exit (kernel/exit.c).
 */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H

#include "arch/cpu.h"
#include "kernel/thread.h"

#define PRIO_IDLE   0

/* Boot, before the first thread. */
void sched_init(void);

/*
 * Puts a READY thread that is on no queue on the best CPU's, and makes that CPU look if the thread is more
 * urgent. Any context; rank RUNQ.
 */
void sched_ready(struct thread *thread);

/*
 * For a worker that is idle, pinned to this CPU and never killed: makes it ready with `prio`, and the next
 * to run here. The caller is about to give up the CPU for it. Interrupts off.
 */
void sched_hand_off(struct thread *worker, unsigned prio);

/* Somebody is ready here and has to wait: if a CPU is idle, it comes and takes what it can. Any context. */
void sched_offer(void);

/*
 * Takes the calling CPU's next thread (never NULL: idle at last), `self` going back to the queue if it is
 * still running. Marks the result as running here. `now`: TSC. For the kernel exit; interrupts off.
 */
struct thread *sched_pick(struct thread *self, uint64_t now);

/*
 * Changes a thread's effective or base priority, wherever it is; a more urgent one may preempt. Any
 * context; rank RUNQ.
 */
void sched_set_prio(struct thread *thread, unsigned prio);
unsigned sched_set_base_prio(struct thread *thread, unsigned prio);

/* Whether the running kernel thread should call kernel_yield(): a hint, for long work with interrupts on. */
static inline bool sched_should_yield(void)
{
    return atomic_load_explicit(&this_cpu()->need_resched, memory_order_relaxed);
}

/* The current thread lets others of its priority go first. */
void sched_yield(void);

/* Makes CPU `cpu` go through its kernel exit soon. Any context. */
void sched_kick(unsigned cpu);

/*
 * When the running thread's time slice ends, in ns; TIME_NEVER if nobody else wants the CPU. The caller
 * arms the timer for it. This CPU, interrupts off.
 */
uint64_t sched_slice_end(void);
/* The timer says that it has ended. */
void sched_slice_over(void);

struct sched_counts { uint64_t switches, idle_ticks; };
/* Of any CPU, up to now. */
struct sched_counts sched_counts(unsigned cpu);

#endif
