/* Memory for threads: kernel stack, guard and struct thread in one slot of the stack area. */
#ifndef KERNEL_THREAD_SLOT_H
#define KERNEL_THREAD_SLOT_H

#include "kernel/thread.h"

#define THREAD_SLOT_FRAMES 2

/*
 * A slot, zeroed where it matters, with frame_base set. Not the FPU area. NULL: no memory or no slot. Any
 * context; ranks LEAF and FRAMES.
 */
struct thread *thread_slot_alloc(void);
/* May be used again as soon as its on_cpu is clear. */
void thread_slot_free(struct thread *thread);

#endif
