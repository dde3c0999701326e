/*
 * What the benchmark programs share: reading the clock, keeping samples, handing them to tests/bench/run. A
 * sample goes out as it was taken, in order, as "bench ROW VALUE*TIMES ..."; statistics are the host's
 * business. Under -icount the clock counts instructions, so equal samples in a row are the rule.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include "user/lib/primer.h"

#define BENCH_MAX 4096u

#define RW (PRIMER_PROT_READ | PRIMER_PROT_WRITE)

struct bench_samples {
    unsigned count;
    uint64_t value[BENCH_MAX];
};

static struct bench_samples bench_samples;

/* Empties the list. Writes where `count` samples will be, so that keeping one is no page fault, unless after a fork. */
static inline void bench_begin(unsigned count)
{
    memset(bench_samples.value, 0, count * sizeof(bench_samples.value[0]));
    bench_samples.count = 0;
}

static inline void bench_add(uint64_t value)
{
    if (bench_samples.count < BENCH_MAX)
        bench_samples.value[bench_samples.count++] = value;
}

/* What two readings of the clock are apart if nothing is between them. */
static inline uint64_t bench_overhead(void)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < 64; i++) {
        uint64_t from = primer_rdtsc();
        uint64_t to = primer_rdtsc();
        least = min_u64(least, to - from);
    }
    return least;
}

/* The time for one write of one byte, less the clock's own. */
static inline uint64_t bench_touch(volatile uint8_t *byte, uint64_t overhead)
{
    uint64_t from = primer_rdtsc();
    *byte = 1;
    uint64_t to = primer_rdtsc();
    return to - from - overhead;
}

static inline void bench_value(const char *row, uint64_t value)
{
    print("bench %s %lu*1\n", row, value);
}

static inline void bench_end(const char *row)
{
    unsigned on_line = 0;
    for (unsigned i = 0; i < bench_samples.count;) {
        unsigned first = i;
        while (i < bench_samples.count && bench_samples.value[i] == bench_samples.value[first])
            i++;
        if (on_line == 0)
            print("bench %s", row);
        print(" %lu*%u", bench_samples.value[first], i - first);
        on_line = (on_line + 1) % 8;
        if (on_line == 0)
            print("\n");
    }
    if (on_line != 0)
        print("\n");
    print_flush();
}

#endif
