/* From the program's entry to main(), and from main() to the end of the task. Called by crt0.asm. */
#include "user/lib/primer.h"

/* On the new stack; written by whoever loads the program (spawn.c, and the kernel for /bin/init). */
struct argument_block {
    uint64_t argc;
    char *argv[];                   /* argc of them, and a NULL */
};

int main(int argc, char **argv);
NORETURN void primer_start(struct argument_block *block);

void primer_start(struct argument_block *block)
{
    primer_exit(main((int)block->argc, block->argv));
}

void primer_exit(int status)
{
    print_flush();
    primer_task_exit(status);
}
