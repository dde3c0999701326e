/*
 * Limits: a task that takes all the memory it can get, in an account of its own. It is started with its
 * limits by another instance of the same program, which watches what it gets, and that everything comes
 * back.
 */
#include "user/lib/primer.h"

#define CHUNK (64 * 1024ul)

static const struct primer_limits limits = {.frames = 1024, .kernel_bytes = 256 * 1024, .threads = 2, .tasks = 2};

static void show_account(const char *who)
{
    struct { struct primer_limits used, limit; } account;
    primer_must(primer_info(PRIMER_INFO_ACCOUNT, 0, &account, sizeof(account)), "asking for the account");
    print("%s: %lu of %lu frames and %lu of %lu bytes of kernel memory used\n", who, account.used.frames,
          account.limit.frames, account.used.kernel_bytes, account.limit.kernel_bytes);
}

/* A store to a page beyond the limit is a fault, which ends the task; vm_write() answers with an error. */
static status_t touch(vaddr_t page, bool carefully)
{
    if (carefully)
        return primer_vm_write(PRIMER_SELF, page, "x", 1);
    *(volatile char *)page = 'x';
    return 0;
}

/* In the limited task: takes pages until there is an error. */
static int hog(bool carefully)
{
    print("Hog: I take what I can get, %s.\n",
          carefully ? "asking the kernel to touch each page" : "with plain stores");
    show_account("Hog");
    uint64_t pages = 0;
    status_t status;
    do {
        status = primer_vm_map(PRIMER_SELF, 0, CHUNK, PRIMER_PROT_READ | PRIMER_PROT_WRITE, 0);
        vaddr_t chunk = (vaddr_t)status;
        for (uint64_t at = 0; status >= 0 && at < CHUNK; at += PAGE_SIZE) {
            status = touch(chunk + at, carefully);
            pages += status >= 0;
        }
    } while (status >= 0);
    print("Hog: I have %lu pages and get no more: %s (%s).\n", pages, primer_error_name(status),
          primer_error_text(status));
    show_account("Hog");
    return 0;
}

static status_t run_hog(char *how)
{
    char *argv[] = {"demo-hog", how, NULL};
    const char *reason;
    status_t task = primer_spawn(argv[0], 2, argv, &limits, 0, &reason);
    if (task < 0) {
        print("Starting the hog failed: %s (%s)\n", reason, primer_error_name(task));
        primer_exit(1);
    }
    status_t status = primer_wait((uint64_t)task, PRIMER_FOREVER);
    primer_handle_close((uint64_t)task);
    return status;
}

static uint64_t frames_free(void)
{
    struct primer_info_system system;
    primer_must(primer_info(PRIMER_INFO_SYSTEM, 0, &system, sizeof(system)), "asking for the free memory");
    return system.frames_free;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "carefully") == 0)
        return hog(true);
    if (argc == 2 && strcmp(argv[1], "carelessly") == 0)
        return hog(false);

    uint64_t before = frames_free();
    print("The machine has %lu free frames. I start a hog that may have %lu.\n\n", before, limits.frames);
    status_t status = run_hog("carefully");
    print("\nIt has ended with status %ld. The same once more, but it does not ask:\n\n", status);
    status = run_hog("carelessly");
    print("\nThat one has ended with status %ld%s.\n", status,
          status == PRIMER_STATUS_FAULT ? ": a store cannot return an error, so the kernel ended the task" : "");
    uint64_t after = frames_free();
    print("Free frames now: %lu, %ld fewer than before. Nobody else noticed.\n", after, (long)(before - after));
    return 0;
}
