/*
 * Threads of one task. Each has a stack of its own above a page that nobody can touch, so that running over
 * the end is a fault and not somebody else's data. The stack is given back by the join, never by the
 * thread, which still stands on it.
 */
#include "user/lib/primer.h"

extern void primer_thread_entry(void);                          /* crt0.asm */
NORETURN void primer_thread_main(struct primer_thread *thread);

void primer_thread_main(struct primer_thread *thread)
{
    thread->function(thread->argument);
    primer_thread_exit();
}

status_t primer_thread_start(struct primer_thread *thread, void (*function)(void *), void *argument,
                             unsigned prio)
{
    status_t stack = primer_vm_map(PRIMER_SELF, 0, PAGE_SIZE + PRIMER_STACK_SIZE,
                                   PRIMER_PROT_READ | PRIMER_PROT_WRITE, 0);
    if (stack < 0)
        return stack;
    thread->function = function;
    thread->argument = argument;
    thread->stack = (vaddr_t)stack;

    status_t status = primer_vm_protect(PRIMER_SELF, thread->stack, PAGE_SIZE, 0);
    if (status >= 0) {
        vaddr_t top = thread->stack + PAGE_SIZE + PRIMER_STACK_SIZE;
        status = primer_thread_create(PRIMER_SELF, (vaddr_t)primer_thread_entry, top, (uintptr_t)thread, prio);
    }
    if (status < 0) {
        primer_vm_unmap(PRIMER_SELF, thread->stack, PAGE_SIZE + PRIMER_STACK_SIZE);
        return status;
    }
    /* The new thread does not read `handle`, so it may already run. */
    thread->handle = (uint64_t)status;
    return 0;
}

void primer_thread_join(struct primer_thread *thread)
{
    primer_wait(thread->handle, PRIMER_FOREVER);
    primer_handle_close(thread->handle);
    primer_vm_unmap(PRIMER_SELF, thread->stack, PAGE_SIZE + PRIMER_STACK_SIZE);
}
