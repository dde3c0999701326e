/*
 * Frames for page tables. A table must be all zero before it is linked, and zeroing one takes 512 steps, too
 * many for the page-fault handler to do as a rule; so each CPU keeps a small stock of zeroed ones. Page
 * tables (arch/) take and give, idle CPUs top up, frame_alloc() takes from here when it has nothing else. No
 * lock: a stock is its own CPU's, interrupts off.
 */
#include "kernel/lock.h"
#include "kernel/mem.h"
#include "mm/frame.h"

#define STOCK_MAX 16u
#define STOCK_LOW 8u        /* idle CPUs fill up to here; the rest is room for tables that come back */

struct table_stock {
    struct list_node list;          /* frames in state TABLE, all zero */
    _Atomic unsigned count;         /* written by its own CPU; others read it for frame_count() */
} __attribute__((aligned(64)));

static struct table_stock stocks[MAX_CPUS];

void table_init(void)
{
    for (unsigned i = 0; i < MAX_CPUS; i++)
        list_init(&stocks[i].list);
}

static unsigned stock_count(const struct table_stock *stock)
{
    return atomic_load_explicit(&stock->count, memory_order_relaxed);
}

static void stock_add(struct table_stock *stock, int by)
{
    atomic_store_explicit(&stock->count, stock_count(stock) + (unsigned)by, memory_order_relaxed);
}

/* Puts a zeroed table into this CPU's stock; false: it is full. */
static bool stock_push(struct frame *frame)
{
    uint64_t flags = irq_save();
    struct table_stock *stock = &stocks[this_cpu()->id];
    bool room = stock_count(stock) < STOCK_MAX;
    if (room) {
        list_push_front(&stock->list, &frame->link);
        stock_add(stock, 1);
    }
    irq_restore(flags);
    return room;
}

struct frame *table_stock_take(void)
{
    uint64_t flags = irq_save();
    struct table_stock *stock = &stocks[this_cpu()->id];
    struct list_node *node = list_pop_front(&stock->list);
    if (node)
        stock_add(stock, -1);
    irq_restore(flags);
    return node ? list_entry(node, struct frame, link) : NULL;
}

uint64_t table_stock_count(void)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < MAX_CPUS; i++)
        count += stock_count(&stocks[i]);
    return count;
}

static bool is_zero(const struct frame *frame)
{
    const uint64_t *word = frame_virt(frame);
    for (unsigned i = 0; i < PAGE_SIZE / sizeof(*word); i++)
        if (word[i])
            return false;
    return true;
}

/* A fresh frame as an empty table. */
static struct frame *make_table(void)
{
    struct frame *frame = frame_alloc();
    if (!frame)
        return NULL;
    memset(frame_virt(frame), 0, PAGE_SIZE);
    frame->state = FRAME_TABLE;
    frame->table.used = 0;
    return frame;
}

struct frame *table_alloc(void)
{
    struct frame *frame = table_stock_take();
    return frame ? frame : make_table();
}

void table_free(struct frame *frame)
{
    assert(frame->state == FRAME_TABLE && frame->table.used == 0 && !list_linked(&frame->link));
    if (DEBUG)
        assert(is_zero(frame));
    if (!stock_push(frame))
        frame_free(frame);
}

bool table_stock_fill(void)
{
    uint64_t flags = irq_save();
    bool low = stock_count(&stocks[this_cpu()->id]) < STOCK_LOW;
    irq_restore(flags);

    /* When the pool is nearly empty, frame_alloc() would take the frame out of the very stock. */
    if (!low || frame_is_scarce())
        return false;
    struct frame *frame = make_table();
    if (!frame)
        return false;
    table_free(frame);
    return true;
}
