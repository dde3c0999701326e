/*
 * A small shell on the serial console: runs programs and shows what the machine does. Commands are one
 * table; the views are in user/lib/show.c, the line editor in user/lib/terminal.c. ^C kills the program in
 * the foreground.
 */
#include "user/lib/primer.h"

#define LINE_MAX  256
#define MAX_WORDS 32
#define MAX_JOBS  16

struct job {
    uint64_t task;                      /* handle; 0: the place is free */
    char name[32];
};
static struct job jobs[MAX_JOBS];       /* job number n is jobs[n - 1] */

/* --- running programs --- */

static void say_end(status_t status)
{
    if (status == PRIMER_STATUS_KILLED)
        print("[killed]\n");
    else if (status == PRIMER_STATUS_FAULT)
        print("[ended by a fault: it used memory or an instruction that it must not]\n");
    else if (status != 0)
        print("[status %ld]\n", status);
}

static void reap_jobs(void)
{
    for (int i = 0; i < MAX_JOBS; i++) {
        if (jobs[i].task == 0)
            continue;
        status_t status = primer_wait(jobs[i].task, 0);
        if (status == E_TIMEOUT)
            continue;
        print("[%d] %s has ended, status %ld\n", i + 1, jobs[i].name, status);
        primer_handle_close(jobs[i].task);
        jobs[i].task = 0;
    }
}

static void run_background(uint64_t task, const char *name)
{
    for (int i = 0; i < MAX_JOBS; i++) {
        if (jobs[i].task == 0) {
            jobs[i].task = task;
            format(jobs[i].name, sizeof(jobs[i].name), "%s", name);
            print("[%d] %s\n", i + 1, name);
            return;
        }
    }
    primer_kill(task);
    primer_handle_close(task);
    print("no more than %d jobs at a time; see 'jobs' and 'kill'\n", MAX_JOBS);
}

/* argv[0] is the program; a last word "&" means in the background. prio 0: the usual one. */
static void run_program(int argc, char **argv, unsigned prio)
{
    bool background = argc > 1 && strcmp(argv[argc - 1], "&") == 0;
    if (background)
        argv[--argc] = NULL;
    const char *reason;
    status_t task = primer_spawn(argv[0], argc, argv, NULL, prio ? prio : PRIMER_PRIO_DEFAULT, &reason);
    if (task < 0) {
        if (task == E_NOT_FOUND)
            print("'%s' is neither a command ('help' lists them) nor a program ('ls' does)\n", argv[0]);
        else
            print("cannot start '%s': %s (%s)\n", argv[0], reason, primer_error_name(task));
        return;
    }
    if (background) {
        run_background((uint64_t)task, argv[0]);
        return;
    }
    terminal_foreground((uint64_t)task);
    status_t status = primer_wait((uint64_t)task, PRIMER_FOREVER);
    terminal_foreground(0);             /* from here on ^C cannot hit whoever gets the handle's number next */
    primer_handle_close((uint64_t)task);
    say_end(status);
}

/* --- commands: true, or false for "used wrongly", which prints the usage --- */

static bool command_run(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "&") == 0)
        return false;
    run_program(argc - 1, argv + 1, 0);
    return true;
}

static bool command_prio(int argc, char **argv)
{
    uint64_t prio;
    if (argc < 3 || !parse_u64(argv[1], &prio) || prio < 1 || prio > PRIMER_PRIO_MAX)
        return false;
    run_program(argc - 2, argv + 2, (unsigned)prio);
    return true;
}

static bool command_time(int argc, char **argv)
{
    if (argc < 2)
        return false;
    struct primer_info_cpu before = show_cpu_sum();
    uint64_t start = primer_clock();
    run_program(argc - 1, argv + 1, 0);
    uint64_t us = (primer_clock() - start) / NS_PER_US;
    struct primer_info_cpu after = show_cpu_sum();
    print("%lu.%06lu s; meanwhile in the whole machine: %lu page faults, %lu zeroed, %lu copied, %lu switches\n",
          us / 1000000, us % 1000000, after.faults - before.faults, after.zeroed - before.zeroed,
          after.copied - before.copied, after.switches - before.switches);
    return true;
}

static bool command_jobs(int argc, char **argv)
{
    (void)argv;
    for (int i = 0; i < MAX_JOBS && argc == 1; i++) {
        if (jobs[i].task)
            print("[%d] %s\n", i + 1, jobs[i].name);
    }
    return argc == 1;
}

static bool command_kill(int argc, char **argv)
{
    uint64_t number;
    if (argc != 2 || !parse_u64(argv[1], &number))
        return false;
    if (number < 1 || number > MAX_JOBS || jobs[number - 1].task == 0) {
        print("there is no job %lu; 'jobs' lists them\n", number);
        return true;
    }
    status_t status = primer_kill(jobs[number - 1].task);
    if (status < 0 && status != E_DEAD)
        print("kill: %s\n", primer_error_text(status));
    else
        primer_wait(jobs[number - 1].task, NS_PER_S);       /* usually it has ended by the next prompt */
    return true;
}

static bool command_trace(int argc, char **argv)
{
    uint64_t count = 20;
    if (argc > 2 || (argc == 2 && (!parse_u64(argv[1], &count) || count == 0)))
        return false;
    show_trace(count);
    return true;
}

static bool command_uptime(int argc, char **argv)
{
    (void)argv;
    struct primer_info_system system;
    if (argc != 1 || primer_info(PRIMER_INFO_SYSTEM, 0, &system, sizeof(system)) < 0)
        return false;
    print("up %lu.%03lu s; the first user instruction ran after %lu.%03lu ms\n", system.time_ns / NS_PER_S,
          system.time_ns / NS_PER_MS % 1000, system.boot_ns / NS_PER_MS, system.boot_ns / NS_PER_US % 1000);
    print("%lu CPUs, %lu tasks, %lu threads; pages are filled by %s\n", system.cpus, system.tasks, system.threads,
          system.inline_mode ? "the fault handler (pinit=inline)" : "worker threads");
    return true;
}

static bool command_exit(int argc, char **argv)
{
    uint64_t status = 0;
    if (argc > 2 || (argc == 2 && (!parse_u64(argv[1], &status) || status > 255)))
        return false;
    print_flush();
    status_t error = primer_power_off((int)status);
    print("the machine cannot be switched off: %s\n", primer_error_text(error));
    return true;
}

static bool command_help(int argc, char **argv);

static const struct command {
    const char *name, *usage, *help;
    bool (*run)(int argc, char **argv); /* NULL: `show` */
    void (*show)(void);
} commands[] = {
    {"help", "help", "this list", command_help, NULL},
    {"ls", "ls", "the programs and files of the boot archive", NULL, show_programs},
    {"run", "run NAME [ARG...] [&]", "run a program ('run' may be left out; & in the background)",
     command_run, NULL},
    {"time", "time NAME [ARG...]", "run it and say what it took", command_time, NULL},
    {"prio", "prio 1-40 NAME [ARG...] [&]", "run it with that priority; 20 is normal, more is more urgent",
     command_prio, NULL},
    {"jobs", "jobs", "programs in the background", command_jobs, NULL},
    {"kill", "kill JOB", "end one of them", command_kill, NULL},
    {"ps", "ps", "all threads", NULL, show_threads},
    {"threads", "threads", "the same", NULL, show_threads},
    {"tasks", "tasks", "all tasks", NULL, show_tasks},
    {"mem", "mem", "memory, and this account's limits", NULL, show_memory},
    {"pages", "pages", "page faults and what became of them, per CPU", NULL, show_pages},
    {"cpus", "cpus", "idle time, switches and interrupts, per CPU", NULL, show_cpus},
    {"trace", "trace [N]", "the last N events of the trace (20)", command_trace, NULL},
    {"uptime", "uptime", "time since boot", command_uptime, NULL},
    {"exit", "exit [STATUS]", "switch the machine off", command_exit, NULL},
    {"poweroff", "poweroff [STATUS]", "the same", command_exit, NULL},
};

static bool command_help(int argc, char **argv)
{
    (void)argv;
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        print("  %-28s %s\n", commands[i].usage, commands[i].help);
    print("Keys: backspace; ^U clears the line; ^C leaves it, or kills the running program.\n"
          "Words with spaces in them: \"like this\".\n");
    return argc == 1;
}

static void execute(int argc, char **argv)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        const struct command *command = &commands[i];
        if (strcmp(argv[0], command->name) != 0)
            continue;
        bool right = command->run ? command->run(argc, argv) : argc == 1;
        if (!right)
            print("usage: %s\n", command->usage);
        else if (!command->run)
            command->show();
        return;
    }
    run_program(argc, argv, 0);
}

int main(void)
{
    status_t status = terminal_start();
    if (status < 0) {
        print("monitor: cannot read the console: %s\n", primer_error_text(status));
        return 1;
    }
    print("Primer's monitor. 'help' lists the commands; try 'demo-fault'.\n");
    for (;;) {
        reap_jobs();
        char line[LINE_MAX], *words[MAX_WORDS + 1];
        status = terminal_line("primer> ", line, sizeof(line));
        if (status < 0) {
            print("monitor: cannot read the console: %s\n", primer_error_text(status));
            return 1;
        }
        int count = split_words(line, words, MAX_WORDS);
        if (count < 0)
            print("a quote is not closed, or there are more than %d words\n", MAX_WORDS);
        else if (count > 0)
            execute(count, words);
    }
}
