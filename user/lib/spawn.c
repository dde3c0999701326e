/*
 * The program loader. A new task is empty; everything it starts with is put there from outside, through a
 * handle: segments, a stack, the arguments, and last a thread. So nothing here is a privilege of the
 * kernel, which does the same only once, for /bin/init.
 *
 * The archive's bytes and the file's headers are not trusted: kernel/ustar.c and kernel/elf.c check them.
 */
#include "user/lib/primer.h"

#define STACK_TOP  (PRIMER_USER_MAX - 0x10000)
#define STACK_SIZE (256 * 1024ul)
#define ARGS_MAX   4096                     /* bytes of the argument block, strings and pointers */

#define RW (PRIMER_PROT_READ | PRIMER_PROT_WRITE)

static struct {
    struct primer_mutex lock;
    const uint8_t *bytes;                   /* under lock; NULL: not mapped yet */
    uint64_t len;
} archive;

status_t primer_archive(const uint8_t **bytes)
{
    primer_mutex_lock(&archive.lock);
    status_t status = 0;
    if (!archive.bytes) {
        struct primer_info_system system;
        status = primer_info(PRIMER_INFO_SYSTEM, 0, &system, sizeof(system));
        if (status >= 0)
            status = primer_vm_map(PRIMER_SELF, 0, 0, PRIMER_PROT_READ, PRIMER_MAP_ARCHIVE);
        if (status >= 0) {
            archive.bytes = (const uint8_t *)status;
            archive.len = system.archive_bytes;
        }
    }
    *bytes = archive.bytes;
    primer_mutex_unlock(&archive.lock);
    return status < 0 ? status : (status_t)archive.len;
}

static status_t find_program(const char *name, struct ustar_entry *entry, const char **reason)
{
    const uint8_t *bytes;
    *reason = "the boot archive cannot be mapped";
    status_t len = primer_archive(&bytes);
    if (len < 0)
        return len;

    bool path = false;
    for (const char *c = name; *c; c++)
        path |= *c == '/';
    static const char *const places[] = {"/bin/", "/test/"};
    for (unsigned i = 0; i < (path ? 1 : ARRAY_SIZE(places)); i++) {
        char full[257];
        if (format(full, sizeof(full), "%s%s", path ? "" : places[i], name) >= (int)sizeof(full))
            break;
        enum ustar_result result = ustar_find(bytes, (uint64_t)len, full, entry);
        if (result == USTAR_ENTRY && entry->type == '0')
            return 0;
        if (result == USTAR_BAD) {
            *reason = entry->error;
            return E_BAD_ARGUMENT;
        }
    }
    *reason = path ? "there is no such file in the boot archive" : "there is no such program in /bin or /test";
    return E_NOT_FOUND;
}

/*
 * Writable while the bytes go in, as asked for afterwards. Pages that the file does not fill are left
 * alone: they are zero when touched.
 */
static status_t load_segment(uint64_t task, const uint8_t *file, const struct elf_segment *segment,
                             const char **reason)
{
    uint64_t len = segment->end - segment->start;
    *reason = "a segment cannot be mapped";
    status_t status = primer_vm_map(task, segment->start, len, RW, PRIMER_MAP_FIXED);
    if (status < 0)
        return status;
    *reason = "a segment's bytes cannot be copied";
    if (segment->file_size > 0)
        status = primer_vm_write(task, segment->address, file + segment->offset, segment->file_size);
    if (status < 0)
        return status;
    *reason = "a segment's protection cannot be set";
    return segment->prot == RW ? 0 : primer_vm_protect(task, segment->start, len, segment->prot);
}

/*
 * Strings at the top of the stack, {argc, argv[], NULL} below them; returns the address of the latter,
 * which is also the stack pointer.
 */
static status_t load_arguments(uint64_t task, int argc, char *const *argv, const char **reason)
{
    uint64_t strings = 0;
    for (int i = 0; i < argc; i++)
        strings += strlen(argv[i]) + 1;
    uint64_t pointers = ((uint64_t)argc + 2) * sizeof(uint64_t);
    uint64_t total = align_up(pointers + strings, 16);
    *reason = "the arguments are too long";
    if (total > ARGS_MAX)
        return E_BAD_ARGUMENT;

    uint64_t block[ARGS_MAX / sizeof(uint64_t)];
    vaddr_t base = STACK_TOP - total;
    char *out = (char *)block + pointers;
    block[0] = (uint64_t)argc;
    for (int i = 0; i < argc; i++) {
        size_t len = strlen(argv[i]) + 1;
        block[1 + i] = base + (uint64_t)(out - (char *)block);
        memcpy(out, argv[i], len);
        out += len;
    }
    block[1 + argc] = 0;
    memset(out, 0, (size_t)((char *)block + total - out));

    *reason = "there is no room for the stack";
    status_t status = primer_vm_map(task, STACK_TOP - STACK_SIZE, STACK_SIZE, RW, PRIMER_MAP_FIXED);
    if (status < 0)
        return status;
    *reason = "the arguments cannot be copied";
    status = primer_vm_write(task, base, block, total);
    return status < 0 ? status : (status_t)base;
}

static status_t load(uint64_t task, const uint8_t *file, const struct elf_image *image, int argc, char *const *argv,
                     unsigned prio, const char **reason)
{
    for (unsigned i = 0; i < image->segment_count; i++) {
        status_t status = load_segment(task, file, &image->segment[i], reason);
        if (status < 0)
            return status;
    }
    status_t block = load_arguments(task, argc, argv, reason);
    if (block < 0)
        return block;
    *reason = "its first thread cannot be created";
    status_t thread = primer_thread_create(task, image->entry, (vaddr_t)block, (uint64_t)block, prio);
    if (thread >= 0)
        primer_handle_close((uint64_t)thread);
    return thread;
}

status_t primer_spawn(const char *name, int argc, char *const *argv, const struct primer_limits *limits,
                      unsigned prio, const char **reason)
{
    struct ustar_entry entry;
    status_t status = find_program(name, &entry, reason);
    if (status < 0)
        return status;
    struct elf_image image;
    *reason = elf_parse(entry.data, entry.size, PRIMER_USER_MIN, PRIMER_USER_MAX, &image);
    if (*reason)
        return E_BAD_ARGUMENT;

    *reason = "a task cannot be created";
    status_t task = primer_task_create(limits);
    if (task < 0)
        return task;
    status = load((uint64_t)task, entry.data, &image, argc, argv, prio, reason);
    if (status < 0) {
        primer_handle_close((uint64_t)task);        /* it never had a thread: this was its end */
        return status;
    }
    *reason = NULL;
    return task;
}
