/*
 * The one way out of the kernel. Every entry (exception, interrupt, system call, a kernel thread's yield) ends here, and here alone it is decided who
 * runs next: the `iret` that follows goes into whoever that is. So the return from a page fault, and the scheduler's not running the thread that
 * faulted, are the same line of code. Interrupts are off from here to that `iret`; the run queue's lock is the only one taken.
 */
#include "arch/trap.h"
#include "kernel/lock.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/trace.h"
#include "mm/aspace.h"

/* CPU time is charged twice: to the thread, and to the task it works for. */
static void charge_time(struct thread *thread, uint64_t now)
{
    static uint64_t since[MAX_CPUS];
    uint64_t *mine = &since[this_cpu()->id];
    uint64_t ticks = now - *mine;
    *mine = now;
    thread->cpu_ticks += ticks;
    if (thread->charge)
        atomic_fetch_add_explicit(thread->charge, ticks, memory_order_relaxed);
}

void thread_charge_to(_Atomic uint64_t *charge)
{
    uint64_t flags = irq_save();
    struct thread *self = thread_current();
    charge_time(self, rdtsc());
    self->charge = charge;
    irq_restore(flags);
}

/*
 * Makes `next` the current thread. The FPU is saved whenever a user thread leaves, so that any CPU can take it on, but it is loaded
 * only if the registers hold somebody else's: a worker that fills a page and hands back does not touch them.
 */
static void switch_to(struct cpu *cpu, struct thread *self, struct thread *next, uint64_t now)
{
    charge_time(self, now);
    if (self->space)
        fpu_save(self->fpu);
    cpu->left = self;
    cpu->current = next;
    if (next->space) {
        if (atomic_load_explicit(&cpu->aspace, memory_order_relaxed) != next->space)
            aspace_load(next->space);
        cpu_set_kernel_stack(next->frame_base);
        cpu_set_user_tls(next->tls);
        if (cpu->fpu_owner != next || next->fpu_cpu != cpu->id) {
            fpu_load(next->fpu);
            cpu->fpu_owner = next;
            next->fpu_cpu = cpu->id;
        }
    } else if (next == cpu->idle) {
        aspace_load(NULL);      /* an idle CPU is not asked to flush */
    }
}

/* One event for each change of threads: what it means in the life of a page, if it does. */
static void trace_switch(struct thread *self, struct thread *next, const struct trap_frame *entered)
{
    if (self->page_wait && entered->vector == VECTOR_PAGE_FAULT)
        trace(PRIMER_EVENT_IRET, next->prio, 0, self->object.id, self->task_id, 0, next->object.id);
    else if (!next->page_wait && next != self)
        trace(PRIMER_EVENT_SWITCH, next->prio, 0, next->object.id, next->task_id, 0, self->object.id);
    if (next->page_wait) {
        next->page_wait = false;
        trace(PRIMER_EVENT_RESUME, next->prio, 0, next->object.id, next->task_id, 0, self->object.id);
    }
}

static NORETURN void end_killed(void *unused)
{
    (void)unused;
    irq_enable();
    thread_end();
}

struct trap_frame *kernel_exit(struct trap_frame *frame)
{
    struct cpu *cpu = this_cpu();
    struct thread *self = cpu->current;

    bool running = atomic_load_explicit(&self->state, memory_order_relaxed) == THREAD_RUNNING;
    struct thread *next = self;
    if (unlikely(!running || atomic_load_explicit(&cpu->need_resched, memory_order_relaxed))) {
        self->frame = frame;
        uint64_t now = rdtsc();
        next = sched_pick(self, now);
        if (next != self)
            switch_to(cpu, self, next, now);
        trace_switch(self, next, frame);
        frame = next->frame;
    }
    /* A killed thread does not see user mode again. One that was off its CPU has an empty stack but for the frame it will not need. */
    if (unlikely(atomic_load_explicit(&next->killed, memory_order_relaxed)) && trap_from_user(frame)) {
        if (next == self)
            end_killed(NULL);
        frame = trap_frame_kernel(next->frame_base, end_killed, NULL);
    }
    if (DEBUG && (frame->rflags & RFLAGS_IF))
        irqoff_end();
    return frame;
}
