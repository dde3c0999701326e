/* libFuzzer on kernel/ustar.c. The mutator repairs checksums, or nearly every mutation would be refused for one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "archive_checks.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, max_size);
    for (size_t at = 0; seed % 8 && size - at >= 512; at += 512) {
        unsigned sum = 0;
        if (memcmp(data + at + 257, "ustar", 6) != 0)
            continue;
        memset(data + at + 148, ' ', 8);
        for (unsigned i = 0; i < 512; i++)
            sum += data[at + i];
        snprintf((char *)data + at + 148, 8, "%06o", sum);
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *broken = ustar_broken_promise(data, size);
    if (broken) {
        fprintf(stderr, "%s\n", broken);
        abort();
    }
    return 0;
}
