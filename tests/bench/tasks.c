/* Making and ending tasks and threads: fork + exit + wait, the fork of 16 MiB alone, thread create + join. */
#include "tests/bench/bench.h"

#define FORKS      200u
#define THREADS    300u
#define BIG_FORKS  20u
#define BIG_SIZE   (16ul << 20)

/* Samples the fork alone if `only_fork`, else all until the child has been waited for. */
static void forks(const char *row, unsigned count, bool only_fork, uint64_t overhead)
{
    bench_begin(count);
    for (unsigned i = 0; i < count; i++) {
        uint64_t from = primer_rdtsc();
        status_t child = primer_must(primer_fork(), "fork");
        if (child == 0)
            primer_exit(0);
        uint64_t forked = primer_rdtsc();
        primer_must(primer_wait((uint64_t)child, PRIMER_FOREVER), "wait");
        uint64_t ended = primer_rdtsc();
        primer_handle_close((uint64_t)child);
        bench_add((only_fork ? forked : ended) - from - overhead);
    }
    bench_end(row);
}

static void nothing(void *unused)
{
    (void)unused;
}

static void threads(uint64_t overhead)
{
    bench_begin(THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        struct primer_thread thread;
        uint64_t from = primer_rdtsc();
        primer_must(primer_thread_start(&thread, nothing, NULL, 0), "thread");
        primer_thread_join(&thread);
        bench_add(primer_rdtsc() - from - overhead);
    }
    bench_end("thread");
}

int main(void)
{
    uint64_t overhead = bench_overhead();
    threads(overhead);
    forks("fork_exit", FORKS, false, overhead);
    uint8_t *base = primer_must_map(BIG_SIZE);
    for (uint64_t at = 0; at < BIG_SIZE; at += PAGE_SIZE)
        *(volatile uint8_t *)(base + at) = 1;
    forks("fork_16m", BIG_FORKS, true, overhead);
    return 0;
}
