/* What the machine and the account have in use, and waiting until it is what it was. */
#include "tests/user/lib/test.h"

#define SETTLE_TRIES 400                /* 5 ms each */

static struct primer_limits account(unsigned which)
{
    struct primer_limits both[2];
    primer_must(primer_info(PRIMER_INFO_ACCOUNT, 0, both, sizeof both), "asking for the account");
    return both[which];
}

struct primer_limits test_account_used(void)  { return account(0); }
struct primer_limits test_account_limit(void) { return account(1); }

static struct primer_info_system system_info(void)
{
    struct primer_info_system system;
    primer_must(primer_info(PRIMER_INFO_SYSTEM, 0, &system, sizeof system), "asking for the system's counts");
    return system;
}

unsigned test_cpus(void) { return (unsigned)system_info().cpus; }

struct test_counts test_counts(void)
{
    struct primer_info_system system = system_info();
    return (struct test_counts){system.frames_free, system.tasks, system.threads, test_account_used()};
}

static bool fits(const struct primer_limits *now, const struct primer_limits *before)
{
    return now->frames <= before->frames && now->kernel_bytes <= before->kernel_bytes && now->threads <= before->threads
        && now->tasks <= before->tasks;
}

/*
 * Free frames are counted racily, and the account's frames include what is just going; so all of it has to be
 * right at one moment, and nothing more is asked. Less in use than before is no leak: when that was counted, what the
 * case before this one had used may still have been on its way back.
 */
static bool is_back(const struct test_counts *now, const struct test_counts *before)
{
    return now->frames >= before->frames && now->tasks <= before->tasks && now->threads <= before->threads
        && fits(&now->used, &before->used);
}

const char *test_settle(const struct test_counts *before)
{
    struct test_counts now = test_counts();
    for (unsigned i = 0; i < SETTLE_TRIES && !is_back(&now, before); i++) {
        primer_sleep(5 * NS_PER_MS);
        now = test_counts();
    }
    if (is_back(&now, before))
        return NULL;
    return test_fail("not given back: %ld frames, %ld tasks, %ld threads; of the account: %ld frames, %ld bytes, "
                     "%ld threads, %ld tasks",
                     (long)(before->frames - now.frames), (long)(now.tasks - before->tasks),
                     (long)(now.threads - before->threads), (long)(now.used.frames - before->used.frames),
                     (long)(now.used.kernel_bytes - before->used.kernel_bytes),
                     (long)(now.used.threads - before->used.threads), (long)(now.used.tasks - before->used.tasks));
}
