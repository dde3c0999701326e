/*
 * What QEMU's -kernel (or Xen) tells through the PVH boot protocol, into boot_info. Called once by
 * entry.asm. Layouts: Xen, xen/include/public/arch-x86/hvm/start_info.h. PVH knows no framebuffer, so the
 * screen is VGA text.
 */
#include "boot/boot.h"
#include "kernel/panic.h"

#define START_MAGIC 0x336ec578          /* "xEn3" with the top bit of the E set */
#define MEMORY_USABLE 1
#define ENTRIES_MAX 4096

struct start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, cmdline, rsdp;
    uint64_t memory_map;                /* from version 1 on */
    uint32_t memory_entries, reserved;
};
struct module { uint64_t address, size, cmdline, reserved; };
struct memory_entry { uint64_t address, len; uint32_t type, reserved; };
_Static_assert(sizeof(struct start_info) == 56 && sizeof(struct memory_entry) == 24, "start_info.h");

static void read_memory_map(const struct memory_entry *map, uint32_t count, bool usable)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t end = map[i].address + min_u64(map[i].len, UINT64_MAX - map[i].address);
        if (usable && map[i].type == MEMORY_USABLE)
            boot_ram_add(map[i].address, end);
        else if (!usable && map[i].type != MEMORY_USABLE)
            boot_ram_remove(map[i].address, end);
    }
}

void boot_pvh(uint64_t address)
{
    boot_begin("pvh");
    const struct start_info *info = boot_memory(address, sizeof(*info), "PVH start info");
    if (info->magic != START_MAGIC)
        boot_fail("the PVH start info has the wrong magic number %x", info->magic);
    if (info->version < 1 || info->memory_entries > ENTRIES_MAX)
        boot_fail("the PVH start info (version %u) has no usable memory map", info->version);

    uint64_t size = info->memory_entries * sizeof(struct memory_entry);
    const struct memory_entry *map = boot_memory(info->memory_map, size, "memory map");
    read_memory_map(map, info->memory_entries, true);
    read_memory_map(map, info->memory_entries, false);

    if (info->cmdline)
        boot_set_cmdline(boot_memory(info->cmdline, 1, "command line"), (4ull << 30) - info->cmdline);
    if (info->module_count > 0) {
        const struct module *module = boot_memory(info->modules, sizeof(*module), "module list");
        boot_info.archive = (struct boot_region){module->address, module->address + module->size};
    }
    boot_info.acpi_rsdp = info->rsdp;
    boot_end();
}
