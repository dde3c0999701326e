/*
 * Where system calls come in: numbers to functions, and the check of every argument. A new kind of argument
 * is a new ARG_ and a line in check(); nothing behind this file looks at a raw user value again.
 */
#include "kernel/syscall.h"
#include "arch/mmu.h"
#include "kernel/handle.h"
#include "kernel/lock.h"
#include "kernel/task.h"
#include "kernel/thread.h"

enum arg_kind {
    ARG_NONE,           /* not looked at */
    ARG_ANY,            /* every value is right */
    ARG_TASK,           /* a task's handle, or PRIMER_SELF */
    ARG_THREAD,         /* a thread's handle, or PRIMER_SELF */
    ARG_OBJECT,         /* a handle of any type */
    ARG_PAGE,           /* a page-aligned user address; the next argument is ARG_PAGES */
    ARG_PAGE_HINT,      /* a page-aligned address or 0 */
    ARG_PAGES,          /* a length in bytes, a multiple of the page size, not 0; with the argument before a user range */
    ARG_MAP_LENGTH,     /* as ARG_PAGES; not looked at if the map flags, two arguments on, say that it is the archive's */
    ARG_BUFFER,         /* a user address; the next argument is ARG_BYTES */
    ARG_BYTES,          /* a length in bytes; with the argument before a user range */
    ARG_REMOTE,         /* as ARG_BUFFER, but in another task: the length is the argument after the next */
    ARG_POINTER,        /* a user address or 0 */
    ARG_WORD,           /* a user address, 4-byte aligned */
    ARG_PROT,           /* PRIMER_PROT_*, not both WRITE and EXEC */
    ARG_MAP_FLAGS,      /* PRIMER_MAP_* */
    ARG_PRIO,           /* 0..PRIMER_PRIO_MAX */
    ARG_CODE,           /* an address that user mode can run at */
};

struct entry {
    status_t (*function)(const struct call *call);
    union {
        uint8_t kind[6];
        uint64_t any_kinds;     /* 0: nothing to check */
    };
};

#define CALL(name, ...) [SYS_##name] = {.function = sys_##name, .kind = {__VA_ARGS__}}

static const struct entry calls[SYS_COUNT] = {
    CALL(null, ARG_NONE),
    CALL(log, ARG_BUFFER, ARG_BYTES),
    CALL(console_read, ARG_BUFFER, ARG_BYTES),
    CALL(clock, ARG_NONE),
    CALL(sleep, ARG_ANY),
    CALL(vm_map, ARG_TASK, ARG_PAGE_HINT, ARG_MAP_LENGTH, ARG_PROT, ARG_MAP_FLAGS),
    CALL(vm_unmap, ARG_TASK, ARG_PAGE, ARG_PAGES),
    CALL(vm_protect, ARG_TASK, ARG_PAGE, ARG_PAGES, ARG_PROT),
    CALL(vm_read, ARG_TASK, ARG_REMOTE, ARG_BUFFER, ARG_BYTES),
    CALL(vm_write, ARG_TASK, ARG_REMOTE, ARG_BUFFER, ARG_BYTES),
    CALL(task_create, ARG_POINTER),
    CALL(task_clone, ARG_NONE),
    CALL(task_exit, ARG_ANY),
    CALL(thread_create, ARG_TASK, ARG_CODE, ARG_ANY, ARG_ANY, ARG_PRIO),
    CALL(thread_exit, ARG_NONE),
    CALL(thread_priority, ARG_THREAD, ARG_PRIO),
    CALL(thread_tls, ARG_POINTER),
    CALL(yield, ARG_NONE),
    CALL(kill, ARG_OBJECT),
    CALL(wait, ARG_OBJECT, ARG_ANY),
    CALL(handle_close, ARG_ANY),
    CALL(address_wait, ARG_WORD, ARG_ANY, ARG_ANY),
    CALL(address_wake, ARG_WORD, ARG_ANY),
    CALL(info, ARG_ANY, ARG_ANY, ARG_BUFFER, ARG_BYTES),
    CALL(trace_read, ARG_ANY, ARG_ANY, ARG_POINTER, ARG_ANY),
    CALL(power_off, ARG_ANY),
};

static status_t check_object(struct call *call, uint64_t handle, enum arg_kind kind)
{
    if (handle == PRIMER_SELF && kind != ARG_OBJECT) {
        call->object = kind == ARG_TASK ? &task_current()->object : &thread_current()->object;
        object_get(call->object);
    } else {
        unsigned type = kind == ARG_TASK ? OBJECT_TASK : kind == ARG_THREAD ? OBJECT_THREAD : 0;
        call->object = handle_get(task_current(), handle, type);
        if (!call->object)
            return E_BAD_HANDLE;
    }
    if (call->object->type == OBJECT_TASK)
        call->task = container_of(call->object, struct task, object);
    return 0;
}

static status_t check_number(bool fine) { return fine ? 0 : E_BAD_ARGUMENT; }
static status_t check_address(bool fine) { return fine ? 0 : E_BAD_ADDRESS; }

/* Argument `i` against its kind. */
static status_t check(struct call *call, enum arg_kind kind, unsigned i)
{
    uint64_t value = call->arg[i];
    switch (kind) {
    case ARG_NONE:
    case ARG_ANY:
        return 0;
    case ARG_TASK:
    case ARG_THREAD:
    case ARG_OBJECT:
        return check_object(call, value, kind);
    case ARG_PAGE:
    case ARG_PAGE_HINT:
        return check_number((value & PAGE_MASK) == 0);
    case ARG_MAP_LENGTH:
        return call->arg[i + 2] & PRIMER_MAP_ARCHIVE ? 0 : check(call, ARG_PAGES, i);
    case ARG_PAGES: {
        vaddr_t start = call->arg[i - 1] ? call->arg[i - 1] : USER_MIN;
        status_t error = check_number(value != 0 && (value & PAGE_MASK) == 0);
        return error ? error : check_address(user_range_ok(start, value));
    }
    case ARG_BUFFER:
    case ARG_BYTES:
        return kind == ARG_BUFFER ? 0 : check_address(value == 0 || user_range_ok(call->arg[i - 1], value));
    case ARG_REMOTE:
        return check_address(call->arg[i + 2] == 0 || user_range_ok(value, call->arg[i + 2]));
    case ARG_POINTER:
        return check_address(value == 0 || user_range_ok(value, 1));
    case ARG_WORD:
        return (value & 3) ? E_BAD_ARGUMENT : check_address(user_range_ok(value, 4));
    case ARG_PROT: {
        unsigned w_x = PRIMER_PROT_WRITE | PRIMER_PROT_EXEC;
        return check_number(!(value & ~(uint64_t)(PRIMER_PROT_READ | w_x)) && (value & w_x) != w_x);
    }
    case ARG_MAP_FLAGS:
        return check_number(!(value & ~(uint64_t)(PRIMER_MAP_FIXED | PRIMER_MAP_ARCHIVE)));
    case ARG_PRIO:
        return check_number(value <= PRIMER_PRIO_MAX);
    case ARG_CODE:
        return check_address(user_range_ok(value, 1));
    }
    return E_BAD_ARGUMENT;
}

static status_t checked_call(const struct entry *entry, const struct trap_frame *frame)
{
    struct call call = {.arg = {frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8, frame->r9}};
    status_t result = 0;
    for (unsigned i = 0; i < 6 && result == 0; i++)
        result = check(&call, entry->kind[i], i);
    if (result == 0)
        result = entry->function(&call);
    if (call.object)
        object_put(call.object);
    return result;
}

void syscall_entry(struct trap_frame *frame)
{
    irq_enable();
    uint64_t number = frame->rax;
    if (unlikely(number >= SYS_COUNT))
        frame->rax = (uint64_t)E_BAD_CALL;
    else if (calls[number].any_kinds == 0)
        frame->rax = (uint64_t)calls[number].function(NULL);
    else
        frame->rax = (uint64_t)checked_call(&calls[number], frame);
    irq_disable();
}
