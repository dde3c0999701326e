/* System calls on console, time, words of memory, and the machine as a whole. */
#include "arch/user.h"
#include "kernel/address.h"
#include "kernel/console_input.h"
#include "kernel/exit_record.h"
#include "kernel/log.h"
#include "kernel/syscall.h"
#include "kernel/task.h"
#include "kernel/time.h"
#include "kernel/wait.h"

#define LOG_MAX    4096u
#define PIECE      256u     /* through the kernel stack */

status_t sys_null(const struct call *call)
{
    (void)call;
    return 0;
}

status_t sys_log(const struct call *call)
{
    char piece[PIECE];
    uint64_t len = min_u64(call->arg[1], LOG_MAX);
    for (uint64_t done = 0; done < len;) {
        uint64_t now = min_u64(len - done, sizeof piece);
        status_t error = copy_from_user(piece, call->arg[0] + done, now);
        if (error)
            return error;
        console_write(piece, now);
        done += now;
    }
    return (status_t)len;
}

/*
 * Console input and power belong to the root account: what it starts on accounts of their own gets neither.
 */
static bool may_rule(void) { return task_current()->account == &account_root; }

status_t sys_console_read(const struct call *call)
{
    char piece[PIECE];
    if (!may_rule())
        return E_NO_RIGHT;
    if (call->arg[1] == 0)
        return E_BAD_ARGUMENT;
    status_t got = console_read(piece, min_u64(call->arg[1], sizeof piece));
    if (got < 0)
        return got;
    status_t error = copy_to_user(call->arg[0], piece, (size_t)got);
    return error ? error : got;
}

status_t sys_power_off(const struct call *call)
{
    if (!may_rule())
        return E_NO_RIGHT;
    machine_end(EXIT_PROGRAM, (uint8_t)call->arg[0]);
}

status_t sys_clock(const struct call *call)
{
    (void)call;
    return (status_t)time_ns();
}

/* From a time span of the user's to a point in time, without overflow. */
static uint64_t deadline_after(uint64_t ns)
{
    uint64_t now = time_ns();
    return ns >= TIME_NEVER - now ? TIME_NEVER : now + ns;
}

status_t sys_sleep(const struct call *call)
{
    return wait_sleep_until(deadline_after(call->arg[0]));
}

status_t sys_wait(const struct call *call)
{
    return object_wait(call->object, deadline_after(call->arg[1]));
}

status_t sys_address_wait(const struct call *call)
{
    return address_wait(call->arg[0], (uint32_t)call->arg[1], deadline_after(call->arg[2]));
}

status_t sys_address_wake(const struct call *call)
{
    return (status_t)address_wake(call->arg[0], call->arg[1]);
}
