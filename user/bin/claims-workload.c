/*
 * What `make claims` traces: several tasks of several threads that make every kind of page fault, and check
 * each byte that they get. How much is done is fixed; only the order depends on the machine. Status 0: all
 * data were right.
 *
 *   zero    each thread touches pages of its own, in order or scattered; they must be zero
 *   join    all threads touch the same page at the same moment; each one's mark must survive
 *   cow     a region is shared by a parent and two children; all three write, nobody sees the others' words
 *   unmap   one thread maps, touches and unmaps pages next to those that the others touch
 */
#include "user/lib/primer.h"

#define TASKS        3
#define THREADS      4
#define ZERO_PAGES   64             /* per thread */
#define JOIN_PAGES   48
#define COW_PAGES    24
#define COW_CHILDREN 2
#define UNMAP_ROUNDS 24
#define UNMAP_PAGES  8
#define STRIDE       29             /* odd, so it visits every page of a power of two, never in sequence */

#define WORDS (PAGE_SIZE / sizeof(uint32_t))

static _Atomic uint32_t errors;     /* per task: found by its threads */

static void check(bool right, const char *what, const volatile void *where)
{
    /* One line is enough to see what is wrong; thousands would hide it. */
    if (!right && atomic_fetch_add(&errors, 1) == 0)
        print("claims-workload: %s at %p\n", what, (void *)where);
}

static uint32_t *map_pages(uint64_t pages)
{
    return primer_must_map(pages * PAGE_SIZE);
}

static void unmap_pages(uint32_t *start, uint64_t pages)
{
    primer_must(primer_vm_unmap(PRIMER_SELF, (vaddr_t)start, pages * PAGE_SIZE), "claims-workload: unmapping");
}

static bool page_is(const volatile uint32_t *page, uint32_t value, size_t from)
{
    for (size_t i = from; i < WORDS; i++) {
        if (page[i] != value)
            return false;
    }
    return true;
}

static void fill_page(volatile uint32_t *page, uint32_t value)
{
    for (size_t i = 0; i < WORDS; i++)
        page[i] = value;
}

/*
 * All threads leave a gate at nearly the same moment. They give up the CPU instead of sleeping: being woken
 * one by one, they would arrive one by one, and nobody would find a page that is still being made.
 */
static struct { _Atomic uint32_t arrived, generation; } gate;

static void gate_pass(void)
{
    uint32_t generation = gate.generation;
    if (atomic_fetch_add(&gate.arrived, 1) + 1 == THREADS) {
        gate.arrived = 0;
        gate.generation = generation + 1;
        return;
    }
    while (gate.generation == generation)
        primer_yield();
}

/* --- what the threads of one task do; `id` is 0 .. THREADS - 1 --- */

static uint32_t *zero_region, *join_region;

static void touch_own_pages(uint32_t id)
{
    uint32_t *mine = zero_region + id * ZERO_PAGES * WORDS;
    for (uint32_t i = 0; i < ZERO_PAGES; i++) {
        /* The even threads go in order, as if reading a file; the odd ones jump. */
        uint32_t *page = mine + (id % 2 ? i * STRIDE % ZERO_PAGES : i) * WORDS;
        if (i % 4 == 0)
            check(page_is(page, 0, 0), "a new page is not zero", page);     /* the first touch is a read */
        page[0] = id + 1;
        check(page_is(page, 0, 1), "a new page is not zero behind its first word", page);
        fill_page(page, id + 1);
    }
    for (uint32_t i = 0; i < ZERO_PAGES; i++)
        check(page_is(mine + i * WORDS, id + 1, 0), "a page lost what was written to it", mine + i * WORDS);
}

static void touch_common_pages(uint32_t id)
{
    for (uint32_t i = 0; i < JOIN_PAGES; i++) {
        uint32_t *page = join_region + i * WORDS;
        gate_pass();
        page[id * 16] = id + 1;             /* a cache line each */
        gate_pass();
        for (uint32_t other = 0; other < THREADS; other++)
            check(page[other * 16] == other + 1, "a mark is lost that another thread made", page + other * 16);
        check(page_is(page, 0, THREADS * 16), "a new page is not zero", page);
    }
}

static void unmap_beside_others(uint32_t id)
{
    /* Thread 0 takes pages away; the others' pages come and stay, in the same page tables. */
    uint32_t *kept = id ? map_pages(UNMAP_PAGES * UNMAP_ROUNDS) : NULL;
    for (uint32_t round = 0; round < UNMAP_ROUNDS; round++) {
        uint32_t *pages = id ? kept + round * UNMAP_PAGES * WORDS : map_pages(UNMAP_PAGES);
        for (uint32_t i = 0; i < UNMAP_PAGES; i++) {
            uint32_t *page = pages + i * WORDS;
            check(page[1] == 0, "a new page is not zero", page);
            page[0] = round + 1;
        }
        for (uint32_t i = 0; i < UNMAP_PAGES; i++)
            check(pages[i * WORDS] == round + 1, "a page lost what was written to it", pages + i * WORDS);
        if (id == 0)
            unmap_pages(pages, UNMAP_PAGES);
    }
    if (kept)
        unmap_pages(kept, UNMAP_PAGES * UNMAP_ROUNDS);
}

static void thread_main(void *argument)
{
    uint32_t id = (uint32_t)(uintptr_t)argument;
    touch_own_pages(id);
    touch_common_pages(id);
    unmap_beside_others(id);
}

static void run_threads(void)
{
    struct primer_thread threads[THREADS];
    zero_region = map_pages(THREADS * ZERO_PAGES);
    join_region = map_pages(JOIN_PAGES);
    for (uint32_t id = 0; id < THREADS; id++)
        primer_must(primer_thread_start(&threads[id], thread_main, (void *)(uintptr_t)id, 0),
                    "claims-workload: starting a thread");
    for (uint32_t id = 0; id < THREADS; id++)
        primer_thread_join(&threads[id]);
    unmap_pages(zero_region, THREADS * ZERO_PAGES);
    unmap_pages(join_region, JOIN_PAGES);
}

/* --- copy-on-write --- */

/* Everything `tag` writes, and everything it reads while the others write theirs. */
static void write_shared(uint32_t *region, uint32_t tag)
{
    for (uint32_t i = 0; i < COW_PAGES; i++) {
        uint32_t *page = region + i * WORDS;
        check(page_is(page, 0x1000 + i, 0), "a shared page shows another task's words", page);
        page[i % WORDS] = tag;
        check(page[i % WORDS] == tag, "a copied page lost what was written to it", page);
        check(page[(i + 1) % WORDS] == 0x1000 + i, "a copied page is not like its source", page);
    }
    for (uint32_t i = 0; i < COW_PAGES; i++) {
        uint32_t *page = region + i * WORDS;
        for (uint32_t word = 0; word < WORDS; word++)
            check(page[word] == (word == i % WORDS ? tag : 0x1000 + i), "a copied page has changed", page + word);
    }
}

static void run_sharers(void)
{
    uint32_t *region = map_pages(COW_PAGES);
    for (uint32_t i = 0; i < COW_PAGES; i++)
        fill_page(region + i * WORDS, 0x1000 + i);

    uint64_t children[COW_CHILDREN];
    for (uint32_t i = 0; i < COW_CHILDREN; i++) {
        children[i] = (uint64_t)primer_must(primer_fork(), "claims-workload: fork");
        if (children[i] == 0) {
            write_shared(region, i + 2);
            primer_exit(errors != 0);
        }
    }
    write_shared(region, 1);
    for (uint32_t i = 0; i < COW_CHILDREN; i++) {
        check(primer_wait(children[i], PRIMER_FOREVER) == 0, "a child ended with an error", region);
        primer_handle_close(children[i]);
    }
    unmap_pages(region, COW_PAGES);
}

static int task_main(void)
{
    run_threads();
    run_sharers();
    return errors != 0;
}

int main(void)
{
    uint64_t tasks[TASKS];
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = (uint64_t)primer_must(primer_fork(), "claims-workload: fork");
        if (tasks[i] == 0)
            return task_main();
    }
    int failed = 0;
    for (int i = 0; i < TASKS; i++) {
        failed += primer_wait(tasks[i], PRIMER_FOREVER) != 0;
        primer_handle_close(tasks[i]);
    }
    print("claims-workload: %d tasks of %d threads, %d of them wrong\n", TASKS, THREADS, failed);
    return failed != 0;
}
