/*
 * The first program, started by the kernel. With `cmd=PROGRAM ARG...` at the end of the kernel's command
 * line it runs that program and ends the machine with its status, which tools/run hands on. Otherwise it
 * keeps the monitor running. Status 125 means that a program could not be started at all.
 */
#include "user/lib/primer.h"

#define STATUS_NOT_STARTED 125
#define MAX_WORDS 64
#define MAX_RETRIES 5                   /* a monitor that ends at once will do so again */

static NORETURN void end_machine(int status)
{
    print_flush();
    status_t error = primer_power_off(status);
    print("init: the machine cannot be switched off: %s\n", primer_error_text(error));
    primer_exit(status);
}

/* What follows "cmd=", if a word of the command line starts like that; NULL. */
static char *find_command(char *line)
{
    for (char *at = line; *at; at++) {
        if ((at == line || at[-1] == ' ') && strncmp(at, "cmd=", 4) == 0)
            return at + 4;
    }
    return NULL;
}

/* Runs it and waits. Its exit status; negative: it could not be started, and that has been said. */
static int run(int argc, char **argv)
{
    const char *reason;
    status_t task = primer_spawn(argv[0], argc, argv, NULL, 0, &reason);
    if (task < 0) {
        print("init: cannot start '%s': %s (%s)\n", argv[0], reason, primer_error_name(task));
        return -1;
    }
    status_t status = primer_wait((uint64_t)task, PRIMER_FOREVER);
    primer_handle_close((uint64_t)task);
    return (int)status;
}

static NORETURN void run_command(char *command)
{
    char *words[MAX_WORDS + 1];
    int count = split_words(command, words, MAX_WORDS);
    if (count <= 0) {
        print(count == 0 ? "init: cmd= names no program\n"
                         : "init: cmd= has a quote that is not closed, or more than %d words\n", MAX_WORDS);
        end_machine(STATUS_NOT_STARTED);
    }
    int status = run(count, words);
    end_machine(status < 0 ? STATUS_NOT_STARTED : status);
}

int main(void)
{
    static char line[1024 + 1];         /* the kernel keeps no more of it; the last byte stays NUL */
    if (primer_info(PRIMER_INFO_COMMAND_LINE, 0, line, sizeof(line) - 1) >= 0) {
        char *command = find_command(line);
        if (command)
            run_command(command);
    }

    char *monitor[] = {"monitor", NULL};
    for (int failures = 0; failures < MAX_RETRIES;) {
        uint64_t started = primer_clock();
        int status = run(1, monitor);
        if (status < 0)
            end_machine(STATUS_NOT_STARTED);
        print("init: the monitor has ended with status %d; starting it again\n", status);
        failures = primer_clock() - started < NS_PER_S ? failures + 1 : 0;
    }
    print("init: the monitor ends as soon as it starts; giving up\n");
    end_machine(STATUS_NOT_STARTED);
}
