"""
The first instructions: the kernel runs at its physical addresses until it has page tables of its own. `primer-early` makes the symbols
known there too, stops at the entry, and forgets them at the first stop in the higher half, so that no name means two places for long.
"""
import gdb

KERNEL_BASE = 0xffffffff80000000
ENTRIES = ("pvh_start", "multiboot2_start")        # QEMU's -kernel, GRUB


def _forget(event):
    if int(gdb.selected_frame().pc()) & 0xffffffffffffffff >= KERNEL_BASE:
        gdb.events.stop.disconnect(_forget)
        gdb.execute("remove-symbol-file -a %#x" % (int(gdb.parse_and_eval("&__text_start")) & 0xffffffff & ~KERNEL_BASE), to_string=True)


class Early(gdb.Command):
    """Stops at the kernel's entry, with symbols at physical addresses."""

    def __init__(self):
        super().__init__("primer-early", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        kernel = gdb.objfiles()[0].filename
        entries = [int(gdb.parse_and_eval("&" + name)) & 0xffffffffffffffff for name in ENTRIES]
        for address in entries:
            gdb.execute("thbreak *%#x" % (address - KERNEL_BASE), to_string=True)
        gdb.execute("add-symbol-file %s -o -%#x" % (kernel, KERNEL_BASE), to_string=True)
        gdb.events.stop.connect(_forget)


Early()
