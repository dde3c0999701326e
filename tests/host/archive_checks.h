/* The promises of kernel/archive.h, for unit tests and fuzzers: the name of the one that does not hold, or NULL. */
#ifndef TESTS_HOST_ARCHIVE_CHECKS_H
#define TESTS_HOST_ARCHIVE_CHECKS_H

#include "kernel/archive.h"

const char *ustar_broken_promise(const uint8_t *archive, uint64_t len);
const char *elf_broken_promise(const uint8_t *file, uint64_t len, uint64_t user_min, uint64_t user_max);

#endif
