/*
 * One operation for tools/profile, between two clock() calls, which nothing else in this program makes. Before
 * them the same operation a few times, so that what is counted is the ordinary case.
 */
#include "tests/bench/bench.h"

#define WARM_UP 45u
#define STEP    1381u
#define SPAN    8192u

static uint8_t *base;

static volatile uint8_t *page(unsigned i)
{
    return base + (uint64_t)(i * STEP % SPAN) * PAGE_SIZE;
}

/* The span has 16 page tables: the touches before have been in each, and the frame cache needs no refill now. */
static void zero(void)
{
    base = primer_must_map(SPAN * PAGE_SIZE);
    for (unsigned i = 0; i < WARM_UP; i++)
        *page(i) = 1;
    primer_clock();
    *page(WARM_UP) = 1;
    primer_clock();
}

static void sequential(void)
{
    base = primer_must_map(SPAN * PAGE_SIZE);
    for (unsigned i = 0; i < WARM_UP; i++)
        base[i * PAGE_SIZE] = 1;
    primer_clock();
    for (unsigned i = 0; i < 16; i++)
        base[(WARM_UP + i) * PAGE_SIZE] = 1;
    primer_clock();
}

/* `in_child`: a copy, as the parent has the page too; else the child is gone and the page is taken as it is. */
static void copy(bool in_child)
{
    base = primer_must_map(SPAN * PAGE_SIZE);
    for (unsigned i = 0; i <= WARM_UP; i++)
        *page(i) = 1;
    status_t child = primer_must(primer_fork(), "fork");
    if (!child && !in_child)
        primer_exit(0);
    if (child)
        primer_wait((uint64_t)child, PRIMER_FOREVER);
    if (in_child != (child == 0))
        return;
    for (unsigned i = 0; i < WARM_UP; i++)
        *page(i) = 2;
    primer_clock();
    *page(WARM_UP) = 2;
    primer_clock();
}

static void null(void)
{
    primer_null();
    primer_clock();
    primer_null();
    primer_clock();
}

static void fork_and_wait(void)
{
    status_t child = primer_must(primer_fork(), "fork");
    if (child == 0)
        primer_exit(0);
    primer_wait((uint64_t)child, PRIMER_FOREVER);
    primer_handle_close((uint64_t)child);
}

static void fork_exit(void)
{
    for (unsigned i = 0; i < 4; i++)
        fork_and_wait();
    primer_clock();
    fork_and_wait();
    primer_clock();
}

static void nothing(void *unused)
{
    (void)unused;
}

static void start_and_join(void)
{
    struct primer_thread thread;
    primer_must(primer_thread_start(&thread, nothing, NULL, 0), "thread");
    primer_thread_join(&thread);
}

static void thread(void)
{
    for (unsigned i = 0; i < 4; i++)
        start_and_join();
    primer_clock();
    start_and_join();
    primer_clock();
}

static void unmap(void)
{
    const uint64_t len = 512 * PAGE_SIZE;
    for (unsigned run = 0; run < 2; run++) {
        base = primer_must_map(len);
        for (uint64_t at = 0; at < len; at += PAGE_SIZE)
            base[at] = 1;
        if (run == 1)
            primer_clock();
        primer_vm_unmap(PRIMER_SELF, (vaddr_t)base, len);
    }
    primer_clock();
}

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";
    if (strcmp(what, "zero") == 0)
        zero();
    else if (strcmp(what, "sequential") == 0)
        sequential();
    else if (strcmp(what, "cow") == 0 || strcmp(what, "reuse") == 0)
        copy(what[0] == 'c');
    else if (strcmp(what, "null") == 0)
        null();
    else if (strcmp(what, "fork") == 0)
        fork_exit();
    else if (strcmp(what, "thread") == 0)
        thread();
    else if (strcmp(what, "unmap") == 0)
        unmap();
    else
        return 2;
    return 0;
}
