/*
 * The first user program: the only one that the kernel loads; every other is loaded by a user program
 * (user/lib/spawn.c). A kernel thread copies its segments into a new task, as a loader does: the pages are
 * touched for the first time by those copies, so even they are primed by a worker.
 */
#include "boot/boot_info.h"
#include "kernel/archive.h"
#include "kernel/boot_time.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/options.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "mm/aspace.h"

#define STACK_TOP   0x7ffffff00000ul    /* as user/lib/spawn.c has it */
#define STACK_BYTES (256ul * 1024)
#define INIT_PRIO   40u                 /* what it starts can be less urgent, not more */

uint64_t boot_first_user_ns;

static void must(status_t status, const char *what)
{
    if (status < 0)
        boot_fail("%s cannot be loaded: %s (error %ld)", options.init, what, -status);
}

static struct ustar_entry find_file(const char *name)
{
    struct boot_region archive = boot_info.archive;
    struct ustar_entry entry;
    if (archive.start == archive.end)
        boot_fail("there is no boot archive; give one as the first module (GRUB) or as -initrd (QEMU)");
    if (archive.start & PAGE_MASK)
        boot_fail("the boot archive is not page-aligned in memory (at 0x%lx)", archive.start);
    switch (ustar_find(phys_to_virt(paddr(archive.start)), archive.end - archive.start, name, &entry)) {
    case USTAR_ENTRY: return entry;
    case USTAR_BAD:   boot_fail("the boot archive is damaged: %s", entry.error);
    default:          boot_fail("there is no %s in the boot archive", name);
    }
}

static void load_segment(struct aspace *space, const uint8_t *file, const struct elf_segment *segment)
{
    vaddr_t start = segment->start;
    uint64_t len = segment->end - segment->start;
    must(vm_map(space, &start, len, PRIMER_PROT_READ | PRIMER_PROT_WRITE, VMA_ANONYMOUS, true), "a segment cannot be mapped");
    must(vm_copy(space, segment->address, (void *)(file + segment->offset), segment->file_size, true), "a segment cannot be copied");
    must(vm_protect(space, start, len, segment->prot), "a segment cannot be protected");
}

/* What a program finds on its stack, and gets the address of in rdi. */
struct argument_block { uint64_t argc; vaddr_t argv[2]; char name[40]; };
_Static_assert(sizeof(struct argument_block) % 16 == 0, "the stack pointer starts aligned");

static vaddr_t load_stack(struct aspace *space, const char *name)
{
    struct argument_block block = {.argc = 1};
    vaddr_t stack = STACK_TOP - STACK_BYTES, at = STACK_TOP - sizeof block;
    block.argv[0] = at + offsetof(struct argument_block, name);
    format(block.name, sizeof block.name, "%s", name);
    must(vm_map(space, &stack, STACK_BYTES, PRIMER_PROT_READ | PRIMER_PROT_WRITE, VMA_ANONYMOUS, true), "its stack cannot be mapped");
    must(vm_copy(space, at, &block, sizeof block, true), "its arguments cannot be copied");
    return at;
}

/* What lies behind the archive in its last page is not for user programs, which may map the archive. */
static void clear_archive_tail(void)
{
    uint64_t end = boot_info.archive.end;
    memset(phys_to_virt(paddr(end)), 0, align_up(end, PAGE_SIZE) - end);
}

void first_program(void *unused)
{
    (void)unused;
    struct ustar_entry file = find_file(options.init);
    static struct elf_image image;      /* called once; too large for a frame on the stack */
    const char *wrong = elf_parse(file.data, file.size, USER_MIN, USER_MAX, &image);
    if (wrong)
        boot_fail("%s is not a program: %s", options.init, wrong);
    clear_archive_tail();

    status_t error;
    struct task *task = task_create(&account_root, &error);
    must(error, "no memory for its task");
    for (unsigned i = 0; i < image.segment_count; i++)
        load_segment(task->space, file.data, &image.segment[i]);
    vaddr_t block = load_stack(task->space, options.init);
    boot_first_user_ns = time_ns();
    struct thread *thread;
    must(thread_create_user(task, image.entry, block, block, INIT_PRIO, &thread), "no memory for its thread");

    status_t status = object_wait(&task->object, TIME_NEVER);
    boot_fail("%s has ended, with status %ld, and nobody else can start anything", options.init, status);
}
