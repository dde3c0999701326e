#!/usr/bin/env python3
"""What the sources promise of themselves: the kernel stays small, files stay short, nothing is left for later."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
from runner import TOP, cases

KERNEL = ["boot", "arch", "kernel", "mm"]
ROOMS = KERNEL + ["drivers", "user", "tests", "tools", "labs"]
KERNEL_LINES_MAX = 9500         # that are neither blank nor comment. The aim is about 8,000: what comes must make room
FILE_LINES_MAX = 450
SOURCE = (".c", ".h", ".asm", ".inc", ".ld", ".pml", ".py", ".gdb", ".sh")
# Words that say "not done yet". Written so that this file does not hold them.
UNFINISHED = re.compile(r"\b(%s)\b" % "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")))


def files(rooms, is_source):
    """Paths below the rooms, and the text of each; build products are elsewhere."""
    for room in rooms:
        for directory, subdirectories, names in os.walk(os.path.join(TOP, room)):
            subdirectories[:] = [name for name in subdirectories if name != "__pycache__"]
            for name in sorted(names):
                path = os.path.join(directory, name)
                with open(path, errors="replace") as file:
                    text = file.read()
                if name.endswith(SOURCE) or (not is_source and text.startswith("#!")) or name == "Makefile":
                    yield os.path.relpath(path, TOP), text


def without_comments(path, text):
    if path.endswith((".asm", ".inc")):
        return re.sub(r";.*", "", text)
    # A string is matched as well, and kept, so that what looks like a comment inside one is none.
    return re.sub(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', lambda match: match[0] if match[0][0] == '"' else " ", text,
                  flags=re.DOTALL)


def kernel_size():
    total = {}
    for path, text in files(KERNEL, True):
        lines = sum(1 for line in without_comments(path, text).splitlines() if line.strip())
        room = path.split(os.sep)[0]
        total[room] = total.get(room, 0) + lines
    cases.log("lines of code: " + ", ".join("%s %d" % item for item in total.items()))
    lines = sum(total.values())
    cases.expect(0 < lines <= KERNEL_LINES_MAX, "the kernel has %d lines of code, more than %d" % (lines, KERNEL_LINES_MAX))


def file_length():
    lengths = {path: text.count("\n") for path, text in files(ROOMS, False)}
    longest = max(lengths, key=lengths.get)
    cases.log("%d files, the longest: %s with %d lines" % (len(lengths), longest, lengths[longest]))
    too_long = ["%s has %d lines" % item for item in lengths.items() if item[1] > FILE_LINES_MAX]
    cases.expect(not too_long, "longer than %d lines: %s" % (FILE_LINES_MAX, "; ".join(too_long)))


def unfinished():
    found = ["%s:%d" % (path, number) for path, text in files(ROOMS, False)
             for number, line in enumerate(text.splitlines(), 1) if UNFINISHED.search(line)]
    cases.expect(not found, "something is marked as unfinished: " + ", ".join(found))


def openings():
    """Each C file of the kernel begins with what it is for."""
    missing = [path for path, text in files(KERNEL, True) if path.endswith(".c") and not text.startswith("/*")]
    cases.expect(not missing, "no comment at the beginning of " + ", ".join(missing))


def generated():
    """What is built stays out of the sources' rooms, so that `make clean` finds it."""
    found = [os.path.relpath(os.path.join(directory, name), TOP) for room in ROOMS
             for directory, _, names in os.walk(os.path.join(TOP, room)) for name in names
             if name.endswith((".o", ".d", ".elf", ".tar", ".iso", ".trail"))]
    cases.expect(not found, "build products among the sources: " + ", ".join(found))


cases.main([("kernel-size", kernel_size), ("file-length", file_length), ("unfinished", unfinished), ("openings", openings),
            ("generated", generated)])
