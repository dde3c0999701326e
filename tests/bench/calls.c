/*
 * The cheapest system call; switching between two threads of a task by yield; and a round trip through two
 * address waits, as two threads do that hand a lock back and forth.
 */
#include "tests/bench/bench.h"

#define NULL_CALLS 1000u
#define SWITCHES   1000u
#define ROUNDS     1000u

static void null_calls(uint64_t overhead)
{
    bench_begin(NULL_CALLS);
    for (unsigned i = 0; i < NULL_CALLS; i++) {
        uint64_t from = primer_rdtsc();
        primer_null();
        bench_add(primer_rdtsc() - from - overhead);
    }
    bench_end("null_native");
}

static _Atomic bool yielder_may_end;

static void yielder(void *unused)
{
    (void)unused;
    while (!atomic_load_explicit(&yielder_may_end, memory_order_relaxed))
        primer_yield();
}

/* There and back, halved. */
static void yields(uint64_t overhead)
{
    struct primer_thread other;
    primer_must(primer_thread_start(&other, yielder, NULL, 0), "thread");
    primer_yield();
    bench_begin(SWITCHES);
    for (unsigned i = 0; i < SWITCHES; i++) {
        uint64_t from = primer_rdtsc();
        primer_yield();
        bench_add((primer_rdtsc() - from - overhead) / 2);
    }
    bench_end("yield");
    atomic_store_explicit(&yielder_may_end, true, memory_order_relaxed);
    primer_thread_join(&other);
}

/* `turn` says whose turn it is: 0 the main thread's, 1 the other's, 2 there is no more. */
static _Atomic uint32_t turn;

static void wait_while(uint32_t value)
{
    while (atomic_load(&turn) == value)
        primer_address_wait(&turn, value, PRIMER_FOREVER);
}

static void hand_over(uint32_t to)
{
    atomic_store(&turn, to);
    primer_address_wake(&turn, 1);
}

static void answerer(void *unused)
{
    (void)unused;
    for (;;) {
        wait_while(0);
        if (atomic_load(&turn) == 2)
            return;
        hand_over(0);
    }
}

static void round_trips(uint64_t overhead)
{
    struct primer_thread other;
    primer_must(primer_thread_start(&other, answerer, NULL, 0), "thread");
    bench_begin(ROUNDS);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t from = primer_rdtsc();
        hand_over(1);
        wait_while(1);
        bench_add(primer_rdtsc() - from - overhead);
    }
    bench_end("futex_rt");
    hand_over(2);
    primer_thread_join(&other);
}

int main(void)
{
    uint64_t overhead = bench_overhead();
    null_calls(overhead);
    yields(overhead);
    round_trips(overhead);
    return 0;
}
