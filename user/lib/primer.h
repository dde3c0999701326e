/*
 * The SDK for native programs: one header, a small library behind it, no libc. A program has an ordinary
 *
 *     int main(int argc, char **argv)
 *
 * whose result is the task's exit status. System calls are in syscall.h; what is here is built from them.
 */
#ifndef USER_LIB_PRIMER_H
#define USER_LIB_PRIMER_H

#include <stdatomic.h>
#include "kernel/abi.h"
#include "kernel/archive.h"         /* reading the boot archive and the programs in it */
#include "kernel/log.h"             /* format() and format_v(); the rest of it is the kernel's */
#include "kernel/mem.h"             /* memcpy(), memset(), strlen(), strcmp(), ... */
#include "kernel/types.h"
#include "user/lib/syscall.h"

/*
 * User addresses lie in [PRIMER_USER_MIN, PRIMER_USER_MAX); the kernel's arch/mmu.h has the same two and
 * says why.
 */
#define PRIMER_USER_MIN 0x10000ul
#define PRIMER_USER_MAX 0x7ffffffff000ul

#define NS_PER_US 1000ul
#define NS_PER_MS 1000000ul
#define NS_PER_S  1000000000ul

/* --- output: print.c --- */

/*
 * printf's subset of kernel/log.h, to the kernel's console, at most 511 bytes a call. Gathers until a
 * newline, so that lines of several threads or tasks do not mix. print_flush() also writes what is not a
 * whole line yet, such as a prompt.
 */
PRINTF(1, 2) void print(const char *format, ...);
void print_bytes(const char *bytes, size_t len);
void print_flush(void);
/* Around a clone: the child must find the buffer empty and unlocked. print_unlock() is called in both. */
void print_lock_flushed(void);
void print_unlock(void);

/* --- ending, errors: start.c, error.c --- */

/* Writes out what is buffered and ends the task, as returning from main() does. */
NORETURN void primer_exit(int status);

/* "E_QUOTA", and "the account's limit is reached", for a negative result. */
const char *primer_error_name(status_t status);
const char *primer_error_text(status_t status);
/* Hands `status` through if it is 0 or positive; else says what failed, and how, and exits with 1. */
status_t primer_must(status_t status, const char *what);
/* `len` bytes of zeroed memory to read and write, or the same end. */
void *primer_must_map(uint64_t len);

/* --- words and numbers: text.c --- */

/*
 * Decimal, or hexadecimal after "0x". False, and *value unchanged, if `text` is anything else or does not
 * fit.
 */
bool parse_u64(const char *text, uint64_t *value);
/*
 * Cuts `line` into words at spaces, in place. Double quotes group words; a backslash makes the next
 * character ordinary. Returns how many, or -1: more than `max`, or a quote is not closed. words[count] is
 * NULL, so the array has max + 1 places.
 */
int split_words(char *line, char **words, int max);

/* --- threads: thread.c --- */

#define PRIMER_STACK_SIZE (64 * 1024ul)

struct primer_thread {              /* the caller's; has to last until the join */
    uint64_t handle;
    void (*function)(void *);
    void *argument;
    vaddr_t stack;                  /* lowest address: the guard page */
};

/*
 * Runs function(argument) in a new thread of this task, on a stack of its own. prio 0: the caller's. 0 or
 * E_*.
 */
status_t MUST_CHECK primer_thread_start(struct primer_thread *thread, void (*function)(void *), void *argument,
                                        unsigned prio);
/* Waits until it has ended, and gives its stack back. */
void primer_thread_join(struct primer_thread *thread);

/* --- locks: sync.c. All-zero is the initial state of each. --- */

struct primer_mutex { _Atomic uint32_t state; };        /* 0 free, 1 held, 2 held and somebody may wait */
struct primer_condition { _Atomic uint32_t sequence; };  /* counts the signals */
struct primer_semaphore { _Atomic uint32_t count; };

void primer_mutex_lock(struct primer_mutex *mutex);
void primer_mutex_unlock(struct primer_mutex *mutex);
/*
 * Unlocks, waits for a signal, locks. May return without one: look at what you wait for in a loop. 0 or
 * E_TIMEOUT.
 */
status_t primer_condition_wait(struct primer_condition *condition, struct primer_mutex *mutex, uint64_t ns);
void primer_condition_signal(struct primer_condition *condition);
void primer_condition_broadcast(struct primer_condition *condition);
void primer_semaphore_up(struct primer_semaphore *semaphore);
void primer_semaphore_down(struct primer_semaphore *semaphore);

/* --- tasks: fork.c, fork.asm, spawn.c --- */

/*
 * A copy-on-write clone of this task with one thread, which returns from this call too: with 0. The caller
 * gets a handle to the child's task, or E_*. Handles are not inherited, nor other threads, nor the thread
 * pointer (primer_thread_tls()).
 */
status_t MUST_CHECK primer_fork(void);

/*
 * Starts a program of the boot archive in a new task. A name without '/' is looked for in /bin, then in
 * /test. limits NULL: in the caller's account. prio 0: the caller's. A handle to the task; or E_*, and
 * *reason is what went wrong, in words.
 */
status_t MUST_CHECK primer_spawn(const char *name, int argc, char *const *argv,
                                 const struct primer_limits *limits, unsigned prio, const char **reason);

/* The boot archive, mapped on first use; its length, or E_*. */
status_t MUST_CHECK primer_archive(const uint8_t **archive);

/* --- the event trace: trace.c, story.c --- */

struct primer_trace {
    struct primer_event *events;    /* oldest first */
    uint64_t count;
    uint64_t mapped;                /* bytes behind `events` */
};

static inline uint64_t primer_rdtsc(void) { return __builtin_ia32_rdtsc(); }    /* the clock of event times */

const char *primer_event_name(unsigned kind);
const char *primer_event_text(unsigned kind);
/* The newest events, up to `per_cpu` of each CPU, merged by time. 0 or E_*. */
status_t MUST_CHECK primer_trace_collect(struct primer_trace *trace, uint64_t per_cpu);
void primer_trace_free(struct primer_trace *trace);
/*
 * Prints in words what the trace has on the first fault on the page of `address` at or after `since`
 * (primer_rdtsc()), from the fault until the thread goes on. False: nothing is recorded.
 */
bool primer_story(const void *address, uint64_t since);
/* Prints ticks as microseconds, "12.345". */
void primer_print_us(uint64_t ticks);

/* --- for the monitor: terminal.c, show.c --- */

/* Starts the thread that reads the serial line. 0 or E_*. */
status_t MUST_CHECK terminal_start(void);
/* One line, edited, without its end. Its length (0 after ^C), or E_*. */
status_t MUST_CHECK terminal_line(const char *prompt, char *line, size_t size);
/* From now on ^C kills that task; 0: nobody. */
void terminal_foreground(uint64_t task);

void show_threads(void);
void show_tasks(void);
void show_memory(void);
void show_pages(void);
void show_cpus(void);
void show_programs(void);
void show_trace(uint64_t count);
/* The fields of all CPUs added up. */
struct primer_info_cpu show_cpu_sum(void);

#endif
