/*
 * What the kernel knows about itself: how long it took to boot, the memory in use, the longest time with
 * interrupts off. With names of programs as arguments it runs those first, one after the other, as the load;
 * one that does not end is killed after a while.
 */
#include "tests/bench/bench.h"

#define LIMIT (2 * NS_PER_S)

static struct primer_info_system system_info(void)
{
    struct primer_info_system info;
    primer_must(primer_info(PRIMER_INFO_SYSTEM, 0, &info, sizeof(info)), "info");
    return info;
}

static void run(char *name)
{
    char *argv[] = {name, NULL};
    const char *reason;
    status_t task = primer_spawn(name, 1, argv, NULL, 0, &reason);
    if (task < 0) {
        print("state: %s cannot be started: %s\n", name, reason);
        return;
    }
    status_t status = primer_wait((uint64_t)task, LIMIT);
    if (status == E_TIMEOUT) {
        primer_kill((uint64_t)task);
        status = primer_wait((uint64_t)task, PRIMER_FOREVER);
    }
    primer_handle_close((uint64_t)task);
    print("state: %s has ended with %ld, interrupts were off for %lu ns\n", name, status, system_info().irqoff_max_ns);
}

int main(int argc, char **argv)
{
    struct primer_info_system info = system_info();
    uint64_t frames = info.frames_total + info.frames_boot - info.frames_free;
    bench_value("boot", info.boot_ns);
    bench_value("mem_boot", frames * (PAGE_SIZE / 1024) - align_up(info.archive_bytes, PAGE_SIZE) / 1024);
    for (int i = 1; i < argc; i++)
        run(argv[i]);
    bench_value("irqoff_max", system_info().irqoff_max_ns);
    return 0;
}
