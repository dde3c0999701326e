/*
 * Accounts: what a family of tasks may use. A task and its clones share an account, so a fork bomb or a
 * memory hog reaches the limit of its own family and nobody else notices. A limit given to a new account is
 * taken out of its creator's, and comes back with the last task: the sum of all limits never exceeds the
 * machine.
 */
#ifndef KERNEL_ACCOUNT_H
#define KERNEL_ACCOUNT_H

#include <stdatomic.h>
#include "kernel/abi.h"
#include "kernel/types.h"

enum resource { RES_FRAMES, RES_KERNEL_BYTES, RES_THREADS, RES_TASKS, RES_COUNT };

#define ACCOUNT_MAX_DEPTH 16u

struct account {
    _Atomic uint32_t refs;          /* tasks, spaces and child accounts */
    struct account *parent;         /* counted; NULL for the root. Fixed */
    unsigned depth;                 /* accounts above; at most ACCOUNT_MAX_DEPTH, as all may end at once. Fixed */
    uint64_t limit[RES_COUNT];      /* fixed after creation */
    _Atomic uint64_t used[RES_COUNT];   /* never above limit; what child accounts were given counts as used */
};

extern struct account account_root;

/* Boot: the root account may use what the machine has, less a reserve for the kernel. After frame_init(). */
void account_init(void);

/* A child account with `limits` taken from `parent`. NULL: E_QUOTA or no memory, see *error. */
struct account *account_create(struct account *parent, const struct primer_limits *limits, status_t *error);

static inline void account_get(struct account *account) { atomic_fetch_add_explicit(&account->refs, 1, memory_order_relaxed); }
/* The last reference returns the limits to the parent. Everything charged has been uncharged. Any context. */
void account_put(struct account *account);

/*
 * All or nothing; false: the limit is reached. Any context, no lock. `used` never exceeds the limit, not even for a
 * moment, in which somebody else of the family would be refused.
 */
static inline MUST_CHECK bool account_charge(struct account *account, enum resource what, uint64_t amount)
{
    uint64_t used = atomic_load_explicit(&account->used[what], memory_order_relaxed);
    do {
        if (unlikely(amount > account->limit[what] - used))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&account->used[what], &used, used + amount, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static inline void account_uncharge(struct account *account, enum resource what, uint64_t amount)
{
    atomic_fetch_sub_explicit(&account->used[what], amount, memory_order_relaxed);
}

/* Heap memory on an account: zeroed, or NULL with *error E_QUOTA or E_NO_MEMORY. */
void *account_alloc(struct account *account, size_t size, status_t *error);
void account_free(struct account *account, void *object, size_t size);

#endif
