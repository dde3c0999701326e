/*
 * Runs the unit tests: all, or those named as arguments. Prints "ok NAME" or "FAIL NAME: reason" for each.
 * It also stands in for the parts of the kernel that a test program lacks: panic(), the CPUs.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "arch/cpu.h"
#include "test.h"

#define TIME_LIMIT_S 120
#define STATUS_TOLD  3          /* of a case whose FAIL line is printed; sanitizers end with 1 or 23 */

struct cpu cpus[MAX_CPUS];
_Thread_local unsigned host_cpu;
_Thread_local bool host_irqs_off;
uint64_t host_tsc;
jmp_buf *test_panic_jump;

static char panic_text[256];
static struct test *first, **last = &first;
static const char *running;

void test_register(struct test *test)
{
    *last = test;
    last = &test->next;
}

void test_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("FAIL %s: ", running);
    vprintf(format, args);
    printf("\n");
    fflush(stdout);
    _exit(STATUS_TOLD);
}

bool test_panic_said(const char *text) { return strstr(panic_text, text); }

static NORETURN void end_in_panic(const char *kind, const char *format, va_list args)
{
    vsnprintf(panic_text, sizeof(panic_text), format, args);
    if (test_panic_jump)
        longjmp(*test_panic_jump, 1);
    test_fail("%s: %s", kind, panic_text);
}

void panic(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    end_in_panic("panic", format, args);
}

void boot_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    end_in_panic("boot_fail", format, args);
}

static bool run(const struct test *test)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        running = test->name;
        alarm(TIME_LIMIT_S);
        test->run();
        exit(0);                /* through the leak check */
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        perror("host tests");
        exit(2);
    }
    if (status == 0)
        printf("ok %s\n", test->name);
    else if (WIFSIGNALED(status))
        printf("FAIL %s: ended by signal %d (%s)\n", test->name, WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != STATUS_TOLD)
        printf("FAIL %s: a sanitizer's report above, exit status %d\n", test->name, WEXITSTATUS(status));
    return status == 0;
}

int main(int argc, char **argv)
{
    bool all_ok = true;
    for (unsigned i = 0; i < MAX_CPUS; i++)
        cpus[i].id = i;
    for (const struct test *test = first; test; test = test->next) {
        bool wanted = argc == 1;
        for (int i = 1; i < argc; i++)
            wanted |= strcmp(argv[i], test->name) == 0;
        if (wanted)
            all_ok &= run(test);
    }
    return all_ok ? 0 : 1;
}
