/*
 * Threads: life and states. A thread sits at the top of its own kernel stack: one slot of memory (a guard
 * area below, then the stack, then this struct with the FPU state) is all it needs. Slots are kept for the
 * next thread, never unmapped, so a stale pointer to a thread still points at a thread: whoever holds a
 * reference may look, whoever holds none may not.
 */
#ifndef KERNEL_THREAD_H
#define KERNEL_THREAD_H

#include <stdatomic.h>
#include "arch/trap.h"
#include "kernel/list.h"
#include "kernel/object.h"
#include "kernel/timer.h"
#include "kernel/types.h"

struct account;
struct aspace;
struct spinlock;
struct task;

enum thread_state {
    THREAD_NEW,         /* being built; nobody else knows it */
    THREAD_READY,       /* on a run queue, or about to be put there by the one who woke it */
    THREAD_RUNNING,     /* the current thread of a CPU */
    THREAD_BLOCKED,     /* waits for what `wait` says. Left only by one atomic change to READY: who makes it has woken the thread */
    THREAD_DEAD,        /* has ended; runs no more */
};

enum wait_reason { WAIT_NONE, WAIT_PAGE, WAIT_ADDRESS, WAIT_SLEEP, WAIT_END, WAIT_CONSOLE, WAIT_WORK };

#define FPU_AREA_MAX 1024

struct thread {
    _Atomic uint8_t on_cpu;         /* first: trap.asm clears it when the stack is no longer in use. Set under the run queue's lock */
    _Atomic uint8_t state;          /* enum thread_state */
    _Atomic bool killed;            /* set once, by anyone; the thread ends at its next way out to user mode */
    bool page_wait;                 /* asleep on, or just back from, a page fault: for the trace. Own */

    /* Under the lock of the run queue of `cpu`. */
    uint8_t prio;                   /* effective */
    uint8_t base_prio;              /* without what is inherited */
    bool pinned;                    /* stays on its CPU. Fixed */
    uint32_t cpu;                   /* whose run queue; changed only by who has just woken or stolen it */
    struct list_node run_node;

    /* Own, or of who resumes it. */
    struct trap_frame *frame;       /* the whole thread, while it does not run */
    void *frame_base;               /* where user-mode entries push their frame: the top of the stack. Fixed */
    uint64_t tls;                   /* FS base */
    uint32_t fpu_cpu;               /* the CPU whose registers were last loaded with its FPU state */

    /* Waiting: set by the thread itself before it blocks; wait_node under the lock of what it waits for. */
    struct list_node wait_node;
    enum wait_reason wait;
    void *wait_object;              /* WAIT_PAGE: the frame; others: for the eyes of a debugger */
    status_t wake_status;           /* by the one who woke it, before it is ready */
    struct avl_node address_node;   /* WAIT_ADDRESS: in the space's tree. Under its address_lock, as the next two */
    vaddr_t wait_address;
    bool in_address_tree;
    struct timer timer;             /* ends a wait with a limit */

    /* Fixed from creation on. */
    struct object object;
    struct task *task;              /* counted; NULL: a kernel thread */
    struct aspace *space;           /* of task */
    struct account *account;        /* of task, counted: pays for the slot. NULL: a kernel thread */
    uint32_t task_id;               /* of task; 0: none */
    uint64_t who;                   /* both ids, as the trace has them (trace_who()) */
    struct list_node task_node;     /* under the task's lock */
    char name[24];

    /* CPU time: of the running thread's CPU, interrupts off; others read it racily. */
    uint64_t cpu_ticks;
    _Atomic uint64_t *charge;       /* runs along: that of its space, or for a worker that of the space it serves. NULL: none */

    _Alignas(64) uint8_t fpu[FPU_AREA_MAX];     /* when it is not in the registers; never used by kernel threads */
};

/* For people; "?" for a number that is none. */
const char *thread_state_name(enum thread_state state);
const char *wait_reason_name(enum wait_reason reason);

/*
 * A kernel thread, ready to run at once on `cpu` and only there; `prio` up to 63. Boot: panics if there is
 * no memory.
 */
struct thread *thread_create_kernel(const char *name, unsigned cpu, unsigned prio, void (*entry)(void *), void *arg);

/* The idle thread of a CPU that is about to start; its stack top is where the CPU begins. NULL: no memory. */
void *thread_create_idle(unsigned cpu);

/*
 * A thread of `task` that starts at `entry` in user mode; it is running when this returns, and *out has a
 * reference of the caller's. E_DEAD (the task is ending), E_QUOTA, E_NO_MEMORY.
 */
status_t MUST_CHECK thread_create_user(struct task *task, vaddr_t entry, vaddr_t stack, uint64_t arg, unsigned prio, struct thread **out);


/*
 * Makes the current thread BLOCKED on `queue` (may be NULL), or returns false if it is being killed; then
 * it is on no list that it was not on before. Under the lock of what it waits for, so that no waker comes
 * in between. The CPU is given up at the next kernel exit.
 */
bool MUST_CHECK thread_block(enum wait_reason reason, void *object, struct list_node *queue);

/*
 * Makes a BLOCKED thread ready; false if somebody else has woken it already. Under the lock of what it
 * waits for, or by one who holds a reference. Any context.
 */
bool thread_wake(struct thread *thread, status_t status);

/*
 * Sets `killed` and gets the thread out of whatever it waits for. The caller holds a reference. Any
 * context.
 */
void thread_kill(struct thread *thread);

/*
 * The current thread ends, and its task with the last one. From the kernel exit or a system call;
 * interrupts on, no lock.
 */
NORETURN void thread_end(void);

/*
 * An exception in user mode that the program has to answer for: its task ends, with a line in the log. From
 * the trap handler.
 */
void thread_fault(struct trap_frame *frame, const char *what);
/* The same for a page fault: also says which address was touched. */
void thread_page_fault(struct trap_frame *frame, const char *what, vaddr_t address);

/*
 * What the current thread has used since its last switch goes on its charge; what follows, on `charge` (NULL:
 * nobody's). Any context. kernel/exit.c
 */
void thread_charge_to(_Atomic uint64_t *charge);

/* Called with the last reference gone: the slot may be used again. Any context. */
void thread_release(struct thread *thread);

/* Frames in stacks that are kept for new threads; exact only while nobody creates or ends threads. */
uint64_t thread_spare_frames(void);

/* One line on who runs here, for panic(). */
void thread_describe_current(void);

#endif
