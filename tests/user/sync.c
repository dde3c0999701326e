/* Sleeping on a word, and the locks of user/lib built from it: no wake is lost, none goes to the wrong one. */
#include "tests/user/lib/test.h"

static _Atomic uint32_t word, passed;

/* --- ping-pong: each waits for its number; one lost wake and all stand still --- */

#define PLAYERS 4u
#define TURNS   2000u
#define OVER    UINT32_MAX

static uint64_t play_until;

static void play(void *number)
{
    uint32_t now;
    while ((now = atomic_load(&word)) != OVER) {
        if (now % PLAYERS != (uintptr_t)number) {
            primer_address_wait(&word, now, PRIMER_FOREVER);
            continue;
        }
        bool over = now >= TURNS || primer_clock() > play_until;
        atomic_fetch_add(&passed, 1);
        atomic_store(&word, over ? OVER : now + 1);
        primer_address_wake(&word, UINT32_MAX);
    }
}

static const char *ping_pong(void)
{
    play_until = primer_clock() + 2 * NS_PER_S;
    test_threads(PLAYERS, play);
    CHECK(atomic_load(&passed) > 20);
    return NULL;
}

/* Two words, one waiter each, one wake at a time: nothing but a wake ends a wait. */
static _Atomic uint32_t seats[2];

static void volley(void *number)
{
    unsigned me = (unsigned)(uintptr_t)number;
    for (uint32_t turn = 0; turn < 1000; turn++) {
        if (me == 0) {
            atomic_store(&seats[1], turn + 1);
            primer_address_wake(&seats[1], 1);
        }
        while (atomic_load(&seats[me]) != turn + 1)
            primer_address_wait(&seats[me], turn, PRIMER_FOREVER);
        if (me == 1) {
            atomic_store(&seats[0], turn + 1);
            primer_address_wake(&seats[0], 1);
        }
    }
}

static const char *volleys(void)
{
    test_threads(2, volley);
    return NULL;
}

/* --- the plain cases --- */

static const char *answers(void)
{
    uint64_t start = primer_clock();
    CHECK_STATUS(primer_address_wait(&word, 0, 2 * NS_PER_MS), E_TIMEOUT);
    CHECK(primer_clock() - start >= 2 * NS_PER_MS);
    CHECK_STATUS(primer_address_wait(&word, 0, 0), E_TIMEOUT);
    CHECK_STATUS(primer_address_wait(&word, 1, PRIMER_FOREVER), E_AGAIN);
    CHECK_STATUS(primer_address_wait((uint8_t *)&word + 1, 0, 0), E_BAD_ARGUMENT);
    CHECK_STATUS(primer_address_wait((void *)0x1000, 0, 0), E_BAD_ADDRESS);
    CHECK_STATUS(primer_address_wait((void *)0xffff800000000000, 0, 0), E_BAD_ADDRESS);
    CHECK_STATUS(primer_address_wake(&word, 100), 0);
    CHECK_STATUS(primer_address_wake((void *)UINT64_MAX, 1), E_BAD_ARGUMENT);
    return NULL;
}

static void wait_once(void *unused)
{
    (void)unused;
    if (primer_address_wait(&word, 0, PRIMER_FOREVER) == 0)
        atomic_fetch_add(&passed, 1);
}

static void wait_until_passed(uint32_t count)
{
    for (unsigned i = 0; i < 2000 && atomic_load(&passed) < count; i++)
        primer_sleep(NS_PER_MS);
}

#define WAITERS 12u

/* How many wait on words, as the kernel tells. */
static unsigned asleep(void)
{
    unsigned count = 0;
    struct primer_info_thread info = {0};
    for (uint64_t id = 0; primer_info(PRIMER_INFO_THREAD, id, &info, sizeof info) > 0; id = info.id + 1)
        count += strcmp(info.state_name, "address") == 0;
    return count;
}

static const char *wake_counts(void)
{
    struct primer_thread threads[WAITERS];
    unsigned others = asleep();
    for (unsigned i = 0; i < WAITERS; i++)
        test_thread(&threads[i], wait_once, NULL, 0);
    for (unsigned i = 0; i < 5000 && asleep() < others + WAITERS; i++)
        primer_sleep(NS_PER_MS);
    CHECK(asleep() == others + WAITERS);
    CHECK_STATUS(primer_address_wake(&word, 0), 0);
    CHECK_STATUS(primer_address_wake(&word, 3), 3);
    wait_until_passed(3);
    primer_sleep(5 * NS_PER_MS);
    CHECK(atomic_load(&passed) == 3);
    /* Those that are killed do not take a wake with them. */
    for (unsigned i = 0; i < WAITERS; i++)
        if (i % 2)
            primer_kill(threads[i].handle);
    primer_address_wake(&word, 2);
    for (unsigned i = 0; i < 100; i++) {
        primer_address_wake(&word, 100);
        primer_sleep(NS_PER_MS / 2);
    }
    for (unsigned i = 0; i < WAITERS; i++)
        primer_thread_join(&threads[i]);
    CHECK(atomic_load(&passed) >= WAITERS / 2);
    return NULL;
}

/* --- a killed waiter and a wake, at the same time: if the wake counted him, he has passed; else another has it --- */

static const char *kill_against_wake(void)
{
    struct test_rounds rounds = {.most = 150};
    while (test_again(&rounds)) {
        struct primer_thread first, second;
        unsigned others = asleep();
        atomic_store(&passed, 0);
        test_thread(&first, wait_once, NULL, 0);
        for (unsigned i = 0; i < 5000 && asleep() < others + 1; i++)
            primer_yield();
        test_thread(&second, wait_once, NULL, 0);
        for (unsigned i = 0; i < 5000 && asleep() < others + 2; i++)
            primer_yield();
        primer_kill(first.handle);
        status_t woken = primer_address_wake(&word, 1);
        if (woken == 1) {
            wait_until_passed(1);
            CHECK(atomic_load(&passed) == 1);
        }
        while (primer_wait(second.handle, NS_PER_MS) == E_TIMEOUT)
            primer_address_wake(&word, 2);
        primer_thread_join(&first);
        primer_thread_join(&second);
    }
    return NULL;
}

/* --- timeouts against wakes --- */

static _Atomic uint64_t woken_for, told;
static _Atomic uint32_t stop;

static void wait_briefly(void *number)
{
    uint64_t random = 77 + (uintptr_t)number;
    while (!atomic_load(&stop))
        if (primer_address_wait(&word, 0, test_random(&random) % 300000) == 0)
            atomic_fetch_add(&woken_for, 1);
}

/* As many waits end with "woken" as wakes say that they woke somebody. */
static const char *timeouts_against_wakes(void)
{
    struct primer_thread threads[4];
    for (uint64_t i = 0; i < ARRAY_SIZE(threads); i++)
        test_thread(&threads[i], wait_briefly, (void *)i, 0);
    uint64_t end = primer_clock() + NS_PER_S, random = 3;
    while (primer_clock() < end) {
        atomic_fetch_add(&told, (uint64_t)primer_address_wake(&word, (uint32_t)(test_random(&random) % 3)));
        primer_sleep(test_random(&random) % 200000);
    }
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
        primer_thread_join(&threads[i]);
    CHECK(atomic_load(&told) == atomic_load(&woken_for));
    CHECK(atomic_load(&told) > 0);
    return NULL;
}

/* --- user/lib/sync.c --- */

static struct primer_mutex mutex;
static struct primer_condition changed;
static uint64_t guarded, queue_in, queue_out;

static void lock_often(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < 3000; i++) {
        primer_mutex_lock(&mutex);
        uint64_t seen = *(volatile uint64_t *)&guarded;
        if (i % 512 == 0)
            primer_yield();
        *(volatile uint64_t *)&guarded = seen + 1;
        primer_mutex_unlock(&mutex);
    }
}

static const char *mutexes(void)
{
    test_threads(8, lock_often);
    CHECK(guarded == 8 * 3000);
    return NULL;
}

#define ITEMS 150u

static void produce_and_consume(void *number)
{
    bool producer = (uintptr_t)number % 2;
    for (unsigned i = 0; i < ITEMS; i++) {
        primer_mutex_lock(&mutex);
        while (producer ? queue_in - queue_out == 4 : queue_in == queue_out)
            primer_condition_wait(&changed, &mutex, PRIMER_FOREVER);
        *(producer ? &queue_in : &queue_out) += 1;
        primer_condition_broadcast(&changed);
        primer_mutex_unlock(&mutex);
    }
}

static const char *conditions(void)
{
    test_threads(6, produce_and_consume);
    CHECK(queue_in == 3 * ITEMS && queue_out == queue_in);
    primer_mutex_lock(&mutex);
    CHECK_STATUS(primer_condition_wait(&changed, &mutex, NS_PER_MS), E_TIMEOUT);
    primer_mutex_unlock(&mutex);
    return NULL;
}

static struct primer_semaphore full, empty;

static void semaphore_user(void *number)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        primer_semaphore_down((uintptr_t)number % 2 ? &empty : &full);
        primer_semaphore_up((uintptr_t)number % 2 ? &full : &empty);
    }
}

static const char *semaphores(void)
{
    atomic_store(&empty.count, 3);
    test_threads(4, semaphore_user);
    CHECK(atomic_load(&empty.count) == 3 && atomic_load(&full.count) == 0);
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"answers", answers},
        {"ping_pong", ping_pong},
        {"volleys", volleys},
        {"wake_counts", wake_counts},
        {"kill_against_wake", kill_against_wake},
        {"timeouts_against_wakes", timeouts_against_wakes},
        {"mutexes", mutexes},
        {"conditions", conditions},
        {"semaphores", semaphores},
    };
    return test_main(cases, ARRAY_SIZE(cases), argc, argv);
}
