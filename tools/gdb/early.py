"""
The first instructions: the kernel runs at its physical addresses until it has page tables of its own. `primer-early` makes the symbols
known there too, stops at the entry, and forgets them at the first stop in the higher half, so that no name means two places for long.
"""
import gdb

KERNEL_BASE = 0xffffffff80000000
WORD = 0xffffffffffffffff
ENTRIES = ("pvh_start", "multiboot2_start")        # QEMU's -kernel, GRUB


def physical(symbol):
    return (int(gdb.parse_and_eval("&" + symbol)) & WORD) - KERNEL_BASE


class Early(gdb.Command):
    """Stops at the kernel's entry, with symbols at physical addresses."""

    def __init__(self):
        super().__init__("primer-early", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        kernel = gdb.objfiles()[0].filename
        for name in ENTRIES:
            gdb.execute("thbreak *%#x" % physical(name), to_string=True)
        self.text = physical("__text_start")
        gdb.execute("add-symbol-file %s -o -%#x" % (kernel, KERNEL_BASE), to_string=True)
        gdb.events.stop.connect(self.forget)

    def forget(self, event):
        if int(gdb.selected_frame().pc()) & WORD >= KERNEL_BASE:
            gdb.events.stop.disconnect(self.forget)
            gdb.execute("remove-symbol-file -a %#x" % self.text, to_string=True)


Early()
