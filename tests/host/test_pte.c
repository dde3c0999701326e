/* The entries of arch/mmu.h, the real one: three kinds that never look like each other, and frame numbers that come back. */
#include "test.h"
#include "arch/mmu.h"

TEST(pte_kinds)
{
    struct random r = {7};
    for (unsigned step = 0; step < 100000; step++) {
        pfn_t pfn = {(uint32_t)(step < 3 ? step : random_next(&r))};
        unsigned prot = (unsigned)random_below(&r, 8);
        pte_t io = pte_make_io(pfn), present = pte_make_present(pfn, prot), cow = pte_make_cow(pfn, prot | PRIMER_PROT_READ);

        CHECK(pte_is_io(io) && !pte_is_present(io) && !pte_is_none(io));
        CHECK(pte_is_present(present) && !pte_is_io(present) && !pte_is_none(present));
        CHECK(pte_is_present(cow) && pte_is_cow(cow) && !pte_is_writable(cow) && !pte_is_cow(present));
        CHECK_EQ(pte_pfn(io).value, pfn.value);
        CHECK_EQ(pte_pfn(present).value, pfn.value);
        CHECK_EQ(pte_pfn(cow).value, pfn.value);
        CHECK(pte_is_writable(present) == !!(prot & PRIMER_PROT_WRITE));
        if (prot)
            CHECK(!!(present.bits & PTE_NX) == !(prot & PRIMER_PROT_EXEC));
        /* Not present: the address bits name memory that no machine has. */
        CHECK(!(io.bits & PTE_P) && (io.bits & PTE_ADDR) >> 44 == 0xff);
        if (!prot)
            CHECK(!(present.bits & PTE_P) && (present.bits & PTE_ADDR) >> 44 == 0xff);
    }
}

TEST(user_range)
{
    CHECK(user_range_ok(USER_MIN, 0) && user_range_ok(USER_MIN, USER_MAX - USER_MIN) && user_range_ok(USER_MAX, 0));
    CHECK(!user_range_ok(USER_MIN - 1, 1) && !user_range_ok(USER_MIN, USER_MAX - USER_MIN + 1));
    CHECK(!user_range_ok(USER_MAX - 1, UINT64_MAX) && !user_range_ok(UINT64_MAX, 1) && !user_range_ok(USER_MIN, UINT64_MAX));
}
