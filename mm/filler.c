/*
 * The only code that writes a page's bytes. The choice is between string instructions, which every x86-64
 * CPU has microcode for: by bytes where CPUID promises that this is the fastest (ERMS, SDM vol. 1,
 * 7.3.9.3), by quadwords elsewhere.
 */
#include "mm/filler.h"
#include "arch/cpu.h"

static bool by_bytes;       /* fixed after filler_init() */

void filler_init(void)
{
    by_bytes = cpu_features.erms;
}

void filler_zero(void *page)
{
    uint64_t count = by_bytes ? PAGE_SIZE : PAGE_SIZE / 8;
    if (by_bytes)
        __asm__ volatile("rep stosb" : "+D"(page), "+c"(count) : "a"(0) : "memory");
    else
        __asm__ volatile("rep stosq" : "+D"(page), "+c"(count) : "a"(0ull) : "memory");
}

void filler_copy(void *page, const void *source)
{
    uint64_t count = by_bytes ? PAGE_SIZE : PAGE_SIZE / 8;
    if (by_bytes)
        __asm__ volatile("rep movsb" : "+D"(page), "+S"(source), "+c"(count) : : "memory");
    else
        __asm__ volatile("rep movsq" : "+D"(page), "+S"(source), "+c"(count) : : "memory");
}
