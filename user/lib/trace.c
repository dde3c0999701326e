/*
 * Reading the kernel's event trace from inside. The rings go on being written while we read: a reader asks
 * where each ring is, copies the newest part, and if it was overtaken asks again for less.
 */
#include "user/lib/primer.h"

static const struct { const char *name, *text; } kinds[] = {
#define X(number, name, text) [number] = {#name, text},
    PRIMER_EVENTS(X)
#undef X
};

const char *primer_event_name(unsigned kind)
{
    return kind < ARRAY_SIZE(kinds) && kinds[kind].name ? kinds[kind].name : "?";
}

const char *primer_event_text(unsigned kind)
{
    return kind < ARRAY_SIZE(kinds) && kinds[kind].text ? kinds[kind].text : "an event of an unknown kind";
}

/*
 * Events of one CPU from number `from` up to, not including, `end`; how many came. Fewer if the oldest are
 * overwritten meanwhile: then we ask again for what is left, without the next eighth, which may be gone by
 * the time we ask.
 */
static uint64_t read_cpu(unsigned cpu, uint64_t from, uint64_t end, struct primer_event *to)
{
    for (int attempt = 0; attempt < 4 && from < end; attempt++) {
        status_t got = primer_trace_read(cpu, from, to, end - from);
        if (got >= 0)
            return (uint64_t)got;
        struct primer_info_cpu info;
        if (primer_info(PRIMER_INFO_CPU, cpu, &info, sizeof(info)) < 0)
            return 0;
        uint64_t kept = info.trace_size - info.trace_size / 8;
        if (info.trace_head > kept)
            from = max_u64(from, info.trace_head - kept);
    }
    return 0;
}

/* Shell's sort: in place, short, and quick on what is already sorted in a few runs. */
static void sort_by_time(struct primer_event *events, uint64_t count)
{
    for (uint64_t gap = count / 2; gap > 0; gap /= 2) {
        for (uint64_t i = gap; i < count; i++) {
            struct primer_event event = events[i];
            uint64_t at = i;
            for (; at >= gap && events[at - gap].time > event.time; at -= gap)
                events[at] = events[at - gap];
            events[at] = event;
        }
    }
}

status_t primer_trace_collect(struct primer_trace *trace, uint64_t per_cpu)
{
    /* First of all where the rings are now: what follows makes events too, and nobody asked for those. */
    uint64_t from[MAX_CPUS], end[MAX_CPUS], total = 0;
    unsigned cpus = 0;
    struct primer_info_cpu info;
    for (; cpus < MAX_CPUS && primer_info(PRIMER_INFO_CPU, cpus, &info, sizeof(info)) >= 0; cpus++) {
        end[cpus] = info.trace_head;
        from[cpus] = info.trace_head - min_u64(per_cpu, min_u64(info.trace_head, info.trace_size));
        total += end[cpus] - from[cpus];
    }

    trace->count = 0;
    trace->mapped = align_up((total + 1) * sizeof(struct primer_event), PAGE_SIZE);
    status_t status = primer_vm_map(PRIMER_SELF, 0, trace->mapped, PRIMER_PROT_READ | PRIMER_PROT_WRITE, 0);
    if (status < 0)
        return status;
    trace->events = (struct primer_event *)status;
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        trace->count += read_cpu(cpu, from[cpu], end[cpu], trace->events + trace->count);
    sort_by_time(trace->events, trace->count);
    return 0;
}

void primer_trace_free(struct primer_trace *trace)
{
    primer_vm_unmap(PRIMER_SELF, (vaddr_t)trace->events, trace->mapped);
    trace->count = 0;
}

void primer_print_us(uint64_t ticks)
{
    static uint64_t hz;                 /* the same for everybody who asks, so a race does no harm */
    if (hz == 0) {
        struct primer_info_system system;
        if (primer_info(PRIMER_INFO_SYSTEM, 0, &system, sizeof(system)) >= 0)
            hz = system.tsc_hz;
    }
    /* The whole seconds and the rest apart: the product of all of them would not fit. */
    uint64_t ns = hz ? ticks / hz * NS_PER_S + ticks % hz * NS_PER_S / hz : 0;
    print("%6lu.%03lu", ns / NS_PER_US, ns % NS_PER_US);
}
