/*
 * The part of primer_fork() that C can say: clone the memory, then start a thread in the clone. The print
 * lock is held across, so that no other thread's half-written line, and no lock without an owner, is cloned
 * with the rest. Other locks that the program has are its own business, as with fork() elsewhere.
 */
#include "user/lib/primer.h"

/* Both are called by fork.asm only. */
status_t fork_clone(vaddr_t child_sp, vaddr_t child_entry);
status_t fork_child(void);

status_t fork_clone(vaddr_t child_sp, vaddr_t child_entry)
{
    print_lock_flushed();
    status_t task = primer_task_clone();
    if (task > 0) {
        status_t thread = primer_thread_create((uint64_t)task, child_entry, child_sp, 0, 0);
        if (thread >= 0) {
            primer_handle_close((uint64_t)thread);
        } else {
            primer_handle_close((uint64_t)task);    /* it never had a thread: this was its end */
            task = thread;
        }
    }
    print_unlock();
    return task;
}

/* The child's first steps: it has its own copy of the print lock, held. */
status_t fork_child(void)
{
    print_unlock();
    return 0;
}
