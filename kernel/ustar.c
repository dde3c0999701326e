/*
 * Reads the boot archive: members of a ustar file, one after the other (POSIX.1-2017, pax, "ustar
 * Interchange Format"). The kernel looks up the first program with it, the vfs server unpacks the whole.
 * Pure: no state, no allocation, no locks, no library. The bytes are not trusted: every size is checked
 * against what is left before it is used. It does not read GNU or pax extensions: names are at most 256
 * bytes, sizes octal. `tar --format=ustar` writes such files.
 */
#include <stdbool.h>
#include "kernel/archive.h"

#define BLOCK 512u

/* All char arrays: alignment 1, no padding, so a header may lie anywhere. */
struct ustar_header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
    char type;
    char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8], prefix[155];
    char padding[12];
};
_Static_assert(sizeof(struct ustar_header) == BLOCK, "the header is one block");

/*
 * An octal number between optional leading spaces and a space, NUL or the field's end. False if it is
 * anything else.
 */
static bool parse_octal(const char *field, unsigned len, uint64_t *value)
{
    unsigned i = 0;
    *value = 0;
    while (i < len && field[i] == ' ')
        i++;
    unsigned first = i;
    for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
        *value = *value * 8 + (uint64_t)(field[i] - '0');      /* at most 12 digits: 36 bits */
    return i > first && (i == len || field[i] == ' ' || field[i] == '\0');
}

/* The bytes' sum with the checksum field read as spaces. */
static uint64_t header_sum(const struct ustar_header *header)
{
    const uint8_t *bytes = (const uint8_t *)header;
    const unsigned from = offsetof(struct ustar_header, checksum), to = from + sizeof(header->checksum);
    uint64_t sum = 0;
    for (unsigned i = 0; i < BLOCK; i++)
        sum += i >= from && i < to ? ' ' : bytes[i];
    return sum;
}

static bool is_zero_block(const uint8_t *bytes)
{
    for (unsigned i = 0; i < BLOCK; i++)
        if (bytes[i])
            return false;
    return true;
}

/* Length of a field that is NUL-terminated or full. */
static unsigned field_len(const char *field, unsigned max)
{
    unsigned len = 0;
    while (len < max && field[len])
        len++;
    return len;
}

/* Skips what makes a name relative to the root: any number of "/" and "./". */
static const char *skip_root(const char *name)
{
    for (;;) {
        if (name[0] == '/')
            name++;
        else if (name[0] == '.' && name[1] == '/')
            name += 2;
        else
            return name;
    }
}

static void join_name(const struct ustar_header *header, char *name, unsigned size)
{
    char full[sizeof(header->prefix) + 1 + sizeof(header->name) + 1];
    unsigned len = 0;
    unsigned prefix_len = field_len(header->prefix, sizeof(header->prefix));
    unsigned name_len = field_len(header->name, sizeof(header->name));

    for (unsigned i = 0; i < prefix_len; i++)
        full[len++] = header->prefix[i];
    if (prefix_len > 0)
        full[len++] = '/';
    for (unsigned i = 0; i < name_len; i++)
        full[len++] = header->name[i];
    while (len > 0 && full[len - 1] == '/')
        full[--len] = '\0';
    full[len] = '\0';

    const char *from = skip_root(full);
    if (from[0] == '.' && from[1] == '\0')
        from++;
    unsigned i = 0;
    for (; from[i] && i < size - 1; i++)
        name[i] = from[i];
    name[i] = '\0';
}

static enum ustar_result bad(struct ustar_entry *entry, const char *error)
{
    entry->error = error;
    return USTAR_BAD;
}

enum ustar_result ustar_next(const uint8_t *archive, uint64_t len, uint64_t *offset, struct ustar_entry *entry)
{
    uint64_t at = *offset, sum, mode, size = 0;

    if (at == len)
        return USTAR_END;
    if (at > len || len - at < BLOCK)
        return bad(entry, "the archive ends inside a header");
    if (is_zero_block(archive + at))
        return USTAR_END;

    const struct ustar_header *header = (const struct ustar_header *)(archive + at);
    const char *magic = header->magic;
    if (magic[0] != 'u' || magic[1] != 's' || magic[2] != 't' || magic[3] != 'a' || magic[4] != 'r' || magic[5] != '\0')
        return bad(entry, "no ustar header where one should be (is it another format of tar?)");
    if (!parse_octal(header->checksum, sizeof(header->checksum), &sum) || sum != header_sum(header))
        return bad(entry, "a header's checksum is wrong");
    if (!parse_octal(header->mode, sizeof(header->mode), &mode))
        return bad(entry, "a member's mode is not an octal number");
    if (header->name[0] == '\0')
        return bad(entry, "a member has no name");

    at += BLOCK;
    char type = header->type == '\0' || header->type == '7' ? '0' : header->type;
    /* Links, devices, directories and FIFOs ('1' to '6') have no data, whatever their size field says. */
    if (type < '1' || type > '6') {
        if (!parse_octal(header->size, sizeof(header->size), &size))
            return bad(entry, "a member's size is not an octal number");
        if (size > len - at)
            return bad(entry, "the archive ends inside a member");
    }

    join_name(header, entry->name, sizeof(entry->name));
    entry->type = type;
    entry->mode = (uint32_t)mode & 07777;
    entry->data = archive + at;
    entry->size = size;
    entry->error = NULL;
    if (type == '1' || type == '2') {
        entry->data = (const uint8_t *)header->linkname;
        entry->size = field_len(header->linkname, sizeof(header->linkname));
    }
    /* The last member's padding may be cut off. */
    uint64_t padding = (BLOCK - size % BLOCK) % BLOCK;
    at += size;
    *offset = padding > len - at ? len : at + padding;
    return USTAR_ENTRY;
}

enum ustar_result ustar_find(const uint8_t *archive, uint64_t len, const char *name, struct ustar_entry *entry)
{
    uint64_t offset = 0;
    const char *wanted = skip_root(name);

    for (;;) {
        enum ustar_result result = ustar_next(archive, len, &offset, entry);
        if (result != USTAR_ENTRY)
            return result;
        unsigned i = 0;
        while (wanted[i] && wanted[i] == entry->name[i])
            i++;
        if (wanted[i] == entry->name[i] && entry->type == '0')
            return USTAR_ENTRY;
    }
}
