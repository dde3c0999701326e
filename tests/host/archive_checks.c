/* Reads a whole file through the readers of kernel/archive.h and checks what they promise, whatever the bytes are. */
#include <string.h>
#include "archive_checks.h"
#include "kernel/abi.h"

static const char *check_entry(const uint8_t *archive, uint64_t len, const struct ustar_entry *entry)
{
    if (!memchr(entry->name, '\0', sizeof(entry->name)))
        return "ustar: name without an end";
    size_t name_len = strlen(entry->name);
    if (entry->name[0] == '/' || strncmp(entry->name, "./", 2) == 0)
        return "ustar: name not relative to the root";
    if (name_len > 0 && entry->name[name_len - 1] == '/')
        return "ustar: name ends in a slash";
    if (entry->data < archive || (uint64_t)(entry->data - archive) > len || entry->size > len - (uint64_t)(entry->data - archive))
        return "ustar: data outside the archive";
    if (entry->mode > 07777 || entry->error)
        return "ustar: mode or error";
    uint8_t sum = 0;
    for (uint64_t i = 0; i < entry->size; i++)
        sum = (uint8_t)(sum + entry->data[i]);      /* a sanitizer looks on */
    return sum == 0 && entry->size > len ? "ustar: size" : NULL;
}

const char *ustar_broken_promise(const uint8_t *archive, uint64_t len)
{
    uint64_t offset = 0, before;
    struct ustar_entry entry, found;
    for (;;) {
        memset(&entry, 0xee, sizeof(entry));
        before = offset;
        enum ustar_result result = ustar_next(archive, len, &offset, &entry);
        if (result == USTAR_BAD)
            return entry.error && entry.error[0] && offset == before ? NULL : "ustar: BAD without a reason";
        if (result == USTAR_END)
            return offset == before ? NULL : "ustar: END moved the offset";
        if (offset < before + 512 || offset > len)
            return "ustar: offset goes wrong";
        const char *broken = check_entry(archive, len, &entry);
        if (broken)
            return broken;
        if (entry.type == '0') {
            if (ustar_find(archive, len, entry.name, &found) != USTAR_ENTRY)
                return "ustar: a listed file is not found";
            if (strcmp(found.name, entry.name) != 0 || found.data > entry.data || found.type != '0')
                return "ustar: another file is found";
        }
    }
}

const char *elf_broken_promise(const uint8_t *file, uint64_t len, uint64_t user_min, uint64_t user_max)
{
    struct elf_image image;
    memset(&image, 0xee, sizeof(image));
    const char *error = elf_parse(file, len, user_min, user_max, &image);
    if (error)
        return error[0] ? NULL : "elf: refused without a reason";
    if (image.segment_count == 0 || image.segment_count > ELF_MAX_SEGMENTS)
        return "elf: number of segments";
    uint64_t end = user_min, total = 0;
    int entry_found = 0;
    for (unsigned i = 0; i < image.segment_count; i++) {
        const struct elf_segment *s = &image.segment[i];
        if ((s->start | s->end) % 4096 || s->start >= s->end)
            return "elf: segment not made of pages";
        if (s->start < end || s->end > user_max)
            return "elf: segments overlap or leave the bounds";
        if (s->address < s->start || s->address >= s->end || s->file_size > s->end - s->address)
            return "elf: file bytes outside their segment";
        if (s->address - s->start >= 4096)
            return "elf: a whole page before the segment";
        if (s->offset > len || s->file_size > len - s->offset)
            return "elf: file bytes outside the file";
        if (s->prot > 7 || ((s->prot & PRIMER_PROT_WRITE) && (s->prot & PRIMER_PROT_EXEC)))
            return "elf: writable and executable";
        if ((s->prot & PRIMER_PROT_EXEC) && image.entry >= s->start && image.entry < s->end)
            entry_found = 1;
        end = s->end;
        total += s->end - s->start;
    }
    if (total > 1ull << 30)
        return "elf: too large";
    return entry_found ? NULL : "elf: entry outside";
}
