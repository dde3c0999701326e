/*
 * The value types that every room shares. Virtual address, physical address, frame number and page
 * table entry are four different C types on purpose: handing one where another belongs does not compile.
 */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uintptr_t vaddr_t;                      /* a virtual address, in bytes */
typedef struct { uint64_t value; } paddr_t;     /* a physical address, in bytes; see phys_to_virt() */
typedef struct { uint32_t value; } pfn_t;       /* index of a physical 4 KiB frame: up to 16 TiB */
typedef int64_t status_t;                       /* 0 or positive: fine; negative: one of the E_* of abi.h */

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ul
#define PAGE_MASK  (PAGE_SIZE - 1)

#define MAX_CPUS 64

/* Debug builds check lock ranks, poison freed memory and measure interrupts-off stretches. */
#ifndef DEBUG
#define DEBUG 0
#endif

#define MUST_CHECK     __attribute__((warn_unused_result))
#define NORETURN       __attribute__((noreturn))
#define PRINTF(f, a)   __attribute__((format(printf, f, a)))
#define likely(x)      __builtin_expect(!!(x), 1)
#define unlikely(x)    __builtin_expect(!!(x), 0)
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define ARRAY_SIZE(a)  (sizeof(a) / sizeof((a)[0]))

static inline uint64_t align_up(uint64_t value, uint64_t align)   { return (value + align - 1) & ~(align - 1); }
static inline uint64_t align_down(uint64_t value, uint64_t align) { return value & ~(align - 1); }
static inline uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

static inline paddr_t paddr(uint64_t value)   { return (paddr_t){value}; }
static inline pfn_t   phys_to_pfn(paddr_t p)  { return (pfn_t){(uint32_t)(p.value >> PAGE_SHIFT)}; }
static inline paddr_t pfn_to_phys(pfn_t pfn)  { return (paddr_t){(uint64_t)pfn.value << PAGE_SHIFT}; }

#endif
