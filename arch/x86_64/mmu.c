/*
 * Page-table trees of address spaces, and this CPU's TLB. Callers are mm/ (with the lock of the address space
 * held: it protects the tree and the counters in its tables' frames) and the scheduler, which loads spaces.
 * No lock of its own. It does not know what a page is for, does not flush other CPUs, and does not free a
 * table: a table that has been unlinked may still be in some CPU's paging-structure cache, so its frame goes
 * to the caller, who flushes first. The kernel half is built in mmu_boot.c and only copied here.
 */
#include "arch/cpu.h"
#include "arch/x86_64/pt.h"
#include "kernel/panic.h"
#include "mm/frame.h"

struct pagetable kernel_tables = {.last_span = PT_NO_SPAN};
uint8_t kernel_entries[PT_ENTRIES - KERNEL_HALF];
unsigned kernel_entry_count;

/*
 * Upper entries allow everything; the leaf entry alone decides (SDM vol. 3, 4.6: the strictest level wins).
 */
#define TABLE_FLAGS (PTE_P | PTE_W | PTE_U)

status_t pt_create(struct pagetable *pt)
{
    struct frame *frame = table_alloc();
    if (!frame)
        return E_NO_MEMORY;
    *pt = (struct pagetable){.root = frame_virt(frame), .last_span = PT_NO_SPAN};
    for (unsigned i = 0; i < kernel_entry_count; i++) {
        unsigned index = KERNEL_HALF + kernel_entries[i];
        pt->root[index] = kernel_tables.root[index];
    }
    return 0;
}

void pt_destroy(struct pagetable *pt)
{
    struct frame *frame = virt_to_frame(pt->root);
    assert(frame->table.used == 0);
    for (unsigned i = 0; i < kernel_entry_count; i++)
        pt->root[KERNEL_HALF + kernel_entries[i]] = (pte_t){0};
    *pt = (struct pagetable){.last_span = PT_NO_SPAN};
    table_free(frame);
}

/*
 * Three dependent loads, written out. A table that is missing is not remembered, so adding one needs no care.
 */
pte_t *pt_walk(struct pagetable *pt, vaddr_t va)
{
    if (!pt->root)              /* torn down: there is nothing any more */
        return NULL;
    pte_t entry = pt->root[pt_index(va, 3)];
    if (!pt_is_table(entry))
        return NULL;
    entry = pt_table(entry)[pt_index(va, 2)];
    if (!pt_is_table(entry))
        return NULL;
    entry = pt_table(entry)[pt_index(va, 1)];
    if (!pt_is_table(entry))
        return NULL;
    pt->last_leaf = pt_table(entry);
    pt->last_span = va >> PT_SPAN_SHIFT;
    return &pt->last_leaf[pt_index(va, 0)];
}

void pt_entry_added(pte_t *slot)
{
    virt_to_frame(slot)->table.used++;
}

void pt_entry_removed(pte_t *slot)
{
    struct frame *frame = virt_to_frame(slot);
    if (DEBUG)
        assert(frame->state == FRAME_TABLE && frame->table.used > 0);
    frame->table.used--;
}

static void link_table(pte_t *slot, struct frame *table)
{
    pte_set(slot, (pte_t){pfn_to_phys(frame_pfn(table)).value | TABLE_FLAGS});
    pt_entry_added(slot);
}

/*
 * Adds the tables that are missing for `va`: at least the leaf table. Out of line: pt_lookup_alloc() nearly
 * always finds one.
 */
static __attribute__((noinline)) pte_t *grow(struct pagetable *pt, vaddr_t va, unsigned *tables)
{
    unsigned level = PT_TOP;
    pte_t *slot = &pt->root[pt_index(va, level)];
    while (pt_is_table(*slot)) {
        level--;
        slot = &pt_table(*slot)[pt_index(va, level)];
    }
    assert(level > 0 && pte_is_none(*slot));

    /* Look and reserve: the tables of levels 0 to level-1, or none of them. */
    struct frame *fresh[PT_TOP];
    for (unsigned i = 0; i < level; i++) {
        fresh[i] = table_alloc();
        if (!fresh[i]) {
            while (i-- > 0)
                table_free(fresh[i]);
            return NULL;
        }
    }

    /*
     * Commit, from the leaf up: what a CPU can walk into is complete, and no table is ever linked without an
     * entry.
     */
    for (unsigned i = 1; i < level; i++)
        link_table((pte_t *)frame_virt(fresh[i]) + pt_index(va, i), fresh[i - 1]);
    link_table(slot, fresh[level - 1]);
    *tables += level;
    return (pte_t *)frame_virt(fresh[0]) + pt_index(va, 0);
}

pte_t *pt_lookup_alloc(struct pagetable *pt, vaddr_t va, unsigned *tables)
{
    if (DEBUG)
        assert(va < USER_MAX);
    pte_t *leaf = pt_lookup(pt, va);
    return likely(leaf != NULL) ? leaf : grow(pt, va, tables);
}

#define PT_LOOKS 128u           /* entries that pt_next_table() looks at: its caller holds a lock */

vaddr_t pt_next_table(const struct pagetable *pt, vaddr_t va, vaddr_t end)
{
    assert(end <= USER_MAX);    /* so that it never looks at the kernel half */
    if (!pt->root)
        return end;
    unsigned looks = PT_LOOKS;
    if (virt_to_frame(pt->root)->table.used == 0)
        return end;
    while (va < end && looks > 0) {
        unsigned level = PT_TOP;
        const pte_t *table = pt->root;
        while (level > 0 && pt_is_table(table[pt_index(va, level)])) {
            table = pt_table(table[pt_index(va, level)]);
            level--;
        }
        if (level == 0)
            return va;

        /*
         * Nothing behind this entry of a table of that level: on to the next one that leads anywhere, or to
         * the table's end.
         */
        uint64_t span = pt_span(level);
        vaddr_t start = align_down(va, span * PT_ENTRIES);
        uint64_t stop = min_u64(PT_ENTRIES, (end - start + span - 1) / span);
        uint64_t index = pt_index(va, level) + 1;
        for (looks--; index < stop && looks > 0 && !pt_is_table(table[index]); looks--)
            index++;
        va = start + index * span;
    }
    return min_u64(va, end);
}

unsigned pt_prune(struct pagetable *pt, vaddr_t va, struct frame_list *freed)
{
    pte_t *path[PT_TOP];        /* the entries that lead to `va`, from the root's on */
    unsigned depth = 0;
    pte_t *table = pt->root;
    while (depth < PT_TOP) {
        pte_t *slot = &table[pt_index(va, PT_TOP - depth)];
        if (!pt_is_table(*slot))
            break;
        table = pt_table(*slot);
        path[depth++] = slot;
    }

    unsigned count = 0;
    while (depth-- > 0) {
        struct frame *frame = virt_to_frame(pt_table(*path[depth]));
        if (frame->table.used > 0)
            break;
        pte_set(path[depth], (pte_t){0});
        pt_entry_removed(path[depth]);
        list_push_back(&freed->head, &frame->link);
        count++;
    }
    if (count > 0)
        pt->last_span = PT_NO_SPAN;     /* it may be this one, whose frame will soon be something else */
    return count;
}

static void load_root(const pte_t *root)
{
    if (DEBUG)
        assert(!irqs_on());
    __asm__ volatile("mov %0, %%cr3" : : "r"(virt_to_phys(root).value) : "memory");
}

void mmu_load(const struct pagetable *pt) { load_root(pt->root); }
void mmu_load_kernel(void)                { load_root(kernel_tables.root); }
paddr_t mmu_kernel_root(void)             { return virt_to_phys(kernel_tables.root); }

void mmu_flush_page(vaddr_t va)
{
    __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

/*
 * Loading CR3 drops everything but global translations (SDM vol. 3, 4.10.4.1), even if the value is the same.
 */
void mmu_flush_all(void)
{
    uint64_t root;
    __asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(root) : : "memory");
}
