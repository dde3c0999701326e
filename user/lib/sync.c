/*
 * Locks from one word and two calls: address_wait(word, value) sleeps only if the word still has that
 * value, checked by the kernel under the lock that address_wake() takes. So between looking at the word and
 * sleeping nothing can be lost, and a lock that nobody contends for never enters the kernel. Waits may end
 * for no reason; every one is in a loop.
 */
#include "user/lib/primer.h"

void primer_mutex_lock(struct primer_mutex *mutex)
{
    uint32_t state = 0;
    if (atomic_compare_exchange_strong_explicit(&mutex->state, &state, 1, memory_order_acquire,
                                                memory_order_relaxed))
        return;
    /*
     * From here on take it as 2, "somebody may wait": whoever else waits must be woken by our unlock, and we
     * cannot know whether there is anyone. At worst that is one wake too many.
     */
    while (atomic_exchange_explicit(&mutex->state, 2, memory_order_acquire) != 0)
        primer_address_wait(&mutex->state, 2, PRIMER_FOREVER);
}

void primer_mutex_unlock(struct primer_mutex *mutex)
{
    if (atomic_exchange_explicit(&mutex->state, 0, memory_order_release) == 2)
        primer_address_wake(&mutex->state, 1);
}

status_t primer_condition_wait(struct primer_condition *condition, struct primer_mutex *mutex, uint64_t ns)
{
    /* Read before the unlock: a signal after it changes the number, and then the wait does not sleep. */
    uint32_t sequence = atomic_load(&condition->sequence);
    primer_mutex_unlock(mutex);
    status_t status = primer_address_wait(&condition->sequence, sequence, ns);
    primer_mutex_lock(mutex);
    return status == E_TIMEOUT ? E_TIMEOUT : 0;
}

void primer_condition_signal(struct primer_condition *condition)
{
    atomic_fetch_add(&condition->sequence, 1);
    primer_address_wake(&condition->sequence, 1);
}

void primer_condition_broadcast(struct primer_condition *condition)
{
    atomic_fetch_add(&condition->sequence, 1);
    primer_address_wake(&condition->sequence, UINT32_MAX);
}

void primer_semaphore_up(struct primer_semaphore *semaphore)
{
    atomic_fetch_add_explicit(&semaphore->count, 1, memory_order_release);
    primer_address_wake(&semaphore->count, 1);
}

void primer_semaphore_down(struct primer_semaphore *semaphore)
{
    uint32_t count = atomic_load(&semaphore->count);
    for (;;) {
        if (count == 0) {
            primer_address_wait(&semaphore->count, 0, PRIMER_FOREVER);
            count = atomic_load(&semaphore->count);
        } else if (atomic_compare_exchange_weak_explicit(&semaphore->count, &count, count - 1,
                                                         memory_order_acquire, memory_order_relaxed)) {
            return;
        }
    }
}
