/*
 * What GRUB (or another Multiboot2 loader) tells, into boot_info. Called once by entry.asm. The information
 * is a sequence of tags at 8-byte boundaries (Multiboot2 Specification 2.0, 3.6), each with its type and
 * size; tags that mean nothing to Primer are stepped over.
 */
#include "arch/mmu.h"
#include "boot/boot.h"
#include "kernel/panic.h"

enum {
    TAG_END = 0, TAG_CMDLINE = 1, TAG_MODULE = 3, TAG_MEMORY_MAP = 6, TAG_FRAMEBUFFER = 8,
    TAG_ACPI_OLD = 14, TAG_ACPI_NEW = 15,
};

struct info { uint32_t total_size, reserved; };
struct tag { uint32_t type, size; };                        /* size with this head, without padding */
struct tag_module { struct tag tag; uint32_t start, end; }; /* and a string */
struct tag_memory_map { struct tag tag; uint32_t entry_size, entry_version; };
struct memory_entry { uint64_t address, len; uint32_t type, reserved; };
struct tag_framebuffer {
    struct tag tag;
    uint64_t address;
    uint32_t pitch, width, height;
    uint8_t bits_per_pixel, type;
    uint16_t reserved;
    uint8_t red_position, red_size, green_position, green_size, blue_position, blue_size;       /* type 1 */
};
_Static_assert(sizeof(struct memory_entry) == 24 && sizeof(struct tag_framebuffer) == 40, "Multiboot2 3.6");

#define MEMORY_USABLE   1
#define FRAMEBUFFER_RGB 1
#define INFO_MAX (16u << 20)            /* far more than any loader says */

#define RSDP_MAX 36                     /* ACPI 6.5, 5.2.5.3: revision 2 and up; revision 0 has 20 bytes */

/* The tag's copy of the RSDP is in memory that will be given to somebody. */
static _Alignas(16) uint8_t rsdp[RSDP_MAX];

/*
 * The tag at `*offset`, which moves past it; NULL at the end. boot_fail() if it reaches out of the
 * information.
 */
static const struct tag *next_tag(const struct info *info, uint32_t *offset)
{
    uint32_t left = info->total_size - *offset;
    const struct tag *tag = (const void *)((const char *)info + *offset);
    if (left < sizeof(*tag) || tag->size < sizeof(*tag) || tag->size > left)
        boot_fail("the Multiboot2 information is damaged at offset %u of %u", *offset, info->total_size);
    if (tag->type == TAG_END)
        return NULL;
    *offset += (uint32_t)min_u64(align_up(tag->size, 8), left);
    return tag;
}

static void check_size(const struct tag *tag, uint64_t size)
{
    if (tag->size < size)
        boot_fail("the Multiboot2 tag of type %u has %u bytes instead of %lu", tag->type, tag->size, size);
}

/* GRUB puts a backslash before each backslash and quote of an argument; here they are taken away again. */
static void read_cmdline(const struct tag *tag)
{
    static char text[BOOT_CMDLINE_MAX];
    const char *from = (const char *)(tag + 1), *end = (const char *)tag + tag->size;
    unsigned len = 0;
    for (; from < end && *from != '\0' && len < sizeof(text); from++) {
        if (*from == '\\' && from + 1 < end && from[1] != '\0')
            from++;
        text[len++] = *from;
    }
    boot_set_cmdline(text, len);
}

/* Each entry of the memory map that is usable, or each that is not. */
static void read_memory_map(const struct tag_memory_map *map, bool usable)
{
    check_size(&map->tag, sizeof(*map));
    if (map->entry_size < sizeof(struct memory_entry))
        boot_fail("the Multiboot2 memory map has entries of %u bytes", map->entry_size);
    uint64_t count = (map->tag.size - sizeof(*map)) / map->entry_size;
    for (uint64_t i = 0; i < count; i++) {
        const struct memory_entry *entry = (const void *)((const char *)(map + 1) + i * map->entry_size);
        uint64_t end = entry->address + min_u64(entry->len, UINT64_MAX - entry->address);
        if (usable && entry->type == MEMORY_USABLE)
            boot_ram_add(entry->address, end);
        else if (!usable && entry->type != MEMORY_USABLE)
            boot_ram_remove(entry->address, end);
    }
}

/* Only what the screen can use: true colour with 8 bits for each of them. Text and palettes stay "none". */
static void read_framebuffer(const struct tag_framebuffer *fb)
{
    if (fb->tag.size < offsetof(struct tag_framebuffer, red_position) || fb->type != FRAMEBUFFER_RGB)
        return;
    check_size(&fb->tag, offsetof(struct tag_framebuffer, blue_size) + 1);
    if (fb->bits_per_pixel != 32 || fb->red_size != 8 || fb->green_size != 8 || fb->blue_size != 8
        || fb->pitch < (uint64_t)fb->width * 4)
        return;
    boot_info.framebuffer = (struct boot_framebuffer){
        .address = fb->address, .pitch = fb->pitch, .width = fb->width, .height = fb->height,
        .bits_per_pixel = fb->bits_per_pixel,
        .red_shift = fb->red_position, .green_shift = fb->green_position, .blue_shift = fb->blue_position,
    };
}

static void read_rsdp(const struct tag *tag)
{
    uint64_t len = min_u64(tag->size - sizeof(*tag), RSDP_MAX);
    for (uint64_t i = 0; i < len; i++)
        rsdp[i] = ((const uint8_t *)(tag + 1))[i];
    boot_info.acpi_rsdp = (uintptr_t)rsdp - KERNEL_BASE;
}

static void read_tag(const struct tag *tag)
{
    static bool have_archive, have_new_rsdp;
    const struct tag_module *module = (const void *)tag;
    switch (tag->type) {
    case TAG_CMDLINE:
        read_cmdline(tag);
        break;
    case TAG_MODULE:
        check_size(tag, sizeof(*module));
        if (!have_archive)
            boot_info.archive = (struct boot_region){module->start, module->end};
        have_archive = true;
        break;
    case TAG_MEMORY_MAP:
        read_memory_map((const void *)tag, true);
        break;
    case TAG_FRAMEBUFFER:
        read_framebuffer((const void *)tag);
        break;
    case TAG_ACPI_OLD:
    case TAG_ACPI_NEW:
        if (!have_new_rsdp)
            read_rsdp(tag);
        have_new_rsdp |= tag->type == TAG_ACPI_NEW;
        break;
    }
}

void boot_multiboot2(uint64_t address)
{
    boot_begin("multiboot2");
    const struct info *info = boot_memory(address, sizeof(*info), "Multiboot2 information");
    if (info->total_size < sizeof(*info) || info->total_size > INFO_MAX)
        boot_fail("the Multiboot2 information claims to have %u bytes", info->total_size);
    boot_memory(address, info->total_size, "Multiboot2 information");

    uint32_t offset = sizeof(*info);
    for (const struct tag *tag; (tag = next_tag(info, &offset));)
        read_tag(tag);
    offset = sizeof(*info);
    for (const struct tag *tag; (tag = next_tag(info, &offset));)
        if (tag->type == TAG_MEMORY_MAP)
            read_memory_map((const void *)tag, false);
    boot_end();
}
