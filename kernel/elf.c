/*
 * Checks a static ELF64 executable and says what to map (System V gABI, chapters 4 and 5; x86-64 psABI 4.1).
 * The kernel starts the first program with it, user-level servers the others. Pure: no state, no allocation,
 * no locks, no library. The bytes are not trusted and may be unaligned: headers are copied out, and sums are
 * compared only where they cannot wrap. It maps nothing, and reads no sections, symbols or relocations.
 */
#include <stdbool.h>
#include "kernel/abi.h"
#include "kernel/archive.h"

#define ELF_PAGE      4096ull
#define ELF_MAX_PHDRS 64u
#define ELF_MAX_BYTES (1ull << 30)      /* memory of all segments together */

enum { ET_REL = 1, ET_EXEC = 2, ET_DYN = 3, EM_X86_64 = 62, PT_LOAD = 1, PT_INTERP = 3, PF_X = 1, PF_W = 2, PF_R = 4 };

struct elf_header {
    uint8_t ident[16];          /* magic, class, data, version, OS ABI, ... */
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf_header) == 64, "Elf64_Ehdr");

struct elf_phdr {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf_phdr) == 56, "Elf64_Phdr");

static const char *check_header(const struct elf_header *header, uint64_t len)
{
    const uint8_t *ident = header->ident;
    if (ident[0] != 0x7f || ident[1] != 'E' || ident[2] != 'L' || ident[3] != 'F')
        return "not an ELF file";
    if (ident[4] != 2)
        return "not a 64-bit ELF file";
    if (ident[5] != 1)
        return "not a little-endian ELF file";
    if (ident[6] != 1 || header->version != 1)
        return "of an unknown ELF version";
    if (ident[7] != 0 && ident[7] != 3)     /* System V; GNU/Linux */
        return "for another operating system's ABI";
    if (header->machine != EM_X86_64)
        return "not for x86-64";
    if (header->type == ET_DYN)
        return "position-independent or a shared library (link it with -static -no-pie)";
    if (header->type == ET_REL)
        return "an object file that has not been linked";
    if (header->type != ET_EXEC)
        return "not an executable";
    if (header->phnum == 0)
        return "without program headers";
    if (header->phentsize != sizeof(struct elf_phdr))
        return "with program headers of a wrong size";
    if (header->phnum > ELF_MAX_PHDRS)
        return "with too many program headers (at most 64)";
    if (header->phoff > len || header->phnum * sizeof(struct elf_phdr) > len - header->phoff)
        return "cut off: the program headers lie outside the file";
    return NULL;
}

static unsigned prot_of(uint32_t flags)
{
    return (flags & PF_R ? PRIMER_PROT_READ : 0u) | (flags & PF_W ? PRIMER_PROT_WRITE : 0u)
           | (flags & PF_X ? PRIMER_PROT_EXEC : 0u);
}

/* Checks a PT_LOAD of memsz > 0 by itself, and appends it. */
static const char *add_segment(const struct elf_phdr *ph, uint64_t len, uint64_t user_min, uint64_t user_max,
                               struct elf_image *image)
{
    if (image->segment_count == ELF_MAX_SEGMENTS)
        return "with too many segments (at most 16)";
    if (ph->filesz > ph->memsz)
        return "with a segment that has more bytes in the file than in memory";
    if (ph->offset > len || ph->filesz > len - ph->offset)
        return "cut off: a segment lies outside the file";
    if (ph->vaddr < user_min || ph->vaddr > user_max || ph->memsz > user_max - ph->vaddr)
        return "with a segment outside the user's addresses";
    if (ph->memsz > ELF_MAX_BYTES)
        return "with a segment larger than 1 GiB";
    if ((ph->flags & PF_W) && (ph->flags & PF_X))
        return "with a segment that is both writable and executable";

    /*
     * What is left at the end of the last page must be the user's as well; this also rules out a wrap of
     * `end`.
     */
    uint64_t start = ph->vaddr & ~(ELF_PAGE - 1), beyond = ph->vaddr + ph->memsz;
    uint64_t fill = (ELF_PAGE - beyond % ELF_PAGE) % ELF_PAGE;
    if (start < user_min || fill > user_max - beyond)
        return "with a segment whose pages reach beyond the user's addresses";

    if (image->segment_count > 0) {
        const struct elf_segment *prev = &image->segment[image->segment_count - 1];
        if (ph->vaddr < prev->address)
            return "with segments that are not in ascending order";
        if (start < prev->end)
            return "with two segments that share a page";
    }
    image->segment[image->segment_count++] = (struct elf_segment){
        .start = start, .end = beyond + fill, .address = ph->vaddr,
        .offset = ph->offset, .file_size = ph->filesz, .prot = prot_of(ph->flags),
    };
    return NULL;
}

const char *elf_parse(const uint8_t *file, uint64_t len, uint64_t user_min, uint64_t user_max, struct elf_image *image)
{
    struct elf_header header;
    if (len < sizeof(header))
        return "too short for an ELF file";
    __builtin_memcpy(&header, file, sizeof(header));
    const char *error = check_header(&header, len);
    if (error)
        return error;

    bool entry_found = false;
    uint64_t bytes = 0;
    image->entry = header.entry;
    image->segment_count = 0;
    for (unsigned i = 0; i < header.phnum; i++) {
        struct elf_phdr ph;
        __builtin_memcpy(&ph, file + header.phoff + i * sizeof(ph), sizeof(ph));
        if (ph.type == PT_INTERP)
            return "dynamically linked (link it with -static)";
        if (ph.type != PT_LOAD || ph.memsz == 0)
            continue;
        error = add_segment(&ph, len, user_min, user_max, image);
        if (error)
            return error;
        const struct elf_segment *segment = &image->segment[image->segment_count - 1];
        bytes += segment->end - segment->start;
        if ((ph.flags & PF_X) && header.entry >= ph.vaddr && header.entry - ph.vaddr < ph.memsz)
            entry_found = true;
    }
    if (image->segment_count == 0)
        return "without anything to load";
    if (bytes > ELF_MAX_BYTES)
        return "larger than 1 GiB in memory";
    if (!entry_found)
        return "with an entry point that is not in an executable segment";
    return NULL;
}
