/* kernel/time.c: conversions against 128-bit arithmetic. */
#include "arch/cpu.h"
#include "kernel/time.h"
#include "test.h"

static uint64_t scaled(uint64_t count, uint64_t mul, uint64_t div)
{
    unsigned __int128 result = (unsigned __int128)count * mul / div;
    return result > UINT64_MAX ? UINT64_MAX : (uint64_t)result;
}

/* Rounded down, at most one too small. */
static void check_near(uint64_t got, uint64_t exact) { CHECK(got == exact || got + 1 == exact); }

TEST(time_conversions)
{
    static const uint64_t rates[] = {1000000000, 999999999, 1193182, 2399998765, 3000000000, 4999999999, 1000000};
    struct random r = {6};
    for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
        time_init(rates[i], 0);
        for (unsigned step = 0; step < 50000; step++) {
            uint64_t count = random_next(&r) >> random_below(&r, 64);
            check_near(ns_to_tsc(count), scaled(count, rates[i], 1000000000));
            check_near(tsc_to_ns(count), scaled(count, 1000000000, rates[i]));
        }
        CHECK_EQ(ns_to_tsc(0), 0);
        CHECK_EQ(tsc_to_ns(0), 0);
        /* A century there and back. */
        uint64_t century = 100ull * 366 * 24 * 3600 * 1000000000ull, back = tsc_to_ns(ns_to_tsc(century));
        CHECK(back <= century && century - back <= 1 + 1000000000 / rates[i] + 1);
    }
}

TEST(time_never_is_never)
{
    time_init(3000000000, 0);
    CHECK(ns_to_tsc(TIME_NEVER) == UINT64_MAX);
}

TEST(time_since_boot)
{
    time_init(2000000000, 500);
    host_tsc = 500;
    CHECK_EQ(time_ns(), 0);
    host_tsc = 500 + 3000;
    CHECK(time_ns() == 1500 || time_ns() == 1499);
}
