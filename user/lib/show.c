/* Tables of what PRIMER_INFO_* and the trace tell: the monitor's views. They only ask and print. */
#include "user/lib/primer.h"

static void print_ms(uint64_t ns)
{
    print("%6lu.%03lu", ns / NS_PER_MS, ns / NS_PER_US % 1000);
}

void show_threads(void)
{
    struct primer_info_thread thread;
    print("  id task cpu prio  state           cpu ms  name\n");
    for (uint64_t id = 0; primer_info(PRIMER_INFO_THREAD, id, &thread, sizeof(thread)) >= 0; id = thread.id + 1) {
        print("%4lu %4lu %3lu %2lu", thread.id, thread.task, thread.cpu, thread.prio);
        if (thread.base_prio != thread.prio)
            print("<%-2lu", thread.base_prio);  /* above its own: somebody more urgent waits for it */
        else
            print("   ");
        print(" %-12s", thread.state_name);
        print_ms(thread.cpu_ns);
        print("  %s\n", thread.name);
    }
}

void show_tasks(void)
{
    struct primer_info_task task;
    print("  id threads  frames  ranges handles     cpu ms\n");
    for (uint64_t id = 0; primer_info(PRIMER_INFO_TASK, id, &task, sizeof(task)) >= 0; id = task.id + 1) {
        print("%4lu %7lu %7lu %7lu %7lu ", task.id, task.threads, task.frames, task.ranges, task.handles);
        print_ms(task.cpu_ns);
        print("\n");
    }
}

void show_memory(void)
{
    struct primer_info_system system;
    if (primer_info(PRIMER_INFO_SYSTEM, 0, &system, sizeof(system)) < 0)
        return;
    print("frames of 4 KiB: %lu managed (%lu MiB), %lu free, %lu used\n", system.frames_total,
          system.frames_total / 256, system.frames_free, system.frames_total - system.frames_free);
    print("not managed: %lu (kernel image, frame descriptors, boot archive of %lu bytes)\n", system.frames_boot,
          system.archive_bytes);
    struct { struct primer_limits used, limit; } account;
    if (primer_info(PRIMER_INFO_ACCOUNT, 0, &account, sizeof(account)) < 0)
        return;
    print("this account: frames %lu of %lu, kernel bytes %lu of %lu, threads %lu of %lu, tasks %lu of %lu\n",
          account.used.frames, account.limit.frames, account.used.kernel_bytes, account.limit.kernel_bytes,
          account.used.threads, account.limit.threads, account.used.tasks, account.limit.tasks);
}

void show_pages(void)
{
    struct primer_info_cpu cpu;
    print("cpu   faults   zeroed   copied   joined   reused  dropped  shootdowns\n");
    for (uint64_t i = 0; primer_info(PRIMER_INFO_CPU, i, &cpu, sizeof(cpu)) >= 0; i++)
        print("%3lu %8lu %8lu %8lu %8lu %8lu %8lu    %8lu\n", i, cpu.faults, cpu.zeroed, cpu.copied, cpu.joined,
              cpu.reused, cpu.dropped, cpu.shootdowns);
}

void show_cpus(void)
{
    struct primer_info_cpu cpu;
    uint64_t now = primer_clock();
    print("cpu  idle     switches   interrupts       events\n");
    for (uint64_t i = 0; primer_info(PRIMER_INFO_CPU, i, &cpu, sizeof(cpu)) >= 0; i++)
        print("%3lu  %3lu%% %12lu %12lu %12lu\n", i, cpu.idle_ns / (now / 100 + 1), cpu.switches,
              cpu.interrupts, cpu.trace_head);
}

struct primer_info_cpu show_cpu_sum(void)
{
    struct primer_info_cpu sum = {0}, cpu;
    for (uint64_t i = 0; primer_info(PRIMER_INFO_CPU, i, &cpu, sizeof(cpu)) >= 0; i++) {
        sum.idle_ns += cpu.idle_ns;
        sum.switches += cpu.switches;
        sum.interrupts += cpu.interrupts;
        sum.faults += cpu.faults;
        sum.zeroed += cpu.zeroed;
        sum.copied += cpu.copied;
        sum.joined += cpu.joined;
        sum.reused += cpu.reused;
        sum.dropped += cpu.dropped;
        sum.shootdowns += cpu.shootdowns;
        sum.trace_head += cpu.trace_head;
        sum.trace_size += cpu.trace_size;
    }
    return sum;
}

void show_programs(void)
{
    const uint8_t *bytes;
    status_t len = primer_archive(&bytes);
    if (len < 0) {
        print("the boot archive cannot be mapped: %s\n", primer_error_text(len));
        return;
    }
    struct ustar_entry entry;
    uint64_t offset = 0;
    enum ustar_result result;
    while ((result = ustar_next(bytes, (uint64_t)len, &offset, &entry)) == USTAR_ENTRY) {
        if (entry.type == '0')
            print("%8lu  /%s\n", entry.size, entry.name);
    }
    if (result == USTAR_BAD)
        print("the boot archive is damaged here: %s\n", entry.error);
}

void show_trace(uint64_t count)
{
    struct primer_trace trace;
    status_t status = primer_trace_collect(&trace, count);
    if (status < 0) {
        print("the trace cannot be read: %s\n", primer_error_text(status));
        return;
    }
    uint64_t first = trace.count - min_u64(count, trace.count);
    for (uint64_t i = first; i < trace.count; i++) {
        const struct primer_event *event = &trace.events[i];
        primer_print_us(event->time - trace.events[first].time);
        print(" us  cpu %-2u %-10s thread %-4u task %-3u", (unsigned)event->cpu, primer_event_name(event->kind),
              event->thread, event->task);
        if (event->page)
            print(" page 0x%lx", (uint64_t)event->page << PAGE_SHIFT);
        if (event->frame)
            print(" frame %u", event->frame);
        if (event->flags)
            print(" flags 0x%x", (unsigned)event->flags);
        if (event->other)
            print(" other 0x%x", event->other);
        print("\n");
    }
    primer_trace_free(&trace);
}
