/*
 * How the machine ends, and where tools/run finds out why: a record at a known symbol in guest memory,
 * which outlives QEMU because guest RAM is a file. isa-debug-exit (port 0xf4) only says that there is
 * something to read.
 */
#ifndef KERNEL_EXIT_RECORD_H
#define KERNEL_EXIT_RECORD_H

#include "kernel/types.h"

enum exit_reason { EXIT_NONE, EXIT_PROGRAM, EXIT_PANIC, EXIT_BOOT_FAIL };

struct exit_record {
    uint64_t magic;             /* "PRIMEXIT" */
    uint64_t reason;            /* enum exit_reason */
    uint64_t status;            /* EXIT_PROGRAM: what tools/run exits with */
};
extern struct exit_record exit_record;

/*
 * Fills the record, finishes the trace and ends the machine. QEMU's exit code is 33 for EXIT_PROGRAM and 35
 * otherwise; on a machine without isa-debug-exit, halts. Any context.
 */
NORETURN void machine_end(enum exit_reason reason, unsigned status);

#endif
