/*
 * How fast are the TSC and the local APIC timer? Measured once, during boot, on CPU 0 with interrupts off,
 * against two clocks whose rate is known: the PIT and the ACPI PM timer. Any of them may be missing, stuck
 * or emulated badly, and the CPU may be taken away from us in the middle of a measurement. So both are read
 * over the same 10 ms, CPUID may have an opinion of its own, and what two of the three agree on is
 * believed.
 */
#include "arch/cpu.h"
#include "arch/irq.h"
#include "arch/port.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/apic.h"
#include "arch/x86_64/insn.h"
#include "boot/boot_info.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/time.h"

#define PIT_HZ      1193182u        /* 8254: 14.31818 MHz / 12 */
#define PM_TIMER_HZ 3579545u        /* ACPI 6.5, 4.8.3.3: 14.31818 MHz / 4 */
#define WINDOWS     3u              /* measurements before giving up on agreement */
#define MAX_POLLS   20000u          /* ends a window in which no clock moves */

/*
 * Intel 8254 datasheet. Channel 2 has a gate that software controls, and its output only drives the
 * speaker.
 */
enum { PIT_CHANNEL2 = 0x42, PIT_COMMAND = 0x43, PORT_B = 0x61 };
#define PIT_SET_CHANNEL2   0xb0     /* low byte then high byte, mode 0: count down once */
#define PIT_LATCH_CHANNEL2 0x80
#define PORT_B_GATE        (1u << 0)
#define PORT_B_SPEAKER     (1u << 1)

/* All clocks at one moment; `width` is how long, in TSC ticks, the moment was. */
struct sample { uint64_t tsc, width; uint32_t pit, pm, lapic; };

/* TSC frequencies in Hz; 0: no opinion. */
enum opinion { OPINION_PM_TIMER, OPINION_PIT, OPINION_CPUID, OPINIONS };
static const char *const opinion_names[OPINIONS] = {"PM timer", "PIT", "CPUID"};

static void pit_start(void)
{
    outb(PORT_B, (uint8_t)((inb(PORT_B) & ~PORT_B_SPEAKER) | PORT_B_GATE));
    outb(PIT_COMMAND, PIT_SET_CHANNEL2);
    outb(PIT_CHANNEL2, 0xff);
    outb(PIT_CHANNEL2, 0xff);      /* counts from here: 55 ms until it wraps */
}

static uint32_t pit_read(void)
{
    outb(PIT_COMMAND, PIT_LATCH_CHANNEL2);
    uint32_t lo = inb(PIT_CHANNEL2);
    return lo | (uint32_t)inb(PIT_CHANNEL2) << 8;
}

static struct sample sample_take(void)
{
    struct sample s = {.tsc = rdtsc()};
    s.lapic = lapic_timer_count();
    s.pm = acpi_info.pm_timer_port ? inl(acpi_info.pm_timer_port) : 0;
    s.pit = pit_read();
    s.width = rdtsc() - s.tsc;
    return s;
}

static uint32_t pit_elapsed(const struct sample *a, const struct sample *b) { return (a->pit - b->pit) & 0xffff; }
static uint32_t pm_elapsed(const struct sample *a, const struct sample *b)
{
    return (b->pm - a->pm) & acpi_info.pm_timer_mask;
}

/* A few microseconds of instructions between two looks: reading a port is slow, on an emulator very slow. */
static void pass_time(void)
{
    for (unsigned i = 0; i < 2000; i++)
        __asm__ volatile("");
}

/* About 10 ms by whichever clock says so first. False if something held us up while we read the clocks. */
static bool measure(struct sample *start, struct sample *end)
{
    pit_start();
    lapic_timer_free_run();
    pass_time();
    sample_take();          /* for the caches, or an emulator's translation: the next one is quick */
    *start = sample_take();
    unsigned polls = 0;
    do {
        pass_time();
        *end = sample_take();
    } while (pit_elapsed(start, end) < PIT_HZ / 100 && pm_elapsed(start, end) < PM_TIMER_HZ / 100
             && ++polls < MAX_POLLS);
    /*
     * The error of the result is at most the two widths; 1/200 leaves the other half of the 1 % to the
     * clocks.
     */
    return (start->width + end->width) * 200 <= end->tsc - start->tsc;
}

/*
 * SDM vol. 2, CPUID 15H: TSC = crystal * EBX / EAX; 16H: the base frequency in MHz, which is the TSC's
 * within 1 %.
 */
static uint64_t tsc_by_cpuid(void)
{
    struct cpuid ratio = cpuid_read(0x15);
    if (ratio.eax && ratio.ebx && ratio.ecx)
        return (uint64_t)ratio.ecx * ratio.ebx / ratio.eax;
    return (cpuid_read(0x16).eax & 0xffff) * 1000000ull;
}

static bool agree(uint64_t a, uint64_t b)
{
    uint64_t low = min_u64(a, b), high = max_u64(a, b);
    return low > 0 && high - low <= high / 100;
}

/* The window is short enough, and every clock slow enough, for the product. */
static uint64_t hertz(uint64_t ticks, uint64_t reference_ticks, uint64_t reference_hz)
{
    return reference_ticks ? ticks * reference_hz / reference_ticks : 0;
}

/*
 * What the first two opinions that agree say, in the first one's words; 0. They are ordered by how finely
 * each counts.
 */
static uint64_t choose(const uint64_t hz[OPINIONS])
{
    for (unsigned a = 0; a < OPINIONS; a++)
        for (unsigned b = a + 1; b < OPINIONS; b++)
            if (agree(hz[a], hz[b])) {
                kprintf("time: TSC at %lu kHz by %s and %s", hz[a] / 1000, opinion_names[a], opinion_names[b]);
                return hz[a];
            }
    return 0;
}

static uint64_t choose_alone(const uint64_t hz[OPINIONS])
{
    kprintf("time: no two clocks agree on the TSC's rate: PIT %lu kHz, PM timer %lu kHz, CPUID %lu kHz (0: not known); "
            "taking the first that is known",
            hz[OPINION_PIT] / 1000, hz[OPINION_PM_TIMER] / 1000, hz[OPINION_CPUID] / 1000);
    if (hz[OPINION_PIT])
        return hz[OPINION_PIT];
    return hz[OPINION_PM_TIMER] ? hz[OPINION_PM_TIMER] : hz[OPINION_CPUID];
}

void timer_calibrate(const struct boot_info *info)
{
    assert(!irqs_on());
    uint64_t hz[OPINIONS] = {[OPINION_CPUID] = tsc_by_cpuid()};
    struct sample start, end;
    uint64_t chosen = 0;
    for (unsigned window = 0; window < WINDOWS && !chosen; window++) {
        bool undisturbed = measure(&start, &end);
        hz[OPINION_PM_TIMER] = hertz(end.tsc - start.tsc, pm_elapsed(&start, &end), PM_TIMER_HZ);
        hz[OPINION_PIT] = hertz(end.tsc - start.tsc, pit_elapsed(&start, &end), PIT_HZ);
        if (undisturbed)
            chosen = choose(hz);
    }
    if (!chosen)
        chosen = choose_alone(hz);
    if (!chosen)
        boot_fail("no clock works: neither PIT nor ACPI PM timer counts, and CPUID does not tell the TSC's rate");

    time_init(chosen, info->entry_tsc);
    uint64_t lapic_ticks = start.lapic - end.lapic;
    /* both counted the same time, however long that was */
    lapic_timer_set_ratio(lapic_ticks, end.tsc - start.tsc);
    kprintf("; local APIC timer at %lu kHz\n", hertz(lapic_ticks, end.tsc - start.tsc, chosen) / 1000);
}
