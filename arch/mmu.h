/*
 * Page tables as a data structure: entries, walks, and the TLB. This room knows the hardware's format and
 * nothing of policy; which page belongs where is mm/'s business.
 *
 * A page table entry is in one of three states (pte_kind()):
 *   none     0: nothing is here yet.
 *   io       P=0 and a tag: a frame is assigned, its bytes are not final. The frame number is stored inverted,
 *            so that a CPU that speculates past P=0 computes an address that no memory has (the L1TF shape;
 *            SDM vol. 4, IA32_ARCH_CAPABILITIES).
 *   present  normal. Copy-on-write is present, not writable, and PTE_COW. A page whose range allows no access
 *            at all is present with the hardware's P bit withheld: another tag, and the number inverted again.
 */
#ifndef ARCH_MMU_H
#define ARCH_MMU_H

#include "kernel/types.h"
#include "kernel/abi.h"

struct frame;
struct frame_list;

typedef struct { uint64_t bits; } pte_t;

enum pte_kind { PTE_KIND_NONE, PTE_KIND_IO, PTE_KIND_PRESENT };

/* Where things are in the upper half; arch/x86_64/mmu_boot.c draws the picture. */
#define KERNEL_BASE    0xffffffff80000000ul     /* the image: link address minus physical address */
#define DIRECT_BASE    0xffff800000000000ul     /* all RAM, and at least the low 4 GiB, at this offset */
#define FRAMES_BASE    0xffffc00000000000ul     /* struct frame frames[]; backed where RAM is */
#define KSTACK_BASE    0xffffd00000000000ul     /* kernel stacks with guard pages */
#define DEVICE_BASE    0xffffe00000000000ul     /* registers and framebuffer, see mmu_map_device() */
#define KSTACK_SLOT    (4 * PAGE_SIZE)          /* one stack: lower half never mapped, upper half the stack */
#define MAX_KSTACKS    4096u                    /* slots in the area */
#define USER_MIN       0x0000000000010000ul     /* below: never mapped, so that near-NULL always faults */
#define USER_MAX       0x00007ffffffff000ul     /* last page stays free: non-canonical SYSRET (SDM vol. 2) */

static inline void *phys_to_virt(paddr_t p)           { return (void *)(DIRECT_BASE + p.value); }
static inline paddr_t virt_to_phys(const void *direct) { return paddr((uintptr_t)direct - DIRECT_BASE); }
static inline void *pfn_to_virt(pfn_t pfn)            { return phys_to_virt(pfn_to_phys(pfn)); }

/*
 * Whether [start, start+len) is a range of user addresses (no wrap, inside USER_MIN..USER_MAX). len may be 0.
 */
static inline bool user_range_ok(vaddr_t start, uint64_t len)
{
    return start >= USER_MIN && start <= USER_MAX && len <= USER_MAX - start;
}

/* --- entries: pure functions, no locks --- */

#define PTE_P     (1ull << 0)
#define PTE_W     (1ull << 1)
#define PTE_U     (1ull << 2)
#define PTE_PS    (1ull << 7)       /* a large page, in a PDE or PDPTE */
#define PTE_G     (1ull << 8)
#define PTE_COW   (1ull << 9)       /* software: write means copy */
#define PTE_TAG_IO        (1ull << 10)  /* software, with P=0 */
#define PTE_TAG_NO_ACCESS (1ull << 11)  /* software, with P=0 */
#define PTE_NX    (1ull << 63)
#define PTE_ADDR  0x000ffffffffff000ull

static inline enum pte_kind pte_kind(pte_t pte)
{
    if (pte.bits & (PTE_P | PTE_TAG_NO_ACCESS))
        return PTE_KIND_PRESENT;
    return pte.bits & PTE_TAG_IO ? PTE_KIND_IO : PTE_KIND_NONE;
}
static inline bool pte_is_none(pte_t pte)    { return pte.bits == 0; }
static inline bool pte_is_io(pte_t pte)      { return pte_kind(pte) == PTE_KIND_IO; }
static inline bool pte_is_present(pte_t pte) { return pte_kind(pte) == PTE_KIND_PRESENT; }
static inline bool pte_is_writable(pte_t pte) { return (pte.bits & (PTE_P | PTE_W)) == (PTE_P | PTE_W); }
static inline bool pte_is_cow(pte_t pte)     { return pte.bits & PTE_COW; }

/* The frame that an io or present entry names. */
static inline pfn_t pte_pfn(pte_t pte)
{
    uint64_t address = pte.bits & PTE_P ? pte.bits : ~pte.bits;
    return (pfn_t){(uint32_t)((address & PTE_ADDR) >> PAGE_SHIFT)};
}

static inline pte_t pte_make_io(pfn_t pfn)
{
    return (pte_t){(~((uint64_t)pfn.value << PAGE_SHIFT) & PTE_ADDR) | PTE_TAG_IO};
}

/*
 * `prot` is a set of PRIMER_PROT_*; without PRIMER_PROT_READ, WRITE or EXEC the page is kept but nobody
 * reaches it.
 */
static inline pte_t pte_make_present(pfn_t pfn, unsigned prot)
{
    uint64_t address = (uint64_t)pfn.value << PAGE_SHIFT;
    if (prot == 0)
        return (pte_t){(~address & PTE_ADDR) | PTE_TAG_NO_ACCESS};
    return (pte_t){address | PTE_P | PTE_U | (prot & PRIMER_PROT_WRITE ? PTE_W : 0)
                   | (prot & PRIMER_PROT_EXEC ? 0 : PTE_NX)};
}

/* The same page, but a write must copy first (or, with no sharer left, may take it). */
static inline pte_t pte_make_cow(pfn_t pfn, unsigned prot)
{
    /* Who may write may read: a range for writing only is not one without access. */
    pte_t pte = pte_make_present(pfn, prot ? (prot & ~(unsigned)PRIMER_PROT_WRITE) | PRIMER_PROT_READ : 0);
    pte.bits |= PTE_COW;
    return pte;
}

/* The same page under another protection, still copy-on-write if it was. */
static inline pte_t pte_with_prot(pte_t present, unsigned prot)
{
    return pte_is_cow(present) ? pte_make_cow(pte_pfn(present), prot) : pte_make_present(pte_pfn(present), prot);
}

/*
 * One 64-bit store. For publishing: on x86 stores are seen in order (SDM vol. 3, 9.2.2), so bytes written
 * before are visible to whoever sees the entry; the compiler is held to it by the release.
 */
static inline void pte_set(pte_t *slot, pte_t value)
{
    __atomic_store_n(&slot->bits, value.bits, __ATOMIC_RELEASE);
}
static inline pte_t pte_get(const pte_t *slot)
{
    return (pte_t){__atomic_load_n(&slot->bits, __ATOMIC_RELAXED)};
}

/* --- the tree: the owner's lock is held; it is the lock of the address space --- */

#define PT_SPAN_SHIFT 21
#define PT_SPAN       (1ul << PT_SPAN_SHIFT)    /* what one leaf table covers: 2 MiB */
#define PT_NO_SPAN    UINT64_MAX                /* no va >> PT_SPAN_SHIFT */

/*
 * Four levels. A space has only its user half to itself; the kernel half is built at boot with every PML4
 * entry that will ever be there, so a new space copies those once and no later change ever has to be carried
 * from space to space. Every linked table below the root has an entry, or is one that pt_lookup_alloc() has
 * just made for its caller.
 */
struct pagetable {
    pte_t *root;                        /* the PML4, through the direct map; NULL once it is torn down */
    pte_t *last_leaf;                   /* the leaf table that pt_walk() found last, ... */
    uint64_t last_span;                 /* ... and the number of the span it is for; PT_NO_SPAN: none */
};

/* An empty user half under the shared kernel half. E_NO_MEMORY. */
status_t MUST_CHECK pt_create(struct pagetable *pt);

/* pt_lookup() the long way, from the root down. */
pte_t *pt_walk(struct pagetable *pt, vaddr_t va);

/*
 * The leaf entry for `va`; NULL if there is no table for it. Never allocates. A page fault looks twice at the
 * same page and then at its neighbour, so that the last leaf table nearly always is the right one: 8
 * instructions instead of 45.
 */
static inline pte_t *pt_lookup(struct pagetable *pt, vaddr_t va)
{
    if (likely(va >> PT_SPAN_SHIFT == pt->last_span))
        return &pt->last_leaf[va >> PAGE_SHIFT & 511];
    return pt_walk(pt, va);
}

/*
 * The leaf entry for `va`, with the tables it needs. Each table's frame is taken with table_alloc()
 * (mm/frame.h) and is all zero; `tables` is increased by the number taken, for the quota. NULL if there is no
 * frame for one of them; then nothing has changed. A caller that ends up with nothing to enter gives a fresh
 * table back with pt_prune(), or leaves it to whoever unmaps the range: pt_next_table() finds empty leaf
 * tables as well.
 */
pte_t *pt_lookup_alloc(struct pagetable *pt, vaddr_t va, unsigned *tables);

/*
 * Each table counts its entries that are not none, so that an empty one can be given back: tell it when a
 * leaf entry returned by the above goes from none to something, or back.
 */
void pt_entry_added(pte_t *slot);
void pt_entry_removed(pte_t *slot);

/*
 * Skips addresses that have no leaf table: the first one in [va, end) that has, or how far it got in a
 * bounded number of steps, or `end`. So the caller, who lets his lock go in between, asks pt_lookup() about
 * the answer.
 */
vaddr_t pt_next_table(const struct pagetable *pt, vaddr_t va, vaddr_t end);

/*
 * Unlinks the tables on the way to `va` that have no entry left, leaf first, pushes their frames to `freed`
 * (for freeing only after a flush: CPUs cache upper levels too, SDM vol. 3, 4.10.3), returns how many.
 */
unsigned pt_prune(struct pagetable *pt, vaddr_t va, struct frame_list *freed);

/* Frees the root of a space that has no entries left and that no CPU has loaded. */
void pt_destroy(struct pagetable *pt);

/* --- this CPU's TLB and CR3; interrupts off --- */

void mmu_load(const struct pagetable *pt);      /* also drops all translations of the old space */
void mmu_load_kernel(void);                     /* the kernel's own tables: no user half */
void mmu_flush_page(vaddr_t va);                /* this CPU only */
void mmu_flush_all(void);                       /* this CPU's, all but global ones */

/* --- kernel mappings --- */

/*
 * Boot, CPU 0, after cpu_features_init(): direct map of all of `info`'s RAM, W^X mapping of the image, tables
 * for stacks and devices, zeroed descriptors. The low identity mapping is gone afterwards. boot_fail()s when
 * RAM is out. arch/x86_64/mmu_boot.c
 */
struct boot_info;
void mmu_boot_init(const struct boot_info *info);

/*
 * Maps one page of a kernel stack: the upper half of a slot of the KSTACK area, not mapped so far. Never
 * unmapped. Cannot fail and allocates nothing, since boot made all the area's tables. Different slots need no
 * lock between them.
 */
void mmu_map_kstack(vaddr_t va, pfn_t pfn);

/*
 * Makes a device's registers or framebuffer reachable: uncached, never unmapped. From mmu_boot_init() on,
 * until the other CPUs run; takes no memory. Panics if the area is full: 2 MiB for small devices, 1 GiB for
 * those of 2 MiB and above.
 */
volatile void *mmu_map_device(paddr_t start, uint64_t size);

/*
 * For starting other CPUs: makes one physical page below 1 MiB reachable at its own address in the kernel's
 * own tables, readable and executable, not writable (a GDT there must have its "accessed" bits set already).
 * One at a time; CPU 0. After the end, another CPU's TLB may know the page until it loads a space; that does
 * no harm, below USER_MIN nothing is ever mapped.
 */
void mmu_identity_begin(paddr_t page);
void mmu_identity_end(void);

/*
 * The PML4 of the kernel's own tables, for the trampoline: below 4 GiB, since CR3 is loaded there before long
 * mode.
 */
paddr_t mmu_kernel_root(void);

#endif
