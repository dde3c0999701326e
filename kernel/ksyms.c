/*
 * Addresses into names, for panic reports. The table is constant, sorted, and linked in last (section
 * .ksyms), so there is nothing to initialise and nothing to lock, and a backtrace can use it however broken
 * the rest may be.
 */
#include "kernel/ksyms.h"

/*
 * Made by tools/ksyms: offsets from __text_start in ascending order, and for each the place of its name in
 * ksym_text.
 */
extern const uint32_t ksym_count;
extern const struct { uint32_t offset, name; } ksym_table[];
extern const char ksym_text[];

extern const char __text_start[], __text_end[];

const char *ksym_name(uint64_t address, uint64_t *offset)
{
    if (address < (uintptr_t)__text_start || address >= (uintptr_t)__text_end)
        return NULL;
    uint64_t wanted = address - (uintptr_t)__text_start;

    /* Entries below `low` are at or before `wanted`, those from `high` on are after it. */
    uint32_t low = 0, high = ksym_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ksym_table[middle].offset <= wanted)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    *offset = wanted - ksym_table[low - 1].offset;
    return ksym_text + ksym_table[low - 1].name;
}
