/* System calls on memory: thin, since arguments are checked before and the work is mm's. */
#include "arch/user.h"
#include "boot/boot_info.h"
#include "kernel/syscall.h"
#include "kernel/task.h"
#include "mm/aspace.h"

#define COPY_BYTES 512u     /* through the kernel stack, a piece at a time */

status_t sys_vm_map(const struct call *call)
{
    vaddr_t address = call->arg[1];
    uint64_t len = call->arg[2];
    unsigned prot = (unsigned)call->arg[3];
    bool fixed = call->arg[4] & PRIMER_MAP_FIXED;
    enum vma_kind kind = VMA_ANONYMOUS;
    if (call->arg[4] & PRIMER_MAP_ARCHIVE) {
        kind = VMA_ARCHIVE;
        len = align_up(boot_info.archive.end - boot_info.archive.start, PAGE_SIZE);
        if (prot & ~(unsigned)PRIMER_PROT_READ)
            return E_BAD_ARGUMENT;
    }
    if (fixed && !user_range_ok(address, len))
        return E_BAD_ADDRESS;
    status_t error = vm_map(call->task->space, &address, len, prot, kind, fixed);
    return error ? error : (status_t)address;
}

status_t sys_vm_unmap(const struct call *call)
{
    return user_range_ok(call->arg[1], call->arg[2]) ? vm_unmap(call->task->space, call->arg[1], call->arg[2]) : E_BAD_ADDRESS;
}

status_t sys_vm_protect(const struct call *call)
{
    return vm_protect(call->task->space, call->arg[1], call->arg[2], (unsigned)call->arg[3]);
}

status_t sys_vm_read(const struct call *call)
{
    uint8_t piece[COPY_BYTES];
    for (uint64_t done = 0, len = call->arg[3]; done < len;) {
        uint64_t now = min_u64(len - done, sizeof piece);
        status_t error = vm_copy(call->task->space, call->arg[1] + done, piece, now, false);
        if (!error)
            error = copy_to_user(call->arg[2] + done, piece, now);
        if (error)
            return error;
        done += now;
    }
    return 0;
}

status_t sys_vm_write(const struct call *call)
{
    uint8_t piece[COPY_BYTES];
    for (uint64_t done = 0, len = call->arg[3]; done < len;) {
        uint64_t now = min_u64(len - done, sizeof piece);
        status_t error = copy_from_user(piece, call->arg[2] + done, now);
        if (!error)
            error = vm_copy(call->task->space, call->arg[1] + done, piece, now, true);
        if (error)
            return error;
        done += now;
    }
    return 0;
}
