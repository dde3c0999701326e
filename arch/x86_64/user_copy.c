/*
 * Copies between the kernel and the user half of the space that is loaded. Called by system calls;
 * user_copy_at() and user_copy_fail() by the page-fault handler. Ranges are checked here, before the first
 * byte, so a fault in user_copy.asm at a user address is the user's own doing. Makes no decision about
 * pages and takes no lock.
 */
#include "arch/user.h"
#include "arch/cpu.h"
#include "arch/mmu.h"
#include "arch/trap.h"
#include "kernel/panic.h"

/* user_copy.asm */
bool user_copy_bytes(void *to, const void *from, size_t len);
bool user_peek_word(uint32_t *value, const uint32_t *from);
extern const uint8_t user_copy_start[], user_copy_end[], user_copy_fixup[];
extern const uint8_t user_peek_start[], user_peek_end[], user_peek_fixup[];

/*
 * SMAP: the kernel reaches user pages only in between. The flag is part of the trap frame, so a sleep in
 * between is no hole.
 */
static inline void user_access_begin(void)
{
    if (cpu_features.smap)
        __asm__ volatile("stac" : : : "memory");
}

static inline void user_access_end(void)
{
    if (cpu_features.smap)
        __asm__ volatile("clac" : : : "memory");
}

static status_t user_copy(void *to, const void *from, size_t len)
{
    assert(irqs_on());      /* the copy may sleep: so no spinlock is held */
    user_access_begin();
    bool done = user_copy_bytes(to, from, len);
    user_access_end();
    return done ? 0 : E_BAD_ADDRESS;
}

status_t copy_from_user(void *to, vaddr_t from, size_t len)
{
    if (len == 0)
        return 0;
    if (!user_range_ok(from, len))
        return E_BAD_ADDRESS;
    return user_copy(to, (const void *)from, len);
}

status_t copy_to_user(vaddr_t to, const void *from, size_t len)
{
    if (len == 0)
        return 0;
    if (!user_range_ok(to, len))
        return E_BAD_ADDRESS;
    return user_copy((void *)to, from, len);
}

status_t user_peek_u32(uint32_t *value, vaddr_t from)
{
    if (from % sizeof(*value) != 0 || !user_range_ok(from, sizeof(*value)))
        return E_BAD_ADDRESS;
    user_access_begin();
    bool done = user_peek_word(value, (const uint32_t *)from);
    user_access_end();
    return done ? 0 : E_AGAIN;
}

static bool rip_inside(const struct trap_frame *frame, const uint8_t *start, const uint8_t *end)
{
    return frame->rip >= (uintptr_t)start && frame->rip < (uintptr_t)end;
}

bool user_copy_at(const struct trap_frame *frame, bool *may_wait)
{
    *may_wait = rip_inside(frame, user_copy_start, user_copy_end);
    return *may_wait || rip_inside(frame, user_peek_start, user_peek_end);
}

void user_copy_fail(struct trap_frame *frame)
{
    bool may_wait;
    assert(user_copy_at(frame, &may_wait));
    frame->rip = (uintptr_t)(may_wait ? user_copy_fixup : user_peek_fixup);
}
