/*
 * Page faults: first writes in sequence and alone, copy-on-write after a fork, and writes to copy-on-write
 * pages that nobody else has any more. A lone touch is one far from the one before it, in another page table
 * more often than not; the first in each table pays for the table too, and shows up in p99 and max.
 */
#include "tests/bench/bench.h"

#define SEQ_PAGES   4096u
#define SEQ_CHUNK   64u         /* pages per sample: with read-ahead single touches say nothing */
#define LONE_SPAN   8192u       /* pages mapped; a power of two, so that every odd step visits each page once */
#define LONE_STEP   1381u
#define LONE_PAGES  2048u       /* pages touched */
#define COW_PAGES   1024u
#define COW_STEP    389u

static uint8_t *page_at(uint8_t *base, unsigned index)
{
    return base + (uint64_t)index * PAGE_SIZE;
}

static void sequential(uint64_t overhead)
{
    uint8_t *base = primer_must_map(SEQ_PAGES * PAGE_SIZE);
    bench_begin(SEQ_PAGES / SEQ_CHUNK);
    for (unsigned chunk = 0; chunk < SEQ_PAGES; chunk += SEQ_CHUNK) {
        uint64_t from = primer_rdtsc();
        for (unsigned i = 0; i < SEQ_CHUNK; i++)
            *(volatile uint8_t *)page_at(base, chunk + i) = 1;
        bench_add((primer_rdtsc() - from - overhead) / SEQ_CHUNK);
    }
    bench_end("fault_seq");
    primer_vm_unmap(PRIMER_SELF, (vaddr_t)base, SEQ_PAGES * PAGE_SIZE);
}

static void lone(uint64_t overhead)
{
    uint8_t *base = primer_must_map(LONE_SPAN * PAGE_SIZE);
    bench_begin(LONE_PAGES);
    for (unsigned i = 0; i < LONE_PAGES; i++)
        bench_add(bench_touch(page_at(base, i * LONE_STEP % LONE_SPAN), overhead));
    bench_end("fault_lone");
    primer_vm_unmap(PRIMER_SELF, (vaddr_t)base, LONE_SPAN * PAGE_SIZE);
}

static void touch_all(uint8_t *base, uint64_t overhead)
{
    bench_begin(COW_PAGES);
    for (unsigned i = 0; i < COW_PAGES; i++)
        bench_add(bench_touch(page_at(base, i * COW_STEP % COW_PAGES), overhead));
}

static int copy_on_write(uint64_t overhead)
{
    uint8_t *base = primer_must_map(COW_PAGES * PAGE_SIZE);
    touch_all(base, overhead);
    status_t child = primer_must(primer_fork(), "fork");
    if (child == 0) {
        touch_all(base, overhead);
        bench_end("cow");
        return 0;
    }
    status_t status = primer_must(primer_wait((uint64_t)child, PRIMER_FOREVER), "wait");
    touch_all(base, overhead);          /* the child is gone: every page is this task's alone */
    bench_end("cow_reuse");
    return (int)status;
}

int main(void)
{
    uint64_t overhead = bench_overhead();
    sequential(overhead);
    lone(overhead);
    return copy_on_write(overhead);
}
