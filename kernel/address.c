/*
 * Waiting on a word of user memory. Each space has a tree of its waiting threads by address, equal ones in
 * order of arrival, under a lock of its own (rank WAIT): a wake finds its first waiter without passing over
 * strangers, and one task's waiters never slow another's. The lock makes "the word still has that value"
 * and "I am in the tree" one step, so that a wake in between is not lost. So the word is read with the lock
 * held, and therefore without faulting; if its page is not there, it is touched without the lock and all is
 * looked at again.
 */
#include "kernel/address.h"
#include "arch/user.h"
#include "kernel/wait.h"
#include "mm/aspace.h"

#define WAKE_AT_ONCE 8u         /* per lock hold */

static struct thread *thread_of(struct avl_node *node) { return container_of(node, struct thread, address_node); }

static void insert(struct avl_tree *tree, struct thread *thread)
{
    struct avl_node *parent = NULL, **link = &tree->root;
    while (*link) {
        parent = *link;
        link = thread->wait_address < thread_of(parent)->wait_address ? &parent->left : &parent->right;
    }
    avl_insert(tree, parent, link, &thread->address_node);
    thread->in_address_tree = true;
}

static void take_out(struct avl_tree *tree, struct thread *thread)
{
    avl_remove(tree, &thread->address_node);
    thread->in_address_tree = false;
}

/* Who has waited longest at `address`; NULL. */
static struct thread *first_at(const struct avl_tree *tree, vaddr_t address)
{
    struct thread *found = NULL;
    for (struct avl_node *node = tree->root; node;) {
        struct thread *thread = thread_of(node);
        if (thread->wait_address == address)
            found = thread;
        node = thread->wait_address >= address ? node->left : node->right;
    }
    return found;
}

/* One try; *touch: the word's page is not there. */
static status_t try_wait(struct aspace *space, vaddr_t address, uint32_t value, uint64_t deadline_ns, bool *touch)
{
    struct thread *self = thread_current();
    uint32_t now;
    spin_lock(&space->address_lock);
    *touch = user_peek_u32(&now, address) != 0;
    if (*touch || now != value) {
        spin_unlock(&space->address_lock);
        return E_AGAIN;
    }
    self->wait_address = address;
    insert(&space->address_waiters, self);
    status_t status = wait_on(&space->address_lock, NULL, WAIT_ADDRESS, (void *)address, deadline_ns);
    spin_lock(&space->address_lock);
    if (self->in_address_tree)
        take_out(&space->address_waiters, self);
    spin_unlock(&space->address_lock);
    return status;
}

status_t address_wait(vaddr_t address, uint32_t value, uint64_t deadline_ns)
{
    struct aspace *space = thread_current()->space;
    for (;;) {
        bool touch;
        uint32_t word;
        status_t status = try_wait(space, address, value, deadline_ns, &touch);
        if (!touch)
            return status;
        status = copy_from_user(&word, address, sizeof word);
        if (status)
            return status;
    }
}

uint64_t address_wake(vaddr_t address, uint64_t count)
{
    struct aspace *space = thread_current()->space;
    uint64_t woken = 0;
    for (bool more = true; more && woken < count;) {
        spin_lock(&space->address_lock);
        for (unsigned i = 0; more && i < WAKE_AT_ONCE && woken < count; i++) {
            struct thread *thread = first_at(&space->address_waiters, address);
            more = thread != NULL;
            if (!thread)
                break;
            take_out(&space->address_waiters, thread);
            woken += thread_wake(thread, 0);    /* not one that a kill or its time limit has woken already */
        }
        spin_unlock(&space->address_lock);
    }
    return woken;
}
