/*
 * The x87, SSE and AVX registers of user code: saved and loaded whole at a switch of threads. The kernel
 * itself is compiled without them. Called by the kernel exit and by the code that makes threads; no locks.
 * AVX-512 is left off on purpose, since its state would triple the save area of every thread; user code
 * finds that out from CPUID and XGETBV.
 */
#include "arch/cpu.h"
#include "arch/trap.h"
#include "arch/x86_64/descriptors.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/thread.h"

/* State components, SDM vol. 1, 13.1. */
#define XCR0_X87 (1u << 0)
#define XCR0_SSE (1u << 1)
#define XCR0_AVX (1u << 2)

/*
 * In the legacy area, SDM vol. 1, table 10-2. Values after FNINIT and reset: all exceptions masked, double
 * extended precision.
 */
#define AREA_FCW_OFFSET   0
#define AREA_MXCSR_OFFSET 24
#define FCW_DEFAULT   0x037f
#define MXCSR_DEFAULT 0x1f80

void fpu_init(void)
{
    if (cpu_features.xsave) {
        uint32_t components = XCR0_X87 | XCR0_SSE | (cpu_features.avx ? XCR0_AVX : 0);
        __asm__ volatile("xsetbv" : : "a"(components), "d"(0), "c"(0));
    }
    uint32_t mxcsr = MXCSR_DEFAULT;
    __asm__ volatile("fninit; ldmxcsr %0" : : "m"(mxcsr));
}

/*
 * All components that XCR0 has on: the mask of XSAVE and XRSTOR is all ones. The area has been through
 * fpu_area_init() once: XRSTOR wants zeros in the part of its header that XSAVE does not write (SDM vol. 1,
 * 13.4.2).
 */
void fpu_save(void *area)
{
    if (cpu_features.xsaveopt)
        __asm__ volatile("xsaveopt64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
    else if (cpu_features.xsave)
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

void fpu_load(const void *area)
{
    if (cpu_features.xsave)
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

/*
 * Zero is the initial state of everything else; in an XSAVE header it says so of each component
 * (SDM vol. 1, 13.6).
 */
void fpu_area_init(void *area)
{
    assert((uintptr_t)area % 64 == 0 && cpu_features.xsave_size <= FPU_AREA_MAX);
    uint8_t *bytes = area;
    memset(bytes, 0, cpu_features.xsave_size);
    *(uint16_t *)(bytes + AREA_FCW_OFFSET) = FCW_DEFAULT;
    *(uint32_t *)(bytes + AREA_MXCSR_OFFSET) = MXCSR_DEFAULT;
}
