/*
 * Page faults: from an exception, or on behalf of a copy between spaces. Decides and commits; never fills a
 * page.
 */
#ifndef MM_FAULT_H
#define MM_FAULT_H

#include "arch/trap.h"
#include "mm/aspace.h"

enum fault_result {
    FAULT_RESOLVED,         /* nothing to wait for: run the instruction again */
    FAULT_RAISED,           /* a request was made; *frame is its frame, not yet submitted */
    FAULT_JOINED,           /* somebody else's request: *frame */
    FAULT_BAD_ADDRESS,      /* nothing is mapped there */
    FAULT_BAD_ACCESS,       /* the range does not allow it */
    FAULT_NO_MEMORY,
    FAULT_QUOTA,
};

/*
 * What a touch of `address` for `access` (one of PRIMER_PROT_*) leads to. On FAULT_RAISED the PTE says io
 * and the caller must hand the frame on to pinit_submit() or pinit_serve(), and may put threads on its
 * waiters before it gives back the lock. Under space->lock.
 */
enum fault_result fault_resolve_locked(struct aspace *space, vaddr_t address, unsigned access, struct frame **frame);

/*
 * FAULT_JOINED: the request becomes as urgent as the current thread, which is about to wait for it. Under
 * space->lock.
 */
void fault_join(struct frame *frame);

/* The exception. Interrupts off. */
void page_fault(struct trap_frame *frame, vaddr_t address);

/*
 * A thread that was killed in its sleep leaves the waiters of the page. Its own; interrupts on or off, no
 * lock held.
 */
void page_wait_leave(void);

#endif
