/*
 * A slot is 16 KiB of addresses in the KSTACK area: the lower half is never mapped (a stack that overflows
 * faults there, on the double-fault stack), the upper half is two frames: the stack, growing down, and
 * above it struct thread. Once mapped a slot stays mapped and is kept for the next thread, so there is
 * never a stale translation of one to flush. The lock (rank LEAF) protects the list of free slots only.
 */
#include "kernel/thread_slot.h"
#include "kernel/lock.h"
#include "kernel/mem.h"
#include "mm/frame.h"

static struct spinlock lock = SPINLOCK("thread slots", RANK_LEAF);
static struct list_node free_slots = {&free_slots, &free_slots};    /* by run_node; under lock */
static uint32_t mapped_slots;                                       /* under lock */
static _Atomic uint32_t slots_in_use;

_Static_assert(offsetof(struct thread, on_cpu) == 0, "trap.asm clears it");
_Static_assert(sizeof(struct thread) <= 2048, "leaves 6 KiB of stack");

static struct thread *thread_of_slot(uint32_t slot)
{
    return (struct thread *)(KSTACK_BASE + (slot + 1) * KSTACK_SLOT - align_up(sizeof(struct thread), 64));
}

static struct thread *take_free(void)
{
    spin_lock(&lock);
    struct list_node *node = list_pop_front(&free_slots);
    spin_unlock(&lock);
    return node ? list_entry(node, struct thread, run_node) : NULL;
}

/* Both frames first, so that a slot is mapped whole or not at all. */
static struct thread *map_new(void)
{
    struct frame *low = frame_alloc(), *high = frame_alloc();
    spin_lock(&lock);
    bool fits = low && high && mapped_slots < MAX_KSTACKS;
    uint32_t slot = fits ? mapped_slots++ : 0;
    spin_unlock(&lock);
    if (!fits) {
        if (low)
            frame_free(low);
        if (high)
            frame_free(high);
        return NULL;
    }
    vaddr_t stack = KSTACK_BASE + slot * KSTACK_SLOT + KSTACK_SLOT / 2;
    mmu_map_kstack(stack, frame_pfn(low));
    mmu_map_kstack(stack + PAGE_SIZE, frame_pfn(high));
    return thread_of_slot(slot);
}

struct thread *thread_slot_alloc(void)
{
    struct thread *thread = take_free();
    if (thread) {
        /*
         * Its last user may be on his last instructions before he leaves this stack (trap.asm clears on_cpu
         * then).
         */
        while (atomic_load_explicit(&thread->on_cpu, memory_order_acquire))
            cpu_relax();
    } else {
        thread = map_new();
    }
    if (!thread)
        return NULL;
    memset(thread, 0, offsetof(struct thread, fpu));
    thread->frame_base = thread;
    atomic_fetch_add_explicit(&slots_in_use, 1, memory_order_relaxed);
    return thread;
}

void thread_slot_free(struct thread *thread)
{
    atomic_fetch_sub_explicit(&slots_in_use, 1, memory_order_relaxed);
    spin_lock(&lock);
    list_push_front(&free_slots, &thread->run_node);
    spin_unlock(&lock);
}

uint64_t thread_spare_frames(void)
{
    return (uint64_t)(mapped_slots - atomic_load_explicit(&slots_in_use, memory_order_relaxed)) * THREAD_SLOT_FRAMES;
}
