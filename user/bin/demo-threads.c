/*
 * Priorities: a thread runs only if nobody more urgent wants the CPU. For each of three priorities as many
 * threads count as there are CPUs. First all of them want to run; then the most urgent ones stop, and so
 * on.
 */
#include "user/lib/primer.h"

#define LEVELS  3
#define PHASE   (200 * NS_PER_MS)

static const unsigned prios[LEVELS] = {15, 10, 5};  /* below that of main(), which has to stop them */

struct level {
    _Atomic bool stop;
    struct worker {
        struct primer_thread thread;
        struct level *level;
        _Atomic uint64_t count;
    } worker[MAX_CPUS];
};
static struct level levels[LEVELS];

static void count_until_stop(void *argument)
{
    struct worker *worker = argument;
    while (!worker->level->stop) {
        /* Only this thread writes it: a load and a store are enough. */
        uint64_t count = atomic_load_explicit(&worker->count, memory_order_relaxed);
        atomic_store_explicit(&worker->count, count + 1, memory_order_relaxed);
    }
}

static uint64_t level_sum(struct level *level, unsigned per)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < per; i++)
        sum += atomic_load_explicit(&level->worker[i].count, memory_order_relaxed);
    return sum;
}

/* Lets the threads run for a while and prints each level's share of the counting. */
static void phase(const char *what, unsigned per)
{
    uint64_t before[LEVELS], gained[LEVELS], total = 0;
    for (int i = 0; i < LEVELS; i++)
        before[i] = level_sum(&levels[i], per);
    primer_sleep(PHASE);
    for (int i = 0; i < LEVELS; i++) {
        gained[i] = level_sum(&levels[i], per) - before[i];
        total += gained[i];
    }
    print("%-28s", what);
    for (int i = 0; i < LEVELS; i++)
        print("  prio %-2u %3lu%%", prios[i], gained[i] * 100 / (total ? total : 1));
    print("\n");
}

int main(void)
{
    struct primer_info_system system;
    primer_must(primer_info(PRIMER_INFO_SYSTEM, 0, &system, sizeof(system)), "asking for the number of CPUs");
    unsigned per = (unsigned)min_u64(system.cpus, MAX_CPUS);
    print("%lu CPU(s), and for each of %d priorities %u thread(s). Shares of the work done:\n\n", system.cpus,
          LEVELS, per);

    for (int i = 0; i < LEVELS; i++) {
        for (unsigned j = 0; j < per; j++) {
            struct worker *worker = &levels[i].worker[j];
            worker->level = &levels[i];
            primer_must(primer_thread_start(&worker->thread, count_until_stop, worker, prios[i]),
                        "starting a thread");
        }
    }
    static const char *const what[LEVELS] = {"all want to run:", "without prio 15:", "only prio 5 is left:"};
    for (int i = 0; i < LEVELS; i++) {
        phase(what[i], per);
        levels[i].stop = true;
        for (unsigned j = 0; j < per; j++)
            primer_thread_join(&levels[i].worker[j].thread);
    }
    print("\nA lower priority is not a smaller share: it gets what the others leave. main() has %ld, and sleeps.\n",
          primer_thread_priority(PRIMER_SELF, 0));
    return 0;
}
