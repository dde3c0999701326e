/*
 * The life of an address space. What it maps is vm.c's and fault.c's business, who has it loaded is
 * tlb.c's.
 */
#include "mm/aspace.h"
#include "kernel/account.h"
#include "kernel/thread.h"
#include "mm/zap.h"

struct aspace *aspace_create(struct account *account, status_t *error)
{
    struct aspace *space = account_alloc(account, sizeof *space, error);
    if (!space)
        return NULL;
    *error = E_QUOTA;
    if (account_charge(account, RES_FRAMES, 1)) {
        *error = pt_create(&space->pt);
        if (*error == 0) {
            atomic_store_explicit(&space->refs, 1, memory_order_relaxed);
            account_get(account);
            space->account = account;
            space->frames = 1;
            spin_init(&space->lock, "space", RANK_SPACE);
            spin_init(&space->address_lock, "address waiters", RANK_WAIT);
            vma_set_init(&space->vmas, USER_MIN, USER_MAX);
            return space;
        }
        account_uncharge(account, RES_FRAMES, 1);
    }
    account_free(account, space, sizeof *space);
    return NULL;
}

void aspace_put(struct aspace *space)
{
    if (atomic_fetch_sub_explicit(&space->refs, 1, memory_order_acq_rel) != 1)
        return;
    assert(!space->pt.root && space->frames == 0);
    struct account *account = space->account;
    account_free(account, space, sizeof *space);
    account_put(account);
}

/*
 * Worker threads and idle CPUs may still have the space loaded, although none of its threads runs; they are
 * told to leave before the root of the tables goes. Requests under way find no entry and free their frames
 * themselves (INV-10). Another task that has a handle may just be unmapping here: its range is dying and
 * stays its own, but the pages go now, so that it finds no tables any more.
 */
void aspace_empty(struct aspace *space)
{
    spin_lock(&space->lock);
    /* before the ranges go: others may have a handle of the task */
    atomic_store_explicit(&space->dying, true, memory_order_relaxed);
    spin_unlock(&space->lock);
    status_t status = vm_unmap(space, USER_MIN, USER_MAX - USER_MIN);
    assert(status == 0);        /* whole ranges only: nothing to split, so no memory needed */
    zap_range(space, USER_MIN, USER_MAX);       /* ends with a flush, by which every CPU leaves */

    spin_lock(&space->lock);
    pt_destroy(&space->pt);
    space->frames--;
    spin_unlock(&space->lock);
    account_uncharge(space->account, RES_FRAMES, 1);
}
