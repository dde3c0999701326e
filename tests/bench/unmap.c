/* Unmapping 64 MiB that have been touched, per page: each run is one sample. */
#include "tests/bench/bench.h"

#define PAGES 16384ul
#define RUNS  8u

int main(void)
{
    uint64_t overhead = bench_overhead();
    bench_begin(RUNS);
    for (unsigned run = 0; run < RUNS; run++) {
        uint8_t *base = primer_must_map(PAGES * PAGE_SIZE);
        for (uint64_t i = 0; i < PAGES; i++)
            *(volatile uint8_t *)(base + i * PAGE_SIZE) = 1;
        uint64_t from = primer_rdtsc();
        primer_must(primer_vm_unmap(PRIMER_SELF, (vaddr_t)base, PAGES * PAGE_SIZE), "unmap");
        bench_add((primer_rdtsc() - from - overhead) / PAGES);
    }
    bench_end("unmap");
    return 0;
}
