/*
 * Address spaces: ranges (VMAs) that say what a page means, and page tables that say where it is.
 *
 * `lock` protects both, and the waiters of every frame whose request belongs to the space. It is held for
 * short, bounded steps only: a long operation (unmap, protect, clone) goes step by step and lets go in
 * between.
 */
#ifndef MM_ASPACE_H
#define MM_ASPACE_H

#include <stdatomic.h>
#include "arch/mmu.h"
#include "kernel/lock.h"
#include "mm/frame.h"
#include "mm/vma.h"

struct account;

struct aspace {
    _Atomic uint32_t refs;              /* its task, and every page-init request */
    struct account *account;            /* counted; fixed */
    uint32_t task_id;                   /* whose it is, for the trace; 0 while its task is being made, fixed from then on */
    _Atomic uint64_t cpu_ticks;         /* of the task's threads and of the workers that served them (INV-9) */

    struct spinlock lock;               /* rank SPACE */
    struct vma_set vmas;
    struct pagetable pt;
    uint64_t frames;                    /* page tables, and pages that have a frame, shared ones included */

    struct spinlock address_lock;       /* rank WAIT */
    struct avl_tree address_waiters;    /* threads in address_wait(), by address. Under address_lock (kernel/address.c) */

    _Atomic uint64_t cpus;              /* bit n: CPU n has it loaded, or is just about to (mm/tlb.c) */
    _Atomic uint64_t tlb_generation;    /* one more for each flush that all CPUs must have done */
    _Atomic bool dying;                 /* being emptied: no new ranges, and CPUs that have it loaded must leave it. Set under lock */
};

/* NULL: see *error. Takes a reference of the account. */
struct aspace *aspace_create(struct account *account, status_t *error);
static inline void aspace_get(struct aspace *space) { atomic_fetch_add_explicit(&space->refs, 1, memory_order_relaxed); }
/* The last reference frees the struct; the space has been emptied before. Any context. */
void aspace_put(struct aspace *space);
/*
 * Unmaps everything, for good: later vm_map() gives E_DEAD, and the other calls find nothing. None of its
 * threads runs any more, but another task may be in the middle of a call on it. Interrupts on; bounded
 * steps. Once.
 */
void aspace_empty(struct aspace *space);

/* --- ranges: mm/vm.c. Interrupts on, no lock held, may be preempted; errors as in abi.h --- */

/* Maps [*address, +len); with `fixed` exactly there, else anywhere, *address being a hint. */
status_t MUST_CHECK vm_map(struct aspace *space, vaddr_t *address, uint64_t len, unsigned prot, enum vma_kind kind, bool fixed);
status_t MUST_CHECK vm_unmap(struct aspace *space, vaddr_t start, uint64_t len);
status_t MUST_CHECK vm_protect(struct aspace *space, vaddr_t start, uint64_t len, unsigned prot);

/* A new space on the same account that shares every page copy-on-write: mm/clone.c. NULL: see *error. */
struct aspace *vm_clone(struct aspace *source, status_t *error);

/*
 * Copies between kernel memory and a space that need not be loaded: mm/remote.c. Pages that are not there
 * yet, or io, are waited for as in any fault. The range's protection is respected. E_BAD_ADDRESS,
 * E_NO_MEMORY, E_QUOTA, E_KILLED. May sleep.
 */
status_t MUST_CHECK vm_copy(struct aspace *space, vaddr_t address, void *buf, uint64_t len, bool write);

/* --- TLBs: mm/tlb.c --- */

/* Loads the space on this CPU (NULL: the kernel's own tables), if it is not already. Interrupts off. */
void aspace_load(struct aspace *space);

/*
 * When it returns, no CPU uses a translation of the space from before the call: every entry that was
 * changed has taken effect everywhere. Waits for other CPUs, so interrupts are on and no lock is held (else
 * two CPUs could wait for each other for ever).
 */
void tlb_shootdown(struct aspace *space);

/* The interrupt by which others ask. Interrupts off. */
void aspace_tlb_interrupt(void);

/* How often CPU `cpu` has asked others to flush. */
uint64_t tlb_shootdowns(unsigned cpu);

#endif
