"""Page tables from GDB: a walk from the root to the entry of an address, each level's entry decoded (arch/mmu.h; SDM vol. 3, 4.5)."""
import struct

import gdb

import view

P, W, U, PS, COW, TAG_IO, TAG_NO_ACCESS, NX = 1 << 0, 1 << 1, 1 << 2, 1 << 7, 1 << 9, 1 << 10, 1 << 11, 1 << 63
ADDRESS = 0x000ffffffffff000
LEVELS = ("PML4", "PDPT", "PD", "PT")
FLAGS = ((W, "writable"), (U, "user"), (1 << 3, "write-through"), (1 << 4, "uncached"), (1 << 5, "accessed"), (1 << 6, "dirty"),
         (1 << 8, "global"), (COW, "copy-on-write"), (NX, "no-execute"))


def flags_text(bits):
    return " ".join(name for bit, name in FLAGS if bits & bit)


def frame_text(pfn):
    try:
        return "frame %#x (%s)" % (pfn, view.frame_state(view.frame(pfn)))
    except gdb.MemoryError:
        return "frame %#x (not RAM)" % pfn


def decode_leaf(bits):
    """One of the kinds of entry that a leaf can be, in words."""
    inverted = (~bits & ADDRESS) >> view.PAGE_SHIFT
    if bits == 0:
        return "none"
    if bits & P:
        kind = "present, copy-on-write" if bits & COW else "present"
        return "%s: %s, %s" % (kind, frame_text((bits & ADDRESS) >> view.PAGE_SHIFT), flags_text(bits & ~COW))
    if bits & TAG_NO_ACCESS:
        return "present, but no access is allowed: %s" % frame_text(inverted)
    if bits & TAG_IO:
        return "io: %s, its bytes are not final" % frame_text(inverted)
    return "damaged: neither present nor io nor none"


def walk(root, address):
    """Yields (level's name, physical address of the entry, its bits, whether it is a leaf) from the root down."""
    table = root
    for level, name in enumerate(LEVELS):
        shift = 39 - 9 * level
        at = table + (address >> shift & 511) * 8
        bits, = struct.unpack("<Q", view.read_physical(at, 8))
        leaf = level == 3 or (level > 0 and bits & (P | PS) == P | PS)
        yield name, at, bits, leaf
        if leaf or not bits & P:
            return
        table = bits & ADDRESS


def root_of(task):
    """The physical address of the PML4: of a task, or what the CPU has loaded (None)."""
    if task is None:
        return int(gdb.parse_and_eval("$cr3")) & ADDRESS
    root = int(task["space"]["pt"]["root"])
    if not root:
        raise gdb.GdbError("the task has ended: it has no page tables any more")
    return root - view.DIRECT_BASE


def show(address, task):
    if address >> 47 not in (0, 0x1ffff):
        raise gdb.GdbError("%#x is not canonical" % address)
    for name, at, bits, leaf in walk(root_of(task), address):
        if leaf and name == "PT":
            text = decode_leaf(bits)
        elif leaf:
            text = "large page at %#x, %s" % (bits & ADDRESS, flags_text(bits & ~PS))
        elif bits & P:
            text = "table at %#x, %s" % (bits & ADDRESS, flags_text(bits))
        else:
            text = "none: no table" if bits == 0 else "damaged"
        print("%-4s[%3d] at %#012x = %#018x  %s" % (name, (at & 0xfff) // 8, at, bits, text))
