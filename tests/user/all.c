/*
 * Runs every other program of /test in turn, in one boot, each in a task of its own; its status is 0 if all
 * theirs were. At the end two cases of its own, about the kernel as a whole: that the frames are free again
 * that were free before, and how long interrupts were off at most. The second is judged only where a
 * nanosecond is an instruction (tools/run --icount): elsewhere the time depends on the computer.
 */
#include "user/lib/primer.h"

#define SELF "all"
#define MAX_PROGRAMS 64
/* Slabs, free lists and tables of the kernel that stay for next time. A leaked task or thread is more. */
#define FRAMES_KEPT 64u
#define IRQOFF_MAX 5000u                /* instructions: the bound on what is done with interrupts off */

static struct primer_info_system system_info(void)
{
    struct primer_info_system system;
    primer_must(primer_info(PRIMER_INFO_SYSTEM, 0, &system, sizeof(system)), "info");
    return system;
}

/* The names in /test, in the archive's order, which is that of the alphabet. */
static unsigned find_programs(char names[][32])
{
    const uint8_t *archive;
    uint64_t len = (uint64_t)primer_must(primer_archive(&archive), "mapping the boot archive");
    uint64_t offset = 0;
    struct ustar_entry entry;
    unsigned count = 0;
    while (count < MAX_PROGRAMS && ustar_next(archive, len, &offset, &entry) == USTAR_ENTRY) {
        if (entry.type == '0' && strncmp(entry.name, "test/", 5) == 0 && strcmp(entry.name, "test/" SELF) != 0)
            format(names[count++], sizeof(names[0]), "%s", entry.name + 5);
    }
    return count;
}

/* Its exit status. */
static int run(char *name)
{
    char path[40], *argv[] = {path, NULL};
    const char *reason;
    format(path, sizeof(path), "/test/%s", name);
    print("-- %s\n", name);
    print_flush();
    status_t task = primer_spawn(path, 1, argv, NULL, 0, &reason);
    if (task < 0) {
        print("FAIL start: %s\n", reason);
        return 1;
    }
    int status = (int)primer_wait((uint64_t)task, PRIMER_FOREVER);
    primer_handle_close((uint64_t)task);
    if (status != 0)
        print("FAIL status: it ended with %d\n", status);
    return status;
}

static bool check_frames(uint64_t before, uint64_t after)
{
    print("free frames: %lu before, %lu after\n", before, after);
    bool right = after + FRAMES_KEPT >= before;
    if (right)
        print("ok frames\n");
    else
        print("FAIL frames: %lu free frames are gone\n", before - after);
    return right;
}

static bool check_irqoff(const struct primer_info_system *system)
{
    bool counted = system->tsc_hz > 999000000 && system->tsc_hz < 1001000000;
    print("interrupts were off for %lu ns at most\n", system->irqoff_max_ns);
    if (!DEBUG || !counted)
        return true;
    if (system->irqoff_max_ns > 0 && system->irqoff_max_ns <= IRQOFF_MAX) {
        print("ok irqoff_max\n");
        return true;
    }
    print("FAIL irqoff_max: interrupts were off for %lu instructions, not 1 to %u\n", system->irqoff_max_ns, IRQOFF_MAX);
    return false;
}

int main(void)
{
    static char names[MAX_PROGRAMS][32];
    unsigned count = find_programs(names), failed = 0;
    uint64_t before = system_info().frames_free;
    for (unsigned i = 0; i < count; i++)
        failed += run(names[i]) != 0;

    print("-- %s\n", SELF);
    struct primer_info_system system = system_info();
    bool frames = check_frames(before, system.frames_free);
    bool irqoff = check_irqoff(&system);
    if (count == 0)
        print("FAIL programs: there are none in /test\n");
    return failed > 0 || count == 0 || !frames || !irqoff;
}
