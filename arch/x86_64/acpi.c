/*
 * Reads the few ACPI tables that the kernel cannot do without: RSDP, then RSDT or XSDT, then MADT (CPUs,
 * IOAPICs, ISA interrupts) and FADT (PM timer). Runs once, on CPU 0, from irq_init(); no lock, since nobody
 * else is there yet. Firmware's tables are untrusted input: every address, length and checksum is checked,
 * and nothing is followed that does not check out. There is no AML here and never will be; that would be a
 * user program's business.
 */
#include "arch/x86_64/acpi.h"

#include "arch/mmu.h"
#include "boot/boot_info.h"
#include "kernel/log.h"

#define PACKED __attribute__((packed))
#define SIGNATURE(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define SIGNATURE_RSDP 0x2052545020445352ull    /* "RSD PTR " */

/* ACPI specification 6.5, 5.2.5.3. The first 20 bytes are all there is before revision 2. */
struct PACKED rsdp {
    uint64_t signature;
    uint8_t checksum, oem[6], revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum, reserved[3];
};
#define RSDP_V1_SIZE 20u

/* 5.2.6: what every table but the RSDP begins with. The checksum makes all `length` bytes add up to 0. */
struct PACKED header {
    uint32_t signature, length;
    uint8_t revision, checksum, oem[26];
};

/* 5.2.12. Entries follow: type, length, then what the type says. */
struct PACKED madt { struct header header; uint32_t lapic_address, flags; };
struct PACKED madt_entry { uint8_t type, length; };
enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_X2APIC = 9 };
#define MADT_CPU_ENABLED (1u << 0)

struct PACKED madt_lapic { struct madt_entry entry; uint8_t processor, apic_id; uint32_t flags; };
struct PACKED madt_ioapic { struct madt_entry entry; uint8_t id, reserved; uint32_t address, first_gsi; };
struct PACKED madt_override { struct madt_entry entry; uint8_t bus, irq; uint32_t gsi; uint16_t flags; };
struct PACKED madt_x2apic { struct madt_entry entry; uint16_t reserved; uint32_t apic_id, flags, processor; };

/* 5.2.9, the part that is read. */
struct PACKED fadt {
    struct header header;
    uint8_t skip1[40];
    uint32_t pm_timer_block;        /* offset 76 */
    uint8_t skip2[11];
    uint8_t pm_timer_length;        /* 91 */
    uint8_t skip3[20];
    uint32_t flags;                 /* 112 */
};
_Static_assert(offsetof(struct fadt, pm_timer_length) == 91 && offsetof(struct fadt, flags) == 112, "ACPI 6.5, table 5.9");
#define FADT_TIMER_32 (1u << 8)

/*
 * No table here is near this long; a length beyond it is nonsense, and must not make us map half the
 * machine.
 */
#define TABLE_MAX 0x10000u

struct acpi_info acpi_info;

/* Where the direct map ends (arch/x86_64/mmu_boot.c draws it). No sane firmware has tables further up. */
static uint64_t reach;

/* The bytes at [address, address+size), NULL if they are out of reach. Read only, like everything below. */
static const void *map(uint64_t address, uint32_t size)
{
    if (address == 0 || address >= reach || size > reach - address)
        return NULL;
    return phys_to_virt(paddr(address));
}

static bool sums_to_zero(const void *bytes, uint32_t size)
{
    const uint8_t *p = bytes;
    uint8_t sum = 0;
    while (size-- > 0)
        sum = (uint8_t)(sum + *p++);
    return sum == 0;
}

/*
 * The table at `address` if it is there, whole, and has that signature; else NULL, with a log line if it is
 * broken.
 */
static const struct header *table_at(uint64_t address, uint32_t signature)
{
    const struct header *table = map(address, sizeof *table);
    if (!table || table->signature != signature)
        return NULL;
    uint32_t length = table->length;
    table = length >= sizeof *table && length <= TABLE_MAX ? map(address, length) : NULL;
    if (!table || !sums_to_zero(table, length)) {
        kprintf("acpi: table %c%c%c%c at 0x%lx is damaged, ignored\n", signature & 0xff, signature >> 8 & 0xff,
                signature >> 16 & 0xff, signature >> 24, address);
        return NULL;
    }
    return table;
}

static bool rsdp_ok(const struct rsdp *rsdp)
{
    return rsdp->signature == SIGNATURE_RSDP && sums_to_zero(rsdp, RSDP_V1_SIZE);
}

/* ACPI 5.2.5.1: on a 16-byte boundary in the range. */
static const struct rsdp *rsdp_search(uint64_t start, uint32_t size)
{
    const char *bytes = map(start, size);
    for (uint32_t at = 0; bytes && at + sizeof(struct rsdp) <= size; at += 16) {
        const struct rsdp *rsdp = (const void *)(bytes + at);
        if (rsdp_ok(rsdp))
            return rsdp;
    }
    return NULL;
}

static const struct rsdp *rsdp_find(uint64_t told)
{
    const struct rsdp *rsdp = map(told, sizeof *rsdp);
    if (rsdp && rsdp_ok(rsdp))
        return rsdp;
    if (told != 0)
        kprintf("acpi: no valid RSDP at 0x%lx, where the loader said; searching\n", told);
    /* BIOS data area: segment of the extended one */
    const uint16_t *ebda_segment = map(0x40e, sizeof *ebda_segment);
    uint64_t ebda = (uint64_t)*ebda_segment << 4;
    if (ebda >= 0x80000 && ebda < 0xa0000 && (rsdp = rsdp_search(ebda, 1024)))
        return rsdp;
    return rsdp_search(0xe0000, 0x20000);
}

/* The table with that signature that the root table names, checked; NULL. `wide`: the root is an XSDT. */
static const struct header *table_find(const struct header *root, bool wide, uint32_t signature)
{
    const char *entries = (const char *)(root + 1);
    uint32_t entry_size = wide ? 8 : 4;
    uint32_t count = (root->length - (uint32_t)sizeof *root) / entry_size;
    for (uint32_t i = 0; i < count; i++) {
        const char *entry = entries + i * entry_size;
        struct PACKED any { uint32_t lo, hi; };         /* entries are not aligned */
        uint64_t address = ((const struct any *)entry)->lo;
        if (wide)
            address |= (uint64_t)((const struct any *)entry)->hi << 32;
        const struct header *table = table_at(address, signature);
        if (table)
            return table;
    }
    return NULL;
}

static void add_cpu(uint32_t apic_id, uint32_t flags)
{
    if (!(flags & MADT_CPU_ENABLED))
        return;
    /*
     * Some firmware lists a CPU in both forms. Twice would be fatal: INIT would go to a CPU that runs
     * already.
     */
    for (unsigned i = 0; i < acpi_info.cpu_count; i++)
        if (acpi_info.apic_ids[i] == apic_id)
            return;
    if (acpi_info.cpu_count == MAX_CPUS) {
        kprintf("acpi: CPU with APIC id %u ignored: %u is the most\n", apic_id, MAX_CPUS);
        return;
    }
    acpi_info.apic_ids[acpi_info.cpu_count++] = apic_id;
}

static void add_ioapic(const struct madt_ioapic *ioapic)
{
    if (acpi_info.ioapic_count == ACPI_MAX_IOAPICS || ioapic->address == 0 || ioapic->address % 16 != 0) {
        kprintf("acpi: IOAPIC at 0x%x ignored\n", ioapic->address);
        return;
    }
    acpi_info.ioapics[acpi_info.ioapic_count++] = (struct acpi_ioapic){ioapic->address, ioapic->first_gsi};
}

/*
 * 5.2.12.5: flags 1:0 polarity, 3:2 trigger mode. 3 is active low, level; 0 is the bus's own way: for ISA
 * high, edge.
 */
static void add_override(const struct madt_override *override)
{
    if (override->bus == 0 && override->irq < ACPI_ISA_IRQS)
        acpi_info.isa[override->irq] = (struct acpi_isa_irq){
            .gsi = override->gsi, .active_low = (override->flags & 3) == 3, .level = (override->flags >> 2 & 3) == 3};
}

static void read_madt(const struct header *table)
{
    const char *at = (const char *)table + sizeof(struct madt);
    const char *end = (const char *)table + table->length;
    while (end - at >= (ptrdiff_t)sizeof(struct madt_entry)) {
        const struct madt_entry *entry = (const void *)at;
        if (entry->length < sizeof *entry || entry->length > end - at) {
            kprintf("acpi: MADT entry %ld bytes before the end has length %u; the rest is ignored\n",
                    (long)(end - at), entry->length);
            return;
        }
        const struct madt_lapic *lapic = (const void *)entry;
        const struct madt_x2apic *x2apic = (const void *)entry;
        if (entry->type == MADT_LAPIC && entry->length >= sizeof *lapic)
            add_cpu(lapic->apic_id, lapic->flags);
        else if (entry->type == MADT_X2APIC && entry->length >= sizeof *x2apic)
            add_cpu(x2apic->apic_id, x2apic->flags);
        else if (entry->type == MADT_IOAPIC && entry->length >= sizeof(struct madt_ioapic))
            add_ioapic((const void *)entry);
        else if (entry->type == MADT_OVERRIDE && entry->length >= sizeof(struct madt_override))
            add_override((const void *)entry);
        at += entry->length;
    }
}

/* 4.8.3.3: a free-running counter of 24 or 32 bits behind an I/O port. */
static void read_fadt(const struct header *table)
{
    const struct fadt *fadt = (const void *)table;
    if (table->length < sizeof *fadt || fadt->pm_timer_length != 4 || fadt->pm_timer_block > 0xfffc)
        return;
    acpi_info.pm_timer_port = (uint16_t)fadt->pm_timer_block;
    acpi_info.pm_timer_mask = fadt->flags & FADT_TIMER_32 ? UINT32_MAX : 0xffffff;
}

static void read_tables(const struct boot_info *info)
{
    const struct rsdp *rsdp = rsdp_find(info->acpi_rsdp);
    if (!rsdp) {
        kprintf("acpi: no RSDP\n");
        return;
    }
    bool wide = rsdp->revision >= 2 && rsdp->xsdt != 0 && rsdp->length >= sizeof *rsdp
                && sums_to_zero(rsdp, sizeof *rsdp);
    const struct header *root = wide ? table_at(rsdp->xsdt, SIGNATURE('X', 'S', 'D', 'T')) : NULL;
    if (!root) {
        wide = false;
        root = table_at(rsdp->rsdt, SIGNATURE('R', 'S', 'D', 'T'));
    }
    if (!root) {
        kprintf("acpi: neither RSDT nor XSDT is usable\n");
        return;
    }
    const struct header *madt = table_find(root, wide, SIGNATURE('A', 'P', 'I', 'C'));
    const struct header *fadt = table_find(root, wide, SIGNATURE('F', 'A', 'C', 'P'));
    if (madt && madt->length >= sizeof(struct madt))
        read_madt(madt);
    if (fadt)
        read_fadt(fadt);
}

void acpi_init(const struct boot_info *info)
{
    reach = 1ull << 32;
    if (info->ram_count > 0)
        reach = max_u64(reach, info->ram[info->ram_count - 1].end);
    for (unsigned irq = 0; irq < ACPI_ISA_IRQS; irq++)
        acpi_info.isa[irq] = (struct acpi_isa_irq){.gsi = irq};
    read_tables(info);
    if (acpi_info.cpu_count == 0)
        kprintf("acpi: no CPU listed, going on with this one\n");
    if (acpi_info.ioapic_count == 0)    /* where the MultiProcessor Specification 1.4, 3.6.5 puts the first one */
        acpi_info.ioapics[acpi_info.ioapic_count++] = (struct acpi_ioapic){.address = 0xfec00000};
}
