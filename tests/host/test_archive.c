/* kernel/ustar.c and kernel/elf.c: well-formed files, every complaint once, every cut, odd alignment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "archive_checks.h"
#include "kernel/abi.h"
#include "test.h"

/* --- ustar --- */

static uint8_t archive[16384];
static uint64_t archive_len;

static void seal(uint8_t *header)
{
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (unsigned i = 0; i < 512; i++)
        sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
}

static uint8_t *add(const char *prefix, const char *name, char type, const char *data, uint64_t size)
{
    uint8_t *header = archive + archive_len;
    memset(header, 0, 512);
    memcpy(header, name, strlen(name) > 100 ? 100 : strlen(name));
    memcpy(header + 345, prefix, strlen(prefix));
    memcpy(header + 100, "0000755", 8);
    snprintf((char *)header + 124, 12, "%011llo", (unsigned long long)size);
    header[156] = (uint8_t)type;
    memcpy(header + 257, "ustar\0" "00", 8);
    seal(header);
    memcpy(header + 512, data, strlen(data));
    archive_len += 512 + (strlen(data) + 511) / 512 * 512;
    return header;
}

static void start_archive(void)
{
    memset(archive, 0, sizeof(archive));
    archive_len = 0;
    add("", "./", '5', "", 0);
    add("", "./bin/", '5', "", 0);
    add("", "./bin/init", '0', "program", 7);
    add("usr/share", "long name", '\0', "text", 4);
    uint8_t *link = add("", "bin/sh", '2', "", 0);
    memcpy(link + 157, "init", 4);
    seal(link);
    add("", "/etc/empty", '0', "", 0);
}

static void check_next(uint64_t *offset, const char *name, char type, const char *data)
{
    struct ustar_entry entry;
    CHECK(ustar_next(archive, archive_len, offset, &entry) == USTAR_ENTRY);
    CHECK(strcmp(entry.name, name) == 0 && entry.type == type && entry.mode == 0755);
    CHECK(entry.size == strlen(data) && memcmp(entry.data, data, entry.size) == 0);
}

TEST(ustar_reads)
{
    struct ustar_entry entry;
    start_archive();
    for (unsigned zero_blocks = 0; zero_blocks < 3; zero_blocks++) {
        uint64_t offset = 0;
        check_next(&offset, "", '5', "");
        check_next(&offset, "bin", '5', "");
        check_next(&offset, "bin/init", '0', "program");
        check_next(&offset, "usr/share/long name", '0', "text");
        check_next(&offset, "bin/sh", '2', "init");
        check_next(&offset, "etc/empty", '0', "");
        CHECK(ustar_next(archive, archive_len, &offset, &entry) == USTAR_END);
        archive_len += 512;
    }
    CHECK(ustar_find(archive, archive_len, "/bin/init", &entry) == USTAR_ENTRY && entry.size == 7);
    CHECK(ustar_find(archive, archive_len, "bin/init", &entry) == USTAR_ENTRY);
    CHECK(ustar_find(archive, archive_len, "/etc/empty", &entry) == USTAR_ENTRY && entry.size == 0);
    CHECK(ustar_find(archive, archive_len, "/bin", &entry) == USTAR_END);
    CHECK(ustar_find(archive, archive_len, "/bin/ini", &entry) == USTAR_END);
    CHECK(ustar_find(archive, archive_len, "/bin/init2", &entry) == USTAR_END);
    CHECK(ustar_find(archive, 0, "x", &entry) == USTAR_END);
}

TEST(ustar_longest_name)
{
    char prefix[156], name[101];
    struct ustar_entry entry;
    memset(prefix, 'p', 155);
    memset(name, 'n', 100);
    prefix[155] = name[100] = '\0';
    archive_len = 0;
    add(prefix, name, '0', "x", 1);
    uint64_t offset = 0;
    CHECK(ustar_next(archive, archive_len, &offset, &entry) == USTAR_ENTRY && strlen(entry.name) == 256);
}

static void check_bad(const char *text)
{
    struct ustar_entry entry;
    uint64_t offset = 0;
    CHECK(ustar_next(archive, archive_len, &offset, &entry) == USTAR_BAD);
    if (!strstr(entry.error, text))
        test_fail("\"%s\" does not say \"%s\"", entry.error, text);
    CHECK(!ustar_broken_promise(archive, archive_len));
}

TEST(ustar_complaints)
{
    static const struct { unsigned at; const char *bytes; bool sealed; const char *text; } cases[] = {
        {257, "xstar", true, "no ustar header"},
        {257, "ustar  ", true, "no ustar header"},          /* GNU's own format */
        {0, "X", false, "checksum"},
        {148, "zzz", false, "checksum"},
        {100, "9", true, "mode"},
        {124, "\x80", true, "size"},                        /* GNU's base-256 sizes */
        {124, "77777777777", true, "inside a member"},
        {124, "00000000010", true, "inside a member"},      /* one byte more than there is */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        archive_len = 0;
        uint8_t *header = add("", "file", '0', "", 0);
        memcpy(header + cases[i].at, cases[i].bytes, strlen(cases[i].bytes));
        if (cases[i].sealed)
            seal(header);
        check_bad(cases[i].text);
    }
    archive_len = 0;
    add("", "", '0', "", 0);
    check_bad("no name");
}

TEST(ustar_every_cut)
{
    start_archive();
    for (uint64_t len = 0; len <= archive_len; len++) {
        uint8_t *copy = malloc(len ? len : 1);              /* exactly as long, so that a byte too far is seen */
        memcpy(copy, archive, len);
        const char *broken = ustar_broken_promise(copy, len);
        if (broken)
            test_fail("%s, cut to %llu", broken, (unsigned long long)len);
        free(copy);
    }
}

/* --- ELF --- */

#define USER_MIN 0x10000ull
#define USER_MAX 0x7ffffffff000ull

struct phdr { uint32_t type, flags; uint64_t offset, vaddr, paddr, filesz, memsz, align; };
static struct {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
    struct phdr ph[70];
} elf;

enum { R = 4, W = 2, X = 1 };

static void start_elf(void)
{
    memset(&elf, 0, sizeof(elf));
    memcpy(elf.ident, "\177ELF\2\1\1", 7);
    elf.type = 2;
    elf.machine = 62;
    elf.version = 1;
    elf.entry = 0x401010;
    elf.phoff = 64;
    elf.phentsize = 56;
    elf.phnum = 4;
    elf.ph[0] = (struct phdr){1, R, 0, 0x400000, 0, 0x200, 0x200, 0x1000};
    elf.ph[1] = (struct phdr){1, R | X, 0x10, 0x401010, 0, 0x300, 0x300, 0x1000};
    elf.ph[2] = (struct phdr){0x6474e551, R | W, 0, 0, 0, 0, 0, 16};            /* PT_GNU_STACK */
    elf.ph[3] = (struct phdr){1, R | W, 0x20, 0x402f20, 0, 0xf0, 0x4000, 0x1000};
}

TEST(elf_reads)
{
    struct elf_image image;
    start_elf();
    /* At an odd address, in a buffer that ends with the file. */
    uint8_t *buf = malloc(sizeof(elf) + 1);
    memcpy(buf + 1, &elf, sizeof(elf));
    CHECK(elf_parse(buf + 1, sizeof(elf), USER_MIN, USER_MAX, &image) == NULL);
    free(buf);
    CHECK_EQ(image.segment_count, 3);
    CHECK_EQ(image.entry, 0x401010);
    const struct elf_segment *s = image.segment;
    CHECK(s[0].start == 0x400000 && s[0].end == 0x401000 && s[0].prot == PRIMER_PROT_READ);
    CHECK(s[1].start == 0x401000 && s[1].end == 0x402000 && s[1].address == 0x401010 && s[1].offset == 0x10);
    CHECK(s[1].prot == (PRIMER_PROT_READ | PRIMER_PROT_EXEC) && s[1].file_size == 0x300);
    CHECK(s[2].start == 0x402000 && s[2].end == 0x407000 && s[2].file_size == 0xf0);
    CHECK(s[2].prot == (PRIMER_PROT_READ | PRIMER_PROT_WRITE));
}

static void check_refused(const char *text, uint64_t len, unsigned line)
{
    struct elf_image image;
    const char *error = elf_parse((const uint8_t *)&elf, len, USER_MIN, USER_MAX, &image);
    if (!error || !strstr(error, text))
        test_fail("line %u: \"%s\" does not say \"%s\"", line, error ? error : "fine", text);
    if (elf_broken_promise((const uint8_t *)&elf, len, USER_MIN, USER_MAX))
        test_fail("line %u: a promise is broken", line);
    start_elf();
}

/* The change to a good file must be refused with these words. */
#define REFUSED(change, text)       \
    do {                            \
        change;                     \
        check_refused(text, sizeof(elf), __LINE__); \
    } while (0)

TEST(elf_complaints_header)
{
    start_elf();
    check_refused("too short", 63, __LINE__);
    check_refused("program headers lie outside", 64 + 4 * 56 - 1, __LINE__);
    REFUSED(elf.ident[0] = 0, "not an ELF");
    REFUSED(elf.ident[4] = 1, "64-bit");
    REFUSED(elf.ident[5] = 2, "little-endian");
    REFUSED(elf.ident[6] = 0, "version");
    REFUSED(elf.version = 2, "version");
    REFUSED(elf.ident[7] = 9, "ABI");
    REFUSED(elf.machine = 183, "not for x86-64");
    REFUSED(elf.type = 3, "position-independent");
    REFUSED(elf.type = 1, "object file");
    REFUSED(elf.type = 4, "not an executable");
    REFUSED(elf.phnum = 0, "without program headers");
    REFUSED(elf.phentsize = 57, "wrong size");
    REFUSED(elf.phnum = 65, "too many program headers");
    REFUSED(elf.phnum = 0xffff, "too many program headers");
    REFUSED(elf.phoff = UINT64_MAX, "program headers lie outside");
    REFUSED(elf.phoff = sizeof(elf) - 10, "program headers lie outside");
}

TEST(elf_complaints_segments)
{
    start_elf();
    REFUSED(elf.ph[2].type = 3, "dynamically linked");
    REFUSED(elf.ph[0].filesz = 0x201, "more bytes in the file");
    REFUSED(elf.ph[0].offset = UINT64_MAX, "a segment lies outside the file");
    REFUSED(elf.ph[0].offset = sizeof(elf) - 0x1ff, "a segment lies outside the file");
    REFUSED(elf.ph[0].vaddr = USER_MIN - 1, "outside the user");
    REFUSED(elf.ph[0].vaddr = UINT64_MAX - 0x100, "outside the user");
    REFUSED(elf.ph[3].memsz = UINT64_MAX - 0x402f20 + 1, "outside the user");
    REFUSED(elf.ph[3].memsz = USER_MAX, "outside the user");
    REFUSED(elf.ph[3].memsz = (1ull << 30) + 1, "a segment larger than 1 GiB");
    REFUSED(elf.ph[3].memsz = 1ull << 30, "larger than 1 GiB in memory");
    REFUSED(elf.ph[1].flags |= W, "both writable and executable");
    REFUSED(elf.ph[1].vaddr = 0x400f00, "share a page");
    REFUSED(elf.ph[3].vaddr = 0x300000, "ascending");
    REFUSED(elf.entry = 0x400000, "entry point");
    REFUSED(elf.entry = 0x40100f, "entry point");
    REFUSED(elf.entry = 0x401310, "entry point");
    REFUSED(elf.ph[0].memsz = elf.ph[1].memsz = elf.ph[3].memsz = 0, "without anything");
    elf.phnum = 20;
    for (unsigned i = 0; i < 20; i++)
        elf.ph[i] = (struct phdr){1, R, 0, 0x400000 + i * 0x1000, 0, 1, 1, 0x1000};
    check_refused("too many segments", sizeof(elf), __LINE__);
}

TEST(elf_odd_bounds)
{
    struct elf_image image;
    start_elf();
    const uint8_t *file = (const uint8_t *)&elf;
    CHECK(!elf_parse(file, sizeof(elf), 0x400000, 0x407000, &image));
    CHECK(strstr(elf_parse(file, sizeof(elf), 0x400001, 0x407000, &image), "outside"));
    CHECK(strstr(elf_parse(file, sizeof(elf), 0x400000, 0x406fff, &image), "reach beyond"));
    elf.ph[3].vaddr = UINT64_MAX - 0x4000;
    CHECK(strstr(elf_parse(file, sizeof(elf), 0, UINT64_MAX, &image), "reach beyond"));
}

TEST(elf_every_cut)
{
    start_elf();
    for (uint64_t len = 0; len <= sizeof(elf); len++) {
        uint8_t *copy = malloc(len + 1);
        memcpy(copy + 1, &elf, len);
        const char *broken = elf_broken_promise(copy + 1, len, USER_MIN, USER_MAX);
        if (broken)
            test_fail("%s, cut to %llu", broken, (unsigned long long)len);
        free(copy);
    }
}
