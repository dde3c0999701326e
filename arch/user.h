/*
 * The only door between the kernel and user memory of the space that is loaded. A copy may fault: then it
 * goes the way of every page fault and may sleep, so no spinlock is held (asserted). A bad address is an
 * error code.
 */
#ifndef ARCH_USER_H
#define ARCH_USER_H

#include "kernel/types.h"

struct trap_frame;

/* E_BAD_ADDRESS if any byte cannot be read or written; then part of the copy may have happened. May sleep. */
status_t MUST_CHECK copy_from_user(void *to, vaddr_t from, size_t len);
status_t MUST_CHECK copy_to_user(vaddr_t to, const void *from, size_t len);

/*
 * Reads an aligned word without ever faulting in: E_AGAIN if the page is not there right now (touch it with
 * copy_from_user() and try again). For looking at a word while holding a lock. Never sleeps.
 */
status_t MUST_CHECK user_peek_u32(uint32_t *value, vaddr_t from);

/*
 * Called by the page-fault handler for a fault in kernel mode. True if the code at frame->rip is one of the
 * copies above, and then *may_wait says whether it may sleep. user_copy_fail() makes that copy return an
 * error when the frame is resumed.
 */
bool user_copy_at(const struct trap_frame *frame, bool *may_wait);
void user_copy_fail(struct trap_frame *frame);

#endif
