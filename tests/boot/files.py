"""Files that a careless or hostile user might give the machine: programs, boot archives, kernels."""
import os
import struct

from primer import elf

PAGE = 4096
BASE = 0x400000
R, W, X = 4, 2, 1
TASK_EXIT = 12                                          # SYS_task_exit (kernel/abi.h)


def exit_code(status):
    """Machine code: task_exit(status)."""
    return b"\xb8" + struct.pack("<I", TASK_EXIT) + b"\xbf" + struct.pack("<I", status) + b"\x0f\x05" + b"\x0f\x0b"


def segment(flags=R | X, address=BASE, offset=PAGE, size=PAGE, memory=None, kind=1):
    """A program header (System V gABI, chapter 5)."""
    return struct.pack("<IIQQQQQQ", kind, flags, offset, address, address, size, size if memory is None else memory, PAGE)


def program(segments=None, code=exit_code(0), entry=BASE, machine=62, kind=2, ident=b"\x7fELF\x02\x01\x01", headers=None,
            header_size=56):
    """An ELF64 file: the header, program headers, and from PAGE on a page of code."""
    segments = [segment()] if segments is None else segments
    count = len(segments) if headers is None else headers
    header = ident.ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, entry, 64, 0, 0, 64, header_size, count, 0, 0, 0)
    return (header + b"".join(segments)).ljust(PAGE, b"\0") + code.ljust(PAGE, b"\x90")


DATA = BASE + PAGE

# name: (the file, what the message about it has to say; the texts are kernel/elf.c's)
HOSTILE = {
    "empty": (b"", "too short for an ELF file"),
    "text": (b"#!/bin/sh\necho this is not a program\n" * 4, "not an ELF file"),
    "elf32": (program(ident=b"\x7fELF\x01\x01\x01"), "not a 64-bit ELF file"),
    "big-endian": (program(ident=b"\x7fELF\x02\x02\x01"), "not a little-endian"),
    "arm64": (program(machine=183), "not for x86-64"),
    "shared": (program(kind=3), "position-independent"),
    "object": (program(kind=1), "not been linked"),
    "dynamic": (program([segment(), segment(kind=3)]), "dynamically linked"),
    "no-headers": (program([]), "without program headers"),
    "many-headers": (program(headers=65535), "too many program headers"),
    "odd-headers": (program(header_size=32), "program headers of a wrong size"),
    "cut-headers": (program(headers=60)[:1000], "program headers lie outside the file"),
    "cut-segment": (program()[:PAGE + 100], "a segment lies outside the file"),
    "wrapping-offset": (program([segment(offset=2**64 - 100)]), "a segment lies outside the file"),
    "file-over-memory": (program([segment(memory=16)]), "more bytes in the file than in memory"),
    "overlap": (program([segment(), segment(R | W, BASE + 100, size=8)]), "share a page"),
    "descending": (program([segment(), segment(R | W, BASE - 4 * PAGE)]), "not in ascending order"),
    "non-canonical": (program([segment(), segment(R | W, 0x8000_0000_0000_0000)]), "outside the user's addresses"),
    "kernel-address": (program([segment(), segment(R | W, 0xffff_ffff_8010_0000)]), "outside the user's addresses"),
    "page-zero": (program([segment(R | X, 0)], entry=0), "outside the user's addresses"),
    "wrapping-size": (program([segment(), segment(R | W, DATA, memory=2**64 - DATA)]), "outside the user's addresses"),
    "huge": (program([segment(), segment(R | W, DATA, memory=2**40)]), "larger than 1 GiB"),
    "huge-sum": (program([segment(), segment(R | W, DATA, memory=2**30 - PAGE), segment(R | W, 2**32)]), "larger than 1 GiB"),
    "writable-code": (program([segment(R | W | X)]), "both writable and executable"),
    "entry-outside": (program(entry=BASE + PAGE), "entry point"),
    "entry-in-data": (program([segment(), segment(R | W, DATA)], entry=DATA), "entry point"),
}

# name: (the file, its exit status)
RUNNING = {
    "status0": (program(), 0),
    "status7": (program(code=exit_code(7)), 7),
    "status200": (program(code=exit_code(200)), 200),
    "status255": (program(code=exit_code(255)), 255),
    # 900 MiB that are never touched cost nothing, on a machine with less.
    "large-bss": (program([segment(), segment(R | W, DATA, size=0, memory=900 << 20)], code=exit_code(9)), 9),
    # The first instruction is ud2: PRIMER_STATUS_FAULT.
    "crash": (program(code=b"\x0f\x0b"), 139),
    # mov [BASE], eax: its own code, which is not writable.
    "write-code": (program(code=b"\x89\x04\x25" + struct.pack("<I", BASE)), 139),
}


def write_programs(directory):
    """All of them below directory/hostile."""
    os.makedirs(os.path.join(directory, "hostile"))
    for name, (content, _) in [*HOSTILE.items(), *RUNNING.items()]:
        with open(os.path.join(directory, "hostile", name), "wb") as file:
            file.write(content)


# --- kernels -----------------------------------------------

def patch_kernel(kernel, output, function, code):
    """A copy of the kernel whose `function` begins with other machine code."""
    with open(kernel, "rb") as file:
        data = bytearray(file.read())
    address = elf.Elf(kernel).symbol(function)
    headers, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for i in range(count):
        _, _, offset, start, _, length, _, _ = struct.unpack_from("<IIQQQQQQ", data, headers + size * i)
        if start <= address < start + length:
            at = offset + address - start
            data[at:at + len(code)] = code
            with open(output, "wb") as file:
                file.write(data)
            return
    raise ValueError("%s is in no segment of %s" % (function, kernel))


# push rbp; mov rbp, rsp; ud2: as any function begins, so that its caller is found.
UNDEFINED = bytes.fromhex("55 4889e5 0f0b")
# sub rsp, 16; mov qword [rsp], 0; mov word [rsp + 8], 0; lidt [rsp]; ud2: an exception that finds no descriptor table.
TRIPLE_FAULT = bytes.fromhex("4883ec10 48c7042400000000 66c74424080000 0f011c24 0f0b")
