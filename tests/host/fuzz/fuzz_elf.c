/* libFuzzer on kernel/elf.c: the user's real bounds, the whole address space, and a narrow unaligned window. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "archive_checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct { uint64_t min, max; } bounds[] = {
        {0x10000, 0x7ffffffff000}, {0, UINT64_MAX}, {0x400001, 0x404fff}, {0x10000, 0x10000},
    };
    uint8_t *copy = malloc(size + 1);       /* at an odd address, and exactly as long */
    memcpy(copy + 1, data, size);
    for (unsigned i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        const char *broken = elf_broken_promise(copy + 1, size, bounds[i].min, bounds[i].max);
        if (broken) {
            fprintf(stderr, "%s\n", broken);
            abort();
        }
    }
    free(copy);
    return 0;
}
