/*
 * Physical memory by the frame. Every 4 KiB of RAM has one 64-byte descriptor, frames[pfn]. Free frames
 * stand in a binary buddy pool, with a small cache per CPU in front of it for single ones. The descriptor
 * also carries what the frame's present use needs: for a frame whose bytes are being made, that is the
 * whole request (mm/pinit.h), so that raising one never needs memory.
 */
#ifndef MM_FRAME_H
#define MM_FRAME_H

#include <stdatomic.h>
#include "arch/mmu.h"
#include "kernel/list.h"

struct aspace;
struct boot_info;

/* What a frame is used for. One state at a time; who may move it on stands beside it. */
enum frame_state {
    FRAME_RESERVED,     /* not RAM, the image, the archive, the descriptors: never allocated. Fixed after boot */
    FRAME_FREE,         /* in the pool. Entered and left under the pool's lock */
    FRAME_CACHED,       /* free, in a CPU's cache: that CPU's, interrupts off */
    FRAME_OWNED,        /* allocated; whoever holds it decides (kernel heap, stacks, a table before it is linked) */
    FRAME_TABLE,        /* a page table; `table.used` counts its entries. Under the space's lock; in a CPU's stock: interrupts off */
    FRAME_QUEUED,       /* on a pinit queue by `link`; bytes not final, the PTE says io. Under the pinit queue's lock */
    FRAME_FILLING,      /* off the queue; one worker writes the bytes, without a lock. The worker alone moves it on */
    FRAME_READY,        /* bytes final; mapped `refs` times. Entered in the lock hold that publishes the PTE */
};

/*
 * A page-init request: "make this frame's bytes for that page". Set before the PTE turns io and fixed until
 * the frame is READY, except for `waiters` (under the lock of `space`).
 */
struct page_init {
    struct list_node waiters;           /* threads asleep until the bytes are final (struct thread.wait_node) */
    struct aspace *space;               /* counted reference */
    vaddr_t page;                       /* page-aligned */
    struct frame *source;               /* the frame to copy, counted reference; NULL: zero */
};

struct frame {
    struct list_node link;              /* free list, pinit queue, list of frames to free: the state says which */
    _Atomic uint32_t refs;              /* READY: how many PTEs and requests name it. Taken and dropped with frame_get/put() */
    uint8_t state;                      /* enum frame_state */
    uint8_t order;                      /* of the block this frame heads, from frame_alloc() to frame_free(): 2^order frames. Also
                                           while FREE. Of a frame inside a block: FRAME_ORDER_INSIDE */
    uint8_t prio;                       /* QUEUED: the level of the pinit queue it is on */
    uint8_t cpu;                        /* QUEUED, FILLING: whose pinit queue */
    union {
        struct page_init init;                              /* QUEUED, FILLING */
        struct { uint32_t used; } table;                    /* TABLE */
        struct { void *free; uint16_t used, carved, size; } slab;   /* OWNED by the kernel heap (mm/heap.c) */
    };
};
_Static_assert(sizeof(struct frame) == 64, "one cache line, and 1/64 of the memory it describes");

/* A name and not a macro: structs have fields called frames, and a debugger can index it. */
static struct frame *const frames = (struct frame *)FRAMES_BASE;

static inline struct frame *pfn_to_frame(pfn_t pfn)         { return &frames[pfn.value]; }
static inline pfn_t frame_pfn(const struct frame *frame)    { return (pfn_t){(uint32_t)(frame - frames)}; }
static inline void *frame_virt(const struct frame *frame)   { return pfn_to_virt(frame_pfn(frame)); }
static inline struct frame *virt_to_frame(const void *direct) { return pfn_to_frame(phys_to_pfn(virt_to_phys(direct))); }

/* Frames on their way out, chained by `link`. Owned by one thread, so no lock. */
struct frame_list { struct list_node head; };

#define FRAME_MAX_ORDER    10           /* the largest block is 4 MiB */
#define FRAME_ORDER_INSIDE 0xff

/* Boot, CPU 0, after mmu_boot_init(): all RAM of `info` that is not reserved becomes free. */
void frame_init(const struct boot_info *info);
/*
 * Boot: takes `pages` frames in a row before frame_init(), for tables and descriptors; never given back,
 * bytes undefined. From the top of the RAM below 4 GiB, if there is room. boot_fail()s when RAM is out.
 * mm/frame_boot.c
 */
paddr_t frame_boot_alloc(const struct boot_info *info, uint64_t pages);

/*
 * One frame, or a naturally aligned block of 2^order; state OWNED, bytes undefined. NULL: no memory. Never
 * sleeps. Any context except with a lock of rank FRAMES or above held. Single frames come from the CPU's
 * cache: usually no lock. A block of 2^order takes as many steps, outside every lock. Frames in other CPUs'
 * caches and stocks (48 each at most) are out of reach.
 */
struct frame *frame_alloc(void);
struct frame *frame_alloc_order(unsigned order);

/*
 * Gives back what the above returned; the whole block. Nobody may name it any more. Same contexts. Debug
 * builds: 513 steps a frame.
 */
void frame_free(struct frame *frame);

/* Another name for a READY frame / one name less; the last one frees it and returns true. */
static inline void frame_get(struct frame *frame) { atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed); }
bool frame_put(struct frame *frame);

/*
 * In frames. total: all that the pool manages; boot: the rest of RAM (low 1 MiB, image, archive,
 * frame_boot_alloc()).
 */
struct frame_counts { uint64_t total, free, boot; };
/* A snapshot; exact only while nobody allocates. Free ones in the CPUs' caches and stocks count as free. */
struct frame_counts frame_count(void);
/* Whether the pool is nearly empty: time to keep no stocks. A hint, no lock. */
bool frame_is_scarce(void);

/*
 * --- Page tables need frames that are all zero. A table that is given back is all zero already, so a few
 * are kept. mm/table.c ---
 */

/*
 * A zeroed frame in state TABLE with used = 0; NULL: no memory. Usually from the CPU's stock; else it
 * zeroes one (513 instructions).
 */
struct frame *table_alloc(void);
/* Takes back a table whose entries are all none. */
void table_free(struct frame *frame);
/*
 * Tops up the calling CPU's stock by one, if it is low; the idle thread does it when nobody wants the CPU
 * (kernel/main.c). May be preempted. True if it did.
 */
bool table_stock_fill(void);

/* For mm/frame.c: boot; a stocked table of this CPU, or NULL; how many all CPUs have. */
void table_init(void);
struct frame *table_stock_take(void);
uint64_t table_stock_count(void);

/* Between mm/frame_boot.c and mm/frame.c. */

/* Ends frame_boot_alloc()'s time. */
void frame_boot_end(void);
/*
 * For walking a region piece by piece: whether the RAM at `at` is reserved (low 1 MiB, image, archive,
 * frame_boot_alloc()), and where that changes; `end` at the latest. All page-aligned.
 */
bool frame_boot_reserved(const struct boot_info *info, uint64_t at, uint64_t end, uint64_t *change);

#endif
