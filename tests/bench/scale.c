/*
 * Throughput on two CPUs over that on one, times 1000: first writes and copy-on-write faults of two threads of
 * one task, and copy-on-write faults of two tasks. By the wall clock, so the host's load shows.
 */
#include "tests/bench/bench.h"

#define PAGES 1024ul                /* for each worker */
#define SIZE  (PAGES * PAGE_SIZE)
#define RUNS  3u

static _Atomic uint32_t ready;      /* workers that stand at the start */
static _Atomic uint32_t started;

static void touch_each_page(volatile uint8_t *base)
{
    for (uint64_t i = 0; i < PAGES; i++)
        base[i * PAGE_SIZE] = 1;
}

static void worker(void *base)
{
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&started))
        __builtin_ia32_pause();
    touch_each_page(base);
}

/* `count` threads, each with a part of its own; the time from the start until all have ended. */
static uint64_t time_threads(uint8_t *base, unsigned count)
{
    struct primer_thread threads[2];
    atomic_store(&ready, 0);
    atomic_store(&started, 0);
    for (unsigned i = 0; i < count; i++)
        primer_must(primer_thread_start(&threads[i], worker, base + i * SIZE, 0), "thread");
    while (atomic_load(&ready) < count)
        primer_sleep(NS_PER_MS);
    uint64_t from = primer_clock();
    atomic_store(&started, 1);
    for (unsigned i = 0; i < count; i++)
        primer_thread_join(&threads[i]);
    return primer_clock() - from;
}

static uint64_t time_fresh(unsigned count)
{
    uint8_t *base = primer_must_map(count * SIZE);
    uint64_t time = time_threads(base, count);
    primer_vm_unmap(PRIMER_SELF, (vaddr_t)base, count * SIZE);
    return time;
}

/* A child that only sleeps keeps every page shared. */
static uint64_t time_shared(unsigned count)
{
    uint8_t *base = primer_must_map(count * SIZE);
    for (unsigned i = 0; i < count; i++)
        touch_each_page(base + i * SIZE);
    status_t child = primer_must(primer_fork(), "fork");
    if (child == 0)
        for (;;)
            primer_sleep(NS_PER_S);
    uint64_t time = time_threads(base, count);
    primer_kill((uint64_t)child);
    primer_wait((uint64_t)child, PRIMER_FOREVER);
    primer_handle_close((uint64_t)child);
    primer_vm_unmap(PRIMER_SELF, (vaddr_t)base, count * SIZE);
    return time;
}

/* When a child has finished; 0: not yet. Each child has its own copy, which the parent reads from outside. */
static uint64_t finished_at;

static uint64_t wait_until_finished(uint64_t child)
{
    uint64_t at = 0;
    while (at == 0) {
        primer_sleep(2 * NS_PER_MS);
        primer_must(primer_vm_read(child, (vaddr_t)&finished_at, &at, sizeof(at)), "looking into the child");
    }
    return at;
}

/* Each child writes to what it shares with the parent, from a moment agreed upon before the fork. */
static uint64_t time_tasks(unsigned count)
{
    uint8_t *base = primer_must_map(SIZE);
    touch_each_page(base);
    uint64_t child[2], last = 0, start = primer_clock() + 100 * NS_PER_MS;
    for (unsigned i = 0; i < count; i++) {
        child[i] = (uint64_t)primer_must(primer_fork(), "fork");
        if (child[i] == 0) {
            primer_sleep(start - primer_clock());
            touch_each_page(base);
            finished_at = primer_clock();
            for (;;)
                primer_sleep(NS_PER_S);
        }
    }
    for (unsigned i = 0; i < count; i++)
        last = max_u64(last, wait_until_finished(child[i]));
    for (unsigned i = 0; i < count; i++) {
        primer_kill(child[i]);
        primer_wait(child[i], PRIMER_FOREVER);
        primer_handle_close(child[i]);
    }
    primer_vm_unmap(PRIMER_SELF, (vaddr_t)base, SIZE);
    return last - start;
}

static void compare(const char *row, uint64_t (*time)(unsigned count))
{
    time(1);                        /* once to warm up */
    bench_begin(RUNS);
    for (unsigned run = 0; run < RUNS; run++) {
        uint64_t one = time(1);
        bench_add(2000 * one / time(2));
    }
    bench_end(row);
}

int main(void)
{
    compare("scale_fault", time_fresh);
    compare("scale_cow_threads", time_shared);
    compare("scale_cow_procs", time_tasks);
    return 0;
}
