/*
 * What the kernel tells about itself: PRIMER_INFO_* and the trace. Every answer is built on the stack
 * first, from short looks under the right locks, and copied out after.
 */
#include "arch/irq.h"
#include "arch/user.h"
#include "boot/boot_info.h"
#include "kernel/boot_time.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/options.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "kernel/task.h"
#include "kernel/time.h"
#include "kernel/trace.h"
#include "mm/pinit.h"

union answer {
    struct primer_info_system system;
    struct primer_info_cpu cpu;
    struct primer_info_task task;
    struct primer_info_thread thread;
    struct primer_limits account[2];
};

static status_t info_system(uint64_t index, struct primer_info_system *out)
{
    struct frame_counts counts = frame_count();
    uint64_t irqoff_max = 0;
    for (unsigned i = 0; i < cpu_count(); i++)
        irqoff_max = max_u64(irqoff_max, cpus[i].irqoff_max);
    *out = (struct primer_info_system){
        .frames_total = counts.total,
        .frames_free = counts.free + thread_spare_frames(),
        .frames_boot = counts.boot,
        .archive_bytes = boot_info.archive.end - boot_info.archive.start,
        .cpus = cpu_count(),
        .tasks = object_count(OBJECT_TASK),
        .threads = object_count(OBJECT_THREAD),
        .time_ns = time_ns(),
        .boot_ns = boot_first_user_ns,
        .irqoff_max_ns = tsc_to_ns(irqoff_max),
        .inline_mode = options.pinit_inline,
        .tsc_hz = tsc_hz,
    };
    return index == 0 ? (status_t)sizeof *out : E_NOT_FOUND;
}

static status_t info_cpu(uint64_t index, struct primer_info_cpu *out)
{
    if (index >= cpu_count())
        return E_NOT_FOUND;
    unsigned cpu = (unsigned)index;
    struct sched_counts sched = sched_counts(cpu);
    struct pinit_counts pinit = pinit_counts[cpu];
    *out = (struct primer_info_cpu){
        .idle_ns = tsc_to_ns(sched.idle_ticks),
        .switches = sched.switches,
        .interrupts = irq_count(cpu),
        .faults = pinit.faults,
        .zeroed = pinit.zeroed,
        .copied = pinit.copied,
        .joined = pinit.joined,
        .reused = pinit.reused,
        .dropped = pinit.dropped,
        .shootdowns = tlb_shootdowns(cpu),
        .trace_head = trace_count(cpu),
        .trace_size = trace_header.ring_events,
    };
    return (status_t)sizeof *out;
}

static void describe_task(struct object *object, void *arg)
{
    const struct task *task = container_of(object, struct task, object);
    *(struct primer_info_task *)arg = (struct primer_info_task){
        .id = object->id,
        .threads = task->thread_count,
        .frames = task->space->frames,
        .cpu_ns = tsc_to_ns(atomic_load_explicit(&task->space->cpu_ticks, memory_order_relaxed)),
        .ranges = task->space->vmas.count,
        .handles = task->handles.count,
    };
}

static void describe_thread(struct object *object, void *arg)
{
    const struct thread *thread = container_of(object, struct thread, object);
    struct primer_info_thread *out = arg;
    enum thread_state state = atomic_load_explicit(&thread->state, memory_order_relaxed);
    const struct task *task = __atomic_load_n(&thread->task, __ATOMIC_RELAXED);
    *out = (struct primer_info_thread){
        .id = object->id,
        .task = task ? thread->task_id : 0,
        .cpu = thread->cpu,
        .prio = thread->prio,
        .base_prio = thread->base_prio,
        .state = state,
        .wait = state == THREAD_BLOCKED ? thread->wait : WAIT_NONE,
        .cpu_ns = tsc_to_ns(thread->cpu_ticks),
    };
    memcpy(out->name, thread->name, sizeof thread->name);
    format(out->state_name, sizeof out->state_name, "%s",
           state == THREAD_BLOCKED ? wait_reason_name(thread->wait) : thread_state_name(state));
}

static status_t info_account(uint64_t index, struct primer_limits out[2])
{
    const struct account *account = task_current()->account;
    if (index != 0)
        return E_NOT_FOUND;
    uint64_t used[RES_COUNT];
    for (unsigned i = 0; i < RES_COUNT; i++)
        used[i] = atomic_load_explicit(&account->used[i], memory_order_relaxed);
    const uint64_t *from[2] = {used, account->limit};
    for (unsigned i = 0; i < 2; i++)
        out[i] = (struct primer_limits){
            .frames = from[i][RES_FRAMES],
            .kernel_bytes = from[i][RES_KERNEL_BYTES],
            .threads = from[i][RES_THREADS],
            .tasks = from[i][RES_TASKS],
        };
    return 2 * sizeof out[0];
}

static status_t info_objects(enum object_type type, uint64_t index, union answer *out)
{
    bool task = type == OBJECT_TASK;
    if (index > UINT32_MAX)
        return E_NOT_FOUND;
    status_t status = object_visit(type, (uint32_t)index, task ? describe_task : describe_thread, out);
    return status ? status : (status_t)(task ? sizeof out->task : sizeof out->thread);
}

static status_t answer(uint64_t what, uint64_t index, union answer *out)
{
    switch (what) {
    case PRIMER_INFO_SYSTEM:  return info_system(index, &out->system);
    case PRIMER_INFO_CPU:     return info_cpu(index, &out->cpu);
    case PRIMER_INFO_TASK:    return info_objects(OBJECT_TASK, index, out);
    case PRIMER_INFO_THREAD:  return info_objects(OBJECT_THREAD, index, out);
    case PRIMER_INFO_ACCOUNT: return info_account(index, out->account);
    default:                  return E_BAD_ARGUMENT;
    }
}

static status_t copy_out(vaddr_t to, uint64_t room, const void *from, uint64_t size)
{
    if (room < size)
        return E_BAD_ARGUMENT;
    status_t error = copy_to_user(to, from, size);
    return error ? error : (status_t)size;
}

status_t sys_info(const struct call *call)
{
    if (call->arg[0] == PRIMER_INFO_COMMAND_LINE)
        return call->arg[1] ? E_NOT_FOUND
                            : copy_out(call->arg[2], call->arg[3], boot_info.cmdline, strlen(boot_info.cmdline) + 1);
    union answer out;
    status_t size = answer(call->arg[0], call->arg[1], &out);
    return size < 0 ? size : copy_out(call->arg[2], call->arg[3], &out, (uint64_t)size);
}

status_t sys_trace_read(const struct call *call)
{
    struct primer_event events[8];
    uint64_t count = call->arg[3], done = 0;
    if (call->arg[0] >= cpu_count())
        return E_NOT_FOUND;
    if (count > 65536 || !user_range_ok(call->arg[2], count * sizeof events[0]))
        return E_BAD_ADDRESS;
    while (done < count) {
        status_t got = trace_copy((unsigned)call->arg[0], call->arg[1] + done, events, min_u64(count - done, ARRAY_SIZE(events)));
        if (got <= 0)
            return done ? (status_t)done : got;
        status_t error = copy_to_user(call->arg[2] + done * sizeof events[0], events, (uint64_t)got * sizeof events[0]);
        if (error)
            return error;
        done += (uint64_t)got;
    }
    return (status_t)done;
}
