/*
 * The native system-call interface: everything a user program needs to know of the kernel. Shared by both.
 *
 * `syscall` with the number in rax, arguments in rdi, rsi, rdx, r10, r8, r9; the result in rax: zero or positive, or one of
 * the negative E_*. rcx and r11 are lost, every other register is kept. Reserved bits must be zero; arguments that a
 * call does not have are not looked at.
 */
#ifndef KERNEL_ABI_H
#define KERNEL_ABI_H

#include <stdint.h>

/* --- errors --- */

#define PRIMER_ERRORS(X)                                                                  \
    X(E_BAD_CALL,      1, "no such system call")                                          \
    X(E_BAD_ARGUMENT,  2, "an argument is out of its range")                              \
    X(E_BAD_ADDRESS,   3, "memory that the caller cannot reach that way")                 \
    X(E_BAD_HANDLE,    4, "no such handle, or of another type")                           \
    X(E_NO_RIGHT,      5, "the handle lacks the right")                                   \
    X(E_NO_MEMORY,     6, "the machine is out of memory")                                 \
    X(E_QUOTA,         7, "the account's limit is reached")                               \
    X(E_OCCUPIED,      8, "the address range is already in use")                          \
    X(E_NOT_MAPPED,    9, "part of the range is not mapped")                              \
    X(E_AGAIN,        10, "the word has changed; look again")                             \
    X(E_TIMEOUT,      11, "the time is over")                                             \
    X(E_KILLED,       12, "the caller is being killed")                                   \
    X(E_DEAD,         13, "the object has ended")                                         \
    X(E_NOT_FOUND,    14, "nothing by that name or number")

enum primer_error {
#define X(name, number, text) name = -(number),
    PRIMER_ERRORS(X)
#undef X
};

/* --- system calls --- */

/* X(NUMBER, name): kernel/syscall.c has the checks; the comment block below says what each does. */
#define PRIMER_CALLS(X)                                                                   \
    X(0,  null)                                                                           \
    X(1,  log)                                                                            \
    X(2,  console_read)                                                                   \
    X(3,  clock)                                                                          \
    X(4,  sleep)                                                                          \
    X(5,  vm_map)                                                                         \
    X(6,  vm_unmap)                                                                       \
    X(7,  vm_protect)                                                                     \
    X(8,  vm_read)                                                                        \
    X(9,  vm_write)                                                                       \
    X(10, task_create)                                                                    \
    X(11, task_clone)                                                                     \
    X(12, task_exit)                                                                      \
    X(13, thread_create)                                                                  \
    X(14, thread_exit)                                                                    \
    X(15, thread_priority)                                                                \
    X(16, thread_tls)                                                                     \
    X(17, yield)                                                                          \
    X(18, kill)                                                                           \
    X(19, wait)                                                                           \
    X(20, handle_close)                                                                   \
    X(21, address_wait)                                                                   \
    X(22, address_wake)                                                                   \
    X(23, info)                                                                           \
    X(24, trace_read)                                                                     \
    X(25, power_off)

enum primer_call {
#define X(number, name) SYS_##name = (number),
    PRIMER_CALLS(X)
#undef X
    SYS_COUNT
};

/*
 * null()                                   0. For measuring.
 * log(text, len)                           Writes up to 4096 bytes to the kernel's console. The number written.
 * console_read(buf, len)                   Waits for input on the serial line; at least one byte. Root account only (E_NO_RIGHT).
 * clock()                                  Nanoseconds since boot.
 * sleep(ns)                                0 after at least that long.
 * vm_map(task, address, len, prot, flags)  Maps zeroed memory (or, with PRIMER_MAP_ARCHIVE, the boot archive read-only: len is ignored).
 *                                          Without PRIMER_MAP_FIXED the address is a hint, 0: none. The address.
 *                                          E_OCCUPIED, E_NO_MEMORY, E_QUOTA, E_DEAD. W+X is E_BAD_ARGUMENT.
 * vm_unmap(task, address, len)             Whatever is mapped in the range is gone. Holes are fine.
 * vm_protect(task, address, len, prot)     E_NOT_MAPPED if the range has a hole; then nothing is changed.
 * vm_read(task, address, buf, len)         Copies from another task's memory, or to it. The target may be not yet touched: the copy waits
 * vm_write(task, address, buf, len)        as any fault does. E_BAD_ADDRESS. vm_write respects the target's protection.
 * task_create(limits or 0)                 A new, empty task. With a struct primer_limits: its own account, taken out of the caller's
 *                                          (accounts nest 16 deep, else E_QUOTA). A handle.
 * task_clone()                             A new task whose memory is a copy-on-write clone of the caller's. Same account. A handle. No threads.
 * task_exit(status)                        Ends the caller's task and all its threads; status & 0xff is what wait() tells. Does not return.
 * thread_create(task, entry, sp, arg, prio) A thread that starts at entry with rdi = arg and rsp = sp. prio 1..PRIMER_PRIO_MAX, not above
 *                                          the caller's own limit; 0: the caller's. A handle.
 * thread_exit()                            Ends the calling thread; the task with its last one (status 0).
 * thread_priority(thread, prio)            Sets it; prio 0 only asks. The old one.
 *                                          E_NO_RIGHT: above both the caller's own and the thread's.
 * thread_tls(base)                         Sets the caller's FS base.
 * yield()                                  Lets others of the same priority run.
 * kill(handle)                             Ends a task (status PRIMER_STATUS_KILLED) or a thread, wherever it is.
 * wait(handle, ns)                         Waits until the task or thread has ended and all it had is given back, but for the last stack, which follows a moment
 *                                          later (and with the last handle to a thread). The exit status (thread: 0).
 *                                          ns PRIMER_FOREVER: no limit. E_TIMEOUT.
 * handle_close(handle)                     A task that nobody has a handle to and that never had a thread is gone then.
 * address_wait(address, value, ns)         Sleeps if the 32-bit word still has that value, until woken. E_AGAIN, E_TIMEOUT. May wake for no reason.
 * address_wake(address, count)             Wakes up to count threads of this task that wait there. The number woken.
 * info(what, index, buf, len)              PRIMER_INFO_*: fills one struct; E_NOT_FOUND when index is past the last. See below. The size filled.
 * trace_read(cpu, from, buf, count)        Copies events of one CPU's ring, from event number `from` on. The number copied; older ones are
 *                                          overwritten: then E_NOT_FOUND, ask PRIMER_INFO_CPU for where to start. The trace and info() tell
 *                                          any task about all others: a teaching machine keeps no secrets of that kind.
 * power_off(status)                        Ends the machine; tools/run exits with the status. Root account only.
 *
 * A task argument is a handle or PRIMER_SELF.
 */

#define PRIMER_SELF      0              /* as a handle: the caller's own task (thread calls: the caller) */
#define PRIMER_FOREVER   UINT64_MAX
#define PRIMER_PRIO_MAX  60             /* 61-63 are the kernel's */
#define PRIMER_PRIO_DEFAULT 20
#define PRIMER_STATUS_KILLED 137        /* as a shell would report SIGKILL, ... */
#define PRIMER_STATUS_FAULT  139        /* ... or SIGSEGV: a thread used memory or an instruction it must not */

#define PRIMER_PROT_READ  1
#define PRIMER_PROT_WRITE 2
#define PRIMER_PROT_EXEC  4

#define PRIMER_MAP_FIXED   1            /* exactly there, or E_OCCUPIED */
#define PRIMER_MAP_ARCHIVE 2

struct primer_limits {                  /* each must fit into what the creator's account has left */
    uint64_t frames;                    /* 4 KiB frames, page tables among them */
    uint64_t kernel_bytes;              /* kernel objects: tasks, ranges, handles */
    uint64_t threads;                   /* each also has a kernel stack, which `frames` does not count */
    uint64_t tasks;
};

/* --- info --- */

enum primer_info {
    PRIMER_INFO_SYSTEM,                 /* struct primer_info_system, index 0 */
    PRIMER_INFO_CPU,                    /* struct primer_info_cpu, index: CPU */
    PRIMER_INFO_TASK,                   /* struct primer_info_task, index: an id; the task with the lowest one from there on */
    PRIMER_INFO_THREAD,                 /* struct primer_info_thread, index: likewise */
    PRIMER_INFO_COMMAND_LINE,           /* the kernel's command line, as bytes with a NUL; index 0 */
    PRIMER_INFO_ACCOUNT,                /* struct primer_limits twice: used, limit; of the caller's account; index 0 */
};

struct primer_info_system {
    uint64_t frames_total, frames_free; /* 4 KiB frames the kernel manages; stacks kept for new threads count as free */
    uint64_t frames_boot;               /* of all RAM, frames that are not managed: image, descriptors, archive, ... */
    uint64_t archive_bytes;
    uint64_t cpus, tasks, threads;
    uint64_t time_ns, boot_ns;          /* now; and when the first user instruction was about to run */
    uint64_t irqoff_max_ns;             /* debug builds: longest interrupts-off stretch since boot, else 0 */
    uint64_t inline_mode;               /* pinit=inline */
    uint64_t tsc_hz;                    /* TSC ticks per second: the unit of event times */
};

struct primer_info_cpu {
    uint64_t idle_ns, switches, interrupts;
    uint64_t faults, zeroed, copied, joined, reused, dropped;   /* page faults; pages zeroed and copied; joins; COW pages taken without
                                                                   a copy; pages filled for a mapping that was gone */
    uint64_t shootdowns;                /* flushes asked of other CPUs */
    uint64_t trace_head, trace_size;    /* events ever written here; how many the ring keeps */
};

struct primer_info_task   { uint64_t id, threads, frames, cpu_ns, ranges, handles; };
struct primer_info_thread { uint64_t id, task, cpu, prio, base_prio, state, wait, cpu_ns; char name[32]; char state_name[16]; };

/* --- the event trace --- */

/* One event: 32 bytes, little-endian, as tools/primer/trace.py reads it. */
struct primer_event {
    uint64_t time;                      /* TSC ticks; PRIMER_INFO_SYSTEM and the trace header tell the rate */
    uint64_t page  : 40;                /* page number (address >> 12) */
    uint64_t flags : 8;
    uint64_t cpu   : 8;
    uint64_t kind  : 8;                 /* PRIMER_EVENT_* */
    uint32_t thread, task;              /* by id; 0: nobody. What happens to a page has the task whose page it is, and the thread that does it; */
                                        /* what happens to a thread has that thread and its own task */
    uint32_t frame;                     /* frame number */
    uint32_t other;                     /* source frame, the other thread, the error code: by kind */
};

#define PRIMER_EVENTS(X)                                                                                                \
    X(1,  FAULT,      "page fault: thread, page; flags: the CPU's error code; other: low 32 bits of rip")               \
    X(2,  ALLOC,      "frame allocated for the page")                                                                   \
    X(3,  IO,         "PTE set to io; other: source frame (copy) or 0 (zero)")                                          \
    X(4,  QUEUED,     "request enqueued; flags: priority; other: source frame or 0")                                    \
    X(5,  JOIN,       "page already io: thread joins the frame's waiters")                                              \
    X(6,  SLEEP,      "thread blocked on the frame")                                                                    \
    X(7,  IRET,       "return from the page-fault interrupt: a switch from thread to other")                               \
    X(8,  TAKE,       "worker takes the request; thread: the worker; other: source frame or 0")                         \
    X(9,  FLUSH,      "other CPUs have dropped the page's old translation; thread: the worker")                         \
    X(10, FILL_BEGIN, "thread: the worker; other: source frame or 0")                                                   \
    X(11, FILL_END,   "bytes final; thread: the worker; other: source frame or 0")                                      \
    X(12, PUBLISH,    "PTE set to normal; thread: the worker")                                                          \
    X(13, DROP,       "page was unmapped meanwhile: frame freed, nothing published")                                    \
    X(14, WAKE,       "thread made runnable; other: the waker")                                                         \
    X(15, RESUME,     "after a page wait: a switch from other to thread")                                                  \
    X(16, REUSE,      "copy-on-write page nobody else has: made writable without a copy")                               \
    X(17, LEAVE,      "killed thread leaves the frame's waiters")                                                       \
    X(18, SWITCH,     "any other switch, from other to thread")                                                            \
    X(19, INTERRUPT,  "flags: vector")                                                                                  \
    X(20, UNMAP,      "page's mapping removed; frame: what it named; flags: 1 if it was io")                             \
    X(21, CLONE,      "page shared copy-on-write with a task that thread is making; see the TASK_NEW that follows")     \
    X(22, THREAD_NEW, "thread created; other: 1 if it is a kernel worker")                                              \
    X(23, THREAD_END, "thread ended")                                                                                   \
    X(24, SHOOTDOWN,  "flush asked of other CPUs; other: how many")                                                     \
    X(25, IRQOFF,     "debug builds: a new longest interrupts-off stretch; page: where it ended, low 40 bits; other: ticks") \
    X(26, KILL,       "thread is told to end; other: who says so")                                                      \
    X(27, TASK_NEW,   "task created by thread; other: the task that it is a clone of, or 0")

enum primer_event_kind {
#define X(number, name, text) PRIMER_EVENT_##name = (number),
    PRIMER_EVENTS(X)
#undef X
};

#endif
