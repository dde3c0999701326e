/*
 * Readers for what the boot loader hands over: the ustar archive, and ELF64 executables inside. Pure logic
 * on untrusted bytes: no allocation, no kernel services, so the kernel, user programs, host tests and
 * fuzzers all compile these files.
 */
#ifndef KERNEL_ARCHIVE_H
#define KERNEL_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

/* --- ustar (POSIX.1-2017, pax, "ustar Interchange Format") --- */

struct ustar_entry {
    char name[257];             /* prefix/name, without leading "./" or "/", without trailing "/", NUL-terminated; "" for the root */
    char type;                  /* '0' file, '5' directory, '2' symbolic link (then `data` is its target), ... */
    uint32_t mode;
    const uint8_t *data;        /* inside the archive */
    uint64_t size;              /* bytes of data, all inside the archive */
    const char *error;          /* after USTAR_BAD: what is wrong, for a message */
};

enum ustar_result { USTAR_ENTRY, USTAR_END, USTAR_BAD };

/*
 * Reads the member at *offset (start with 0) and moves *offset to the next. USTAR_END at the zero block or
 * the exact end.
 */
enum ustar_result ustar_next(const uint8_t *archive, uint64_t len, uint64_t *offset, struct ustar_entry *entry);

/* The file called `name` (leading '/' allowed); USTAR_END: no such file. */
enum ustar_result ustar_find(const uint8_t *archive, uint64_t len, const char *name, struct ustar_entry *entry);

/* --- ELF64 (System V gABI, chapters 4 and 5) --- */

#define ELF_MAX_SEGMENTS 16

struct elf_segment {
    uint64_t start, end;            /* page-aligned addresses to map */
    uint64_t address;               /* where the file's bytes go */
    uint64_t offset, file_size;     /* where they are in the file; all inside it */
    unsigned prot;                  /* PRIMER_PROT_*; never both WRITE and EXEC */
};

struct elf_image {
    uint64_t entry;
    unsigned segment_count;
    struct elf_segment segment[ELF_MAX_SEGMENTS];   /* ascending, page-disjoint */
};

/*
 * Checks that `file` is a static x86-64 executable whose segments lie inside [user_min, user_max),
 * page-disjoint, ascending, not W+X, not larger than the address range, with the entry inside an executable
 * one. NULL: fine. Otherwise what is wrong, as words for a message.
 */
const char *elf_parse(const uint8_t *file, uint64_t len, uint64_t user_min, uint64_t user_max, struct elf_image *image);

#endif
