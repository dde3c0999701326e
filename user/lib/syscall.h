/*
 * The system calls as C functions, one line each. kernel/abi.h says what they do; here is only how a number
 * and its arguments get into registers. Results: 0 or positive, or one of the negative E_*.
 */
#ifndef USER_LIB_SYSCALL_H
#define USER_LIB_SYSCALL_H

#include "kernel/abi.h"
#include "kernel/types.h"

/*
 * `syscall` itself destroys rcx and r11 (it puts rip and rflags there: SDM vol. 2, SYSCALL). "memory",
 * since the kernel reads and writes what the arguments point to, and since other threads may run meanwhile.
 */
static inline status_t primer_call(enum primer_call number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                                   uint64_t e)
{
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = 0;     /* no call has a sixth argument yet: reserved, so zero */
    status_t result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"((uint64_t)number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* --- console and time --- */

static inline status_t primer_null(void) { return primer_call(SYS_null, 0, 0, 0, 0, 0); }
static inline status_t primer_log(const char *text, size_t len)
{
    return primer_call(SYS_log, (uintptr_t)text, len, 0, 0, 0);
}
static inline status_t primer_console_read(char *buf, size_t len)
{
    return primer_call(SYS_console_read, (uintptr_t)buf, len, 0, 0, 0);
}
static inline uint64_t primer_clock(void)
{
    return (uint64_t)primer_call(SYS_clock, 0, 0, 0, 0, 0);
}
static inline status_t primer_sleep(uint64_t ns)    { return primer_call(SYS_sleep, ns, 0, 0, 0, 0); }

/* --- memory; `task` is a handle or PRIMER_SELF --- */

static inline status_t primer_vm_map(uint64_t task, vaddr_t address, uint64_t len, unsigned prot, unsigned flags)
{
    return primer_call(SYS_vm_map, task, address, len, prot, flags);
}
static inline status_t primer_vm_unmap(uint64_t task, vaddr_t address, uint64_t len)
{
    return primer_call(SYS_vm_unmap, task, address, len, 0, 0);
}
static inline status_t primer_vm_protect(uint64_t task, vaddr_t address, uint64_t len, unsigned prot)
{
    return primer_call(SYS_vm_protect, task, address, len, prot, 0);
}
static inline status_t primer_vm_read(uint64_t task, vaddr_t address, void *buf, uint64_t len)
{
    return primer_call(SYS_vm_read, task, address, (uintptr_t)buf, len, 0);
}
static inline status_t primer_vm_write(uint64_t task, vaddr_t address, const void *buf, uint64_t len)
{
    return primer_call(SYS_vm_write, task, address, (uintptr_t)buf, len, 0);
}

/* --- tasks and threads --- */

static inline status_t primer_task_create(const struct primer_limits *limits)
{
    return primer_call(SYS_task_create, (uintptr_t)limits, 0, 0, 0, 0);
}
static inline status_t primer_task_clone(void) { return primer_call(SYS_task_clone, 0, 0, 0, 0, 0); }
static inline NORETURN void primer_task_exit(int status)
{
    primer_call(SYS_task_exit, (uint64_t)status & 0xff, 0, 0, 0, 0);
    __builtin_unreachable();
}
static inline status_t primer_thread_create(uint64_t task, vaddr_t entry, vaddr_t sp, uint64_t arg, unsigned prio)
{
    return primer_call(SYS_thread_create, task, entry, sp, arg, prio);
}
static inline NORETURN void primer_thread_exit(void)
{
    primer_call(SYS_thread_exit, 0, 0, 0, 0, 0);
    __builtin_unreachable();
}
static inline status_t primer_thread_priority(uint64_t thread, unsigned prio)
{
    return primer_call(SYS_thread_priority, thread, prio, 0, 0, 0);
}
static inline status_t primer_thread_tls(vaddr_t base)
{
    return primer_call(SYS_thread_tls, base, 0, 0, 0, 0);
}
static inline status_t primer_yield(void)
{
    return primer_call(SYS_yield, 0, 0, 0, 0, 0);
}
static inline status_t primer_kill(uint64_t handle)
{
    return primer_call(SYS_kill, handle, 0, 0, 0, 0);
}
static inline status_t primer_wait(uint64_t handle, uint64_t ns)
{
    return primer_call(SYS_wait, handle, ns, 0, 0, 0);
}
static inline status_t primer_handle_close(uint64_t handle)
{
    return primer_call(SYS_handle_close, handle, 0, 0, 0, 0);
}

/* --- sleeping on a word; user/lib/sync.c builds locks from it --- */

static inline status_t primer_address_wait(const void *word, uint32_t value, uint64_t ns)
{
    return primer_call(SYS_address_wait, (uintptr_t)word, value, ns, 0, 0);
}
static inline status_t primer_address_wake(const void *word, uint32_t count)
{
    return primer_call(SYS_address_wake, (uintptr_t)word, count, 0, 0, 0);
}

/* --- looking at the machine, and ending it --- */

static inline status_t primer_info(enum primer_info what, uint64_t index, void *buf, size_t len)
{
    return primer_call(SYS_info, what, index, (uintptr_t)buf, len, 0);
}
static inline status_t primer_trace_read(unsigned cpu, uint64_t from, struct primer_event *buf, uint64_t count)
{
    return primer_call(SYS_trace_read, cpu, from, (uintptr_t)buf, count, 0);
}
static inline status_t primer_power_off(int status)
{
    return primer_call(SYS_power_off, (uint64_t)status & 0xff, 0, 0, 0, 0);
}

#endif
