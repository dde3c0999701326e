/*
 * Random system calls, valid-looking and wild, by several threads of several tasks on small accounts of their own.
 * What they do to themselves is their affair, so each is started anew until enough calls are made; the kernel, a
 * witness and everybody's counts must come through. `fuzz [CALLS [SEED]]`.
 */
#include "tests/user/lib/test.h"

#define FUZZERS     3u                      /* tasks at a time */
#define CALLS_EACH  20000u                  /* of one task */
#define ARENA       0x20000000ul
#define ARENA_PAGES 64u
#define STACK_PAGES 2u

static uint64_t calls_wanted = 100000, first_seed = 1;

static const struct primer_limits limits = {.frames = 400, .kernel_bytes = 96 * 1024, .threads = 12, .tasks = 6};

/* --- the fuzzing tasks --- */

static _Atomic uint64_t calls_done;         /* read from outside, by vm_read() */
static _Atomic uint32_t thread_number;

static uint64_t pick(uint64_t *random, const uint64_t *from, unsigned count)
{
    return from[test_random(random) % count];
}

static uint64_t wild(uint64_t *random)
{
    static const uint64_t values[] = {
        1, 7, 0xfff, 0x1000, PRIMER_USER_MIN - 1, 0x7fffffff, 0x80000000, UINT32_MAX, 1ul << 32, PRIMER_USER_MAX - 1,
        PRIMER_USER_MAX, 0x7fffffffffff, 0x800000000000, 0x8000000000000000, 0x7fffffffffffffff, 0xffff7fffffffffff,
        0xffff800000000000, 0xffff800000100000, 0xffffc00000000000, 0xffffd00000006000, 0xffffe00000000000,
        0xffffffff80100000, UINT64_MAX - 4095, UINT64_MAX - 7, UINT64_MAX,
    };
    return test_random(random) % 8 ? pick(random, values, ARRAY_SIZE(values)) : test_random(random) | 1ul << 63;
}

/* Mostly in the arena, aligned or not. Never in the program's own image: it has to go on. */
static uint64_t address(uint64_t *random)
{
    uint64_t kind = test_random(random) % 16;
    uint64_t page = ARENA + test_random(random) % (ARENA_PAGES + 4) * PAGE;
    return kind == 0 ? wild(random) : kind < 6 ? page + test_random(random) % PAGE : kind < 8 ? page + PAGE - 4 : page;
}

static uint64_t page_address(uint64_t *random)
{
    uint64_t kind = test_random(random) % 32;
    return kind == 0 ? wild(random) : kind == 1 ? 0 : ARENA + test_random(random) % ARENA_PAGES * PAGE;
}

static uint64_t length(uint64_t *random)
{
    uint64_t kind = test_random(random) % 32;
    return kind == 0 ? wild(random) : kind < 16 ? test_random(random) % 6 * PAGE : test_random(random) % 700;
}

static uint64_t pages(uint64_t *random)
{
    return test_random(random) % 32 ? (1 + test_random(random) % 8) * PAGE : length(random);
}

static uint64_t handle(uint64_t *random)
{
    uint64_t kind = test_random(random) % 16;
    return kind == 0 ? wild(random) : kind < 6 ? PRIMER_SELF : 1 + test_random(random) % 40;
}

static uint64_t small_number(uint64_t *random)
{
    return test_random(random) % 16 ? test_random(random) % 9 : wild(random);
}

/* No call of ours sleeps for long: what should end must not lie about. */
static uint64_t short_time(uint64_t *random) { return test_random(random) % 200000; }

static void fuzz_entry(void);

static uint64_t code(uint64_t *random) { return test_random(random) % 4 ? (uint64_t)fuzz_entry : address(random); }

static uint64_t stack(uint64_t *random)
{
    return test_random(random) % 8 ? ARENA + (2 + test_random(random) % (ARENA_PAGES - 2)) * PAGE - 8 : wild(random);
}

/* One call, its arguments of the right kinds more often than not. The number may be wrong as well. */
static status_t call_at_random(uint64_t *r)
{
    uint64_t number = test_random(r) % (SYS_COUNT + 1);
    switch (number) {
    case SYS_log:           return primer_call(number, wild(r), test_random(r) % 4 ? 8 : wild(r), wild(r), 0, 0);
    case SYS_sleep:         return primer_call(number, short_time(r), 0, 0, 0, 0);
    case SYS_vm_map:        return primer_call(number, handle(r), page_address(r), pages(r), small_number(r),
                                               small_number(r) & 7);
    case SYS_vm_unmap:      return primer_call(number, handle(r), page_address(r), pages(r), 0, 0);
    case SYS_vm_protect:    return primer_call(number, handle(r), page_address(r), pages(r), small_number(r), 0);
    case SYS_vm_read:
    case SYS_vm_write:      return primer_call(number, handle(r), address(r), address(r), length(r), 0);
    case SYS_task_create:   return primer_call(number, test_random(r) % 2 ? 0 : address(r), 0, 0, 0, 0);
    case SYS_task_exit:     return test_random(r) % 256 ? 0 : primer_call(number, 0, 0, 0, 0, 0);
    case SYS_thread_exit:   return test_random(r) % 64 ? 0 : primer_call(number, 0, 0, 0, 0, 0);
    case SYS_thread_create: return primer_call(number, handle(r), code(r), stack(r), test_random(r), small_number(r));
    case SYS_thread_priority: return primer_call(number, handle(r), test_random(r) % 8 ? 0 : small_number(r), 0, 0, 0);
    case SYS_thread_tls:    return primer_call(number, address(r), 0, 0, 0, 0);
    case SYS_kill:          return primer_call(number, handle(r), 0, 0, 0, 0);
    case SYS_wait:          return primer_call(number, handle(r), short_time(r), 0, 0, 0);
    case SYS_handle_close:  return primer_call(number, handle(r), 0, 0, 0, 0);
    case SYS_address_wait:  return primer_call(number, address(r), test_random(r) & 1, short_time(r), 0, 0);
    case SYS_address_wake:  return primer_call(number, address(r), small_number(r), 0, 0, 0);
    case SYS_info:          return primer_call(number, small_number(r), small_number(r), address(r), length(r), 0);
    case SYS_trace_read:    return primer_call(number, small_number(r), length(r), address(r), small_number(r), 0);
    case SYS_COUNT:         return primer_call(wild(r), wild(r), wild(r), wild(r), wild(r), wild(r));
    default:                return primer_call(number, address(r), length(r), wild(r), wild(r), wild(r));
    }
}

/* Ends the task when its share is done. Touches the arena, too, so that there are faults between the calls. */
static NORETURN void fuzz(uint64_t random)
{
    for (;;) {
        if (atomic_fetch_add(&calls_done, 1) >= CALLS_EACH)
            primer_task_exit(0);
        call_at_random(&random);
        if (test_random(&random) % 16 == 0)
            primer_vm_write(PRIMER_SELF, ARENA + test_random(&random) % ARENA_PAGES * PAGE, &random, 8);
    }
}

static void fuzz_thread(void *unused)
{
    (void)unused;
    fuzz(test_number() * 1000003 + 17 * atomic_fetch_add(&thread_number, 1) + 1);
}

/* What random calls start as a thread: on a stack in the arena that may go at any time. */
static void fuzz_entry(void) { fuzz_thread(NULL); }

static const char *fuzzer(void)
{
    struct primer_thread threads[2];
    primer_must(primer_vm_map(PRIMER_SELF, ARENA, ARENA_PAGES * PAGE, RW, PRIMER_MAP_FIXED), "mapping the arena");
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
        test_thread(&threads[i], fuzz_thread, NULL, 0);
    fuzz_thread(NULL);
    return NULL;
}

/* --- the witness --- */

static _Atomic uint32_t stop;
#define WITNESS_PAGES 32u

/* Computes in memory of its own, which nobody else may touch, with page faults and copies in between. */
static const char *witness(void)
{
    uint64_t *mine = test_map(WITNESS_PAGES * PAGE), value = 5;
    uint64_t words = WITNESS_PAGES * PAGE / 8;
    for (uint64_t i = 0; i < words; i++)
        mine[i] = i * 0x9e3779b97f4a7c15;
    while (!atomic_load(&stop)) {
        for (unsigned i = 0; i < 500; i++) {
            uint64_t at = test_random(&value) % words;
            CHECK(mine[at] == at * 0x9e3779b97f4a7c15);
        }
        volatile uint64_t *fresh = test_map(PAGE);
        CHECK(fresh[value % 512] == 0);
        fresh[value % 512] = value;
        test_unmap((void *)fresh, PAGE);
        primer_sleep(NS_PER_MS);
    }
    for (uint64_t i = 0; i < words; i++)
        CHECK(mine[i] == i * 0x9e3779b97f4a7c15);
    return NULL;
}

/* --- the case --- */

struct running { uint64_t task, seen; };

/* Looks at one of the fuzzers, and starts it anew if it has ended. The calls that this one has made, if so. */
static uint64_t tend(struct running *running, uint64_t *seed, bool more)
{
    uint64_t done = 0;
    if (running->task) {
        primer_vm_read(running->task, (vaddr_t)&calls_done, &running->seen, sizeof running->seen);
        status_t status = primer_wait(running->task, NS_PER_MS);
        if (status == E_TIMEOUT)
            return 0;
        done = status == 0 ? CALLS_EACH : min_u64(running->seen, CALLS_EACH);
        primer_handle_close(running->task);
    }
    running->task = running->seen = 0;
    if (more)
        running->task = (uint64_t)primer_must(test_spawn("_fuzzer", (*seed)++, &limits), "starting a fuzzer");
    return done;
}

static const char *random_calls(void)
{
    struct running running[FUZZERS] = {{0, 0}};
    uint64_t done = 0, seed = first_seed, tasks = test_counts().tasks;
    uint64_t observer = test_fork(witness);
    bool busy = true;
    while (busy) {
        busy = false;
        for (unsigned i = 0; i < FUZZERS; i++) {
            done += tend(&running[i], &seed, done < calls_wanted);
            busy |= running[i].task != 0;
        }
    }
    /* What the fuzzers have started themselves comes to its end as well. */
    for (unsigned i = 0; i < 60000 && test_counts().tasks > tasks + 1; i++)
        primer_sleep(NS_PER_MS);
    uint32_t now = 1;
    CHECK_STATUS(primer_vm_write(observer, (vaddr_t)&stop, &now, sizeof now), 0);
    CHECK_STATUS(test_wait(observer), 0);
    print("  about %lu calls, seeds %lu to %lu\n", done, first_seed, seed - 1);
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"random_calls", random_calls},
        {"_fuzzer", fuzzer},
    };
    if (argc >= 2 && parse_u64(argv[1], &calls_wanted)) {
        if (argc >= 3)
            parse_u64(argv[2], &first_seed);
        argc = 1;
    }
    return test_main(cases, ARRAY_SIZE(cases), argc, argv);
}
