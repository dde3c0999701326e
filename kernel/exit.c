/*
 * The one way out of the kernel. Every entry (exception, interrupt, system call, a kernel thread's yield)
 * ends here, and here alone it is decided who runs next: the `iret` that follows goes into whoever that is.
 * So the return from a page fault, and the scheduler's not running the thread that faulted, are the same
 * line of code. Interrupts are off from here to that `iret`; the run queue's lock is the only one taken.
 */
#include "arch/trap.h"
#include "kernel/lock.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/trace.h"
#include "mm/aspace.h"

/* CPU time is charged twice: to the thread, and to the task it works for. */
static void charge_time(struct cpu *cpu, struct thread *thread, uint64_t now)
{
    uint64_t ticks = now - cpu->charged_until;
    cpu->charged_until = now;
    thread->cpu_ticks += ticks;
    if (thread->charge)
        atomic_fetch_add_explicit(thread->charge, ticks, memory_order_relaxed);
}

void thread_charge_to(_Atomic uint64_t *charge)
{
    uint64_t flags = irq_save();
    struct cpu *cpu = this_cpu();
    charge_time(cpu, cpu->current, rdtsc());
    cpu->current->charge = charge;
    irq_restore(flags);
}

/* What only user mode uses: the kernel stack that it enters on, FS base, FPU. */
static __attribute__((noinline)) void load_user_state(struct cpu *cpu, struct thread *next)
{
    cpu_set_kernel_stack(next->frame_base);
    cpu_set_user_tls(next->tls);
    fpu_load(next->fpu);
    cpu->fpu_owner = next;
    next->fpu_cpu = cpu->id;
}

/*
 * Makes `next` the current thread. The FPU is saved whenever a user thread leaves, so that any CPU can take
 * it on; but a CPU keeps the user state of the thread that was here last, so a worker that fills a page and
 * hands back finds it in place.
 */
static void switch_to(struct cpu *cpu, struct thread *self, struct thread *next, uint64_t now)
{
    charge_time(cpu, self, now);
    if (self->space)
        fpu_save(self->fpu);
    cpu->left = self;
    cpu->current = next;
    if (next->space) {
        if (atomic_load_explicit(&cpu->aspace, memory_order_relaxed) != next->space)
            aspace_load(next->space);
        if (cpu->fpu_owner != next || next->fpu_cpu != cpu->id)
            load_user_state(cpu, next);
    } else if (next == cpu->idle) {
        aspace_load(NULL);      /* an idle CPU is not asked to flush */
    }
}

/* One event for each change of threads: what it means in the life of a page, if it does. */
static void trace_switch(struct thread *self, struct thread *next, const struct trap_frame *entered)
{
    if (self->page_wait && entered->vector == VECTOR_PAGE_FAULT)
        trace(PRIMER_EVENT_IRET, next->prio, 0, self->who, 0, next->object.id);
    else if (!next->page_wait && next != self)
        trace(PRIMER_EVENT_SWITCH, next->prio, 0, next->who, 0, self->object.id);
    if (next->page_wait) {
        next->page_wait = false;
        trace(PRIMER_EVENT_RESUME, next->prio, 0, next->who, 0, self->object.id);
    }
}

static NORETURN void end_killed(void *unused)
{
    (void)unused;
    irq_enable();
    thread_end();
}

/*
 * A killed thread does not see user mode again: it resumes at its own end. If it was off its CPU, its stack
 * is empty but for the user frame.
 */
static struct trap_frame *end_instead(struct thread *next, struct thread *self)
{
    if (next == self)
        end_killed(NULL);
    return trap_frame_kernel(next->frame_base, end_killed, NULL);
}

static __attribute__((noinline)) struct trap_frame *choose_frame(struct cpu *cpu, struct thread *self, struct trap_frame *frame)
{
    uint64_t now = rdtsc();
    self->frame = frame;
    struct thread *next = sched_pick(self, now);
    if (next != self)
        switch_to(cpu, self, next, now);
    trace_switch(self, next, frame);
    frame = next->frame;
    if (unlikely(atomic_load_explicit(&next->killed, memory_order_relaxed)) && trap_from_user(frame))
        frame = end_instead(next, self);
    return frame;
}

struct trap_frame *kernel_exit(struct trap_frame *frame)
{
    struct cpu *cpu = this_cpu();
    struct thread *self = cpu->current;
    bool stays = atomic_load_explicit(&self->state, memory_order_relaxed) == THREAD_RUNNING
              && !atomic_load_explicit(&cpu->need_resched, memory_order_relaxed);
    if (unlikely(!stays) && cpu->nheld == 0)    /* not while a peek at user memory under a lock has faulted (kernel/address.c) */
        frame = choose_frame(cpu, self, frame);
    else if (unlikely(atomic_load_explicit(&self->killed, memory_order_relaxed)) && trap_from_user(frame))
        end_killed(NULL);
    if (DEBUG && (frame->rflags & RFLAGS_IF))
        irqoff_end();
    return frame;
}
