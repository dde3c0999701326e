/*
 * The kernel command line: words "name=value" separated by spaces. All there is stands in one table
 * (kernel/options.c); an unknown word is a boot_fail(), since an option that is silently ignored costs
 * somebody an evening. `cmd=` takes the rest of the line.
 */
#ifndef KERNEL_OPTIONS_H
#define KERNEL_OPTIONS_H

#include "kernel/types.h"

/* Fixed after options_parse(). */
struct kernel_options {
    bool pinit_inline;          /* pinit=inline: fill in the handler. Default pinit=worker */
    uint32_t pinit_delay_us;    /* pinit.delay=N: the worker sleeps so long before each fill. Widens races */
    bool pinit_shuffle;         /* pinit.shuffle: requests are taken in a scrambled order. Widens races */
    uint32_t quantum_us;        /* quantum=N: time slice; default 10,000 */
    uint32_t max_cpus;          /* cpus=N: start no more; default MAX_CPUS */
    uint32_t trace_events;      /* trace=N: events kept per CPU, a power of two; default 1,024 */
    const char *init;           /* init=NAME: first program; default /bin/init */
    const char *cmd;            /* cmd=...: read by init, not by the kernel: program to run instead of the monitor */
};
extern struct kernel_options options;

/*
 * Reads `line` into `out`, defaults first. The strings of `out` point into `buffer`, a private copy of the
 * line. Returns NULL, or what is wrong, as a text in `buffer`; then `out` is not to be used. Pure.
 */
const char *options_read(const char *line, struct kernel_options *out, char *buffer, size_t size);

/* The same for the kernel's `options`. Unknown or malformed word: boot_fail(). */
void options_parse(const char *line);

#endif
