/*
 * The event rings: where they come from, and how they are read. No lock: each
 * ring is written by its own CPU, and readers find out afterwards whether the writer has overtaken them.
 */
#include "kernel/trace.h"
#include "arch/mmu.h"
#include "boot/boot_info.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/time.h"
#include "mm/frame.h"

#define TRACE_MAGIC  0x314352544d495250ull  /* "PRIMTRC1", first letter in the lowest byte */
#define EARLY_EVENTS 16
#define RAM_SHARE    4              /* the rings may take a quarter of RAM: more is a slip of the keyboard */

_Static_assert(sizeof(struct trace_event) == sizeof(struct primer_event), "one layout, two views");

struct trace_header trace_header;
static struct trace_event early_ring[EARLY_EVENTS];
static uint64_t trace_mask = sizeof early_ring - 1;     /* bytes of a ring - 1 */

#define EVENT_BYTES sizeof(struct trace_event)

/*
 * As few instructions as it can be done in: there are a dozen events in the life of every page. The slot is
 * reserved by one instruction, so an interrupt that comes after it writes behind us. A move to another CPU
 * between the reads leaves an event in the other ring, in this CPU's slot: harmless.
 */
void trace_write(uint64_t tag, uint64_t who, uint64_t frames)
{
    uint64_t at = EVENT_BYTES;
    uint32_t lo, hi;
    __asm__ volatile("xadd %0, %%gs:48" : "+r"(at) : : "cc", "memory");
    at &= trace_mask;
    __asm__ volatile("add %%gs:40, %0; or %%gs:56, %1" : "+r"(at), "+r"(tag) : : "cc");
    struct trace_event *event = (struct trace_event *)at;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    event->time[0] = lo;
    event->time[1] = hi;
    event->words[0] = tag;
    event->words[1] = who;
    event->words[2] = frames;
}

/* How many events CPU `cpu` has ever written. */
uint64_t trace_count(unsigned cpu) { return __atomic_load_n(&cpus[cpu].trace_head, __ATOMIC_ACQUIRE) / EVENT_BYTES; }

void trace_early_init(void)
{
    cpus[0].trace_ring = early_ring;
}

static uint64_t ram_bytes(void)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < boot_info.ram_count; i++)
        bytes += boot_info.ram[i].end - boot_info.ram[i].start;
    return bytes;
}

void trace_init(unsigned count, uint32_t ring_events)
{
    assert(count >= 1 && count <= MAX_CPUS);
    assert(ring_events >= EARLY_EVENTS && (ring_events & (ring_events - 1)) == 0);

    uint64_t pages = align_up(ring_events * sizeof(struct trace_event), PAGE_SIZE) >> PAGE_SHIFT;
    uint64_t bytes = count * pages * PAGE_SIZE;
    if (bytes > ram_bytes() / RAM_SHARE)
        boot_fail("trace=%u on %u CPUs takes %lu KiB of %lu KiB of memory", ring_events, count, bytes >> 10,
                  ram_bytes() >> 10);

    for (unsigned i = 0; i < count; i++) {
        paddr_t ring = frame_boot_alloc(&boot_info, pages);
        memset(phys_to_virt(ring), 0, pages * PAGE_SIZE);
        trace_header.cpu[i].ring_phys = ring.value;
        if (i > 0)
            cpus[i].trace_ring = phys_to_virt(ring);
    }

    /*
     * CPU 0 has events already: they move over with the numbers they have. Interrupts are off, nobody else
     * runs.
     */
    struct trace_event *ring = phys_to_virt(paddr(trace_header.cpu[0].ring_phys));
    uint64_t head = trace_count(0);
    for (uint64_t slot = head - min_u64(head, EARLY_EVENTS); slot < head; slot++)
        ring[slot & (ring_events - 1)] = early_ring[slot & (EARLY_EVENTS - 1)];
    cpus[0].trace_ring = ring;
    trace_mask = ring_events * EVENT_BYTES - 1;

    trace_header.ring_events = ring_events;
    trace_header.cpu_count = count;
    trace_header.magic = TRACE_MAGIC;
}

void trace_finish(void)
{
    trace_header.tsc_hz = tsc_hz;
    for (unsigned i = 0; i < trace_header.cpu_count; i++)
        trace_header.cpu[i].head = trace_count(i);
}

status_t trace_copy(unsigned cpu, uint64_t from, struct primer_event *to, uint64_t count)
{
    if (cpu >= trace_header.cpu_count)
        return E_NOT_FOUND;
    const struct trace_event *ring = cpus[cpu].trace_ring;
    uint64_t kept = trace_header.ring_events;
    uint64_t head = trace_count(cpu);
    if (from >= head || head - from > kept)
        return E_NOT_FOUND;

    count = min_u64(count, head - from);
    for (uint64_t i = 0; i < count; i++) {
        memcpy(&to[i], &ring[(from + i) & (kept - 1)], sizeof(*to));
        /*
         * The writer reserves before it stores: if the slot is not reserved anew by now, what was read is
         * whole.
         */
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (trace_count(cpu) - (from + i) > kept)
            return i > 0 ? (status_t)i : E_NOT_FOUND;
    }
    return (status_t)count;
}
