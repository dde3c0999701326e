/*
 * Accounts. Their counters are atomic, so charging takes no lock; limits are fixed, so checking takes none
 * either. What a child account may use counts as used in its parent for as long as the child lives.
 */
#include "kernel/account.h"
#include "kernel/panic.h"
#include "kernel/thread_slot.h"
#include "mm/frame.h"
#include "mm/heap.h"

/* What user programs can never have: for the kernel's own threads and slabs that are only partly used. */
#define RESERVE_FRAMES 256u
/* What init and a monitor cannot do without. */
#define LEAST_FRAMES   256u

struct account account_root;

/*
 * What is promised adds up: the frames that programs may use, twice the bytes of kernel objects (slabs that are partly used), the slots of all threads
 * (which stay with the kernel when a thread ends) and the reserve are all there is.
 */
void account_init(void)
{
    uint64_t free = frame_count().free;
    uint64_t share = free / 32;
    uint64_t threads = min_u64(share, MAX_KSTACKS - MAX_CPUS * 4);
    uint64_t aside = RESERVE_FRAMES + 2 * share + THREAD_SLOT_FRAMES * threads;
    if (free < aside + LEAST_FRAMES)
        boot_fail("too little memory: %lu KiB are free, programs need %lu", free * (PAGE_SIZE / 1024),
                  (aside + LEAST_FRAMES) * (PAGE_SIZE / 1024));
    account_root = (struct account){
        .refs = 1,
        .limit = {
            [RES_FRAMES] = free - aside,
            [RES_KERNEL_BYTES] = share * PAGE_SIZE,
            [RES_THREADS] = threads,
            [RES_TASKS] = threads,
        },
    };
}

static void give_back(struct account *parent, const uint64_t *amounts, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        account_uncharge(parent, i, amounts[i]);
}

struct account *account_create(struct account *parent, const struct primer_limits *limits, status_t *error)
{
    const uint64_t amounts[RES_COUNT] = {
        [RES_FRAMES] = limits->frames,
        [RES_KERNEL_BYTES] = limits->kernel_bytes,
        [RES_THREADS] = limits->threads,
        [RES_TASKS] = limits->tasks,
    };
    *error = E_QUOTA;
    if (parent->depth == ACCOUNT_MAX_DEPTH)
        return NULL;
    struct account *account = heap_alloc(sizeof *account);
    if (!account) {
        *error = E_NO_MEMORY;
        return NULL;
    }
    for (unsigned i = 0; i < RES_COUNT; i++) {
        if (amounts[i] > parent->limit[i] || !account_charge(parent, i, amounts[i])) {
            give_back(parent, amounts, i);
            heap_free(account, sizeof *account);
            return NULL;
        }
        account->limit[i] = amounts[i];
    }
    atomic_store_explicit(&account->refs, 1, memory_order_relaxed);
    account->parent = parent;
    account->depth = parent->depth + 1;
    account_get(parent);
    *error = 0;
    return account;
}

void account_put(struct account *account)
{
    while (account && atomic_fetch_sub_explicit(&account->refs, 1, memory_order_acq_rel) == 1) {
        struct account *parent = account->parent;
        for (unsigned i = 0; i < RES_COUNT; i++)
            assert(atomic_load_explicit(&account->used[i], memory_order_relaxed) == 0);
        give_back(parent, account->limit, RES_COUNT);
        heap_free(account, sizeof *account);
        account = parent;
    }
}

void *account_alloc(struct account *account, size_t size, status_t *error)
{
    *error = E_QUOTA;
    if (!account_charge(account, RES_KERNEL_BYTES, heap_size(size)))
        return NULL;
    void *object = heap_alloc(size);
    *error = object ? 0 : E_NO_MEMORY;
    if (!object)
        account_uncharge(account, RES_KERNEL_BYTES, heap_size(size));
    return object;
}

void account_free(struct account *account, void *object, size_t size)
{
    if (!object)
        return;
    heap_free(object, size);
    account_uncharge(account, RES_KERNEL_BYTES, heap_size(size));
}
