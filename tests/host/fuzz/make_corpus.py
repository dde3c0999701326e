#!/usr/bin/env python3
"""Writes well-formed and nearly well-formed files for the fuzzers to start from: make_corpus.py ustar|elf DIRECTORY"""
import io
import os
import struct
import sys
import tarfile


def tar(members, fmt=tarfile.USTAR_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt) as archive:
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.mode = kind, len(data) if kind == tarfile.REGTYPE else 0, 0o755
            if kind == tarfile.SYMTYPE:
                info.linkname = "target"
            archive.addfile(info, io.BytesIO(data))
    data = out.getvalue()
    # tarfile pads to 10 KiB: keep one zero block.
    return data.rstrip(b"\0") + bytes(-len(data.rstrip(b"\0")) % 512 + 512)


def ustar_files():
    file, directory, link = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE
    yield tar([("bin/init", file, b"x" * 700), ("bin", directory, b""), ("bin/sh", link, b"")])
    yield tar([("./", directory, b""), ("./a", file, b""), ("/b", file, b"1" * 512), ("c/", directory, b"")])
    yield tar([("p" * 120 + "/" + "n" * 99, file, b"long")])
    yield tar([("n" * 150, file, b"needs an extension")], tarfile.GNU_FORMAT)
    yield tar([("f", file, b"cut off")])[:-512]
    yield tar([])


def elf(segments, entry=0x401000, kind=2, phoff=64, size=1024):
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", kind, 62, 1, entry, phoff, 0, 0, 64, 56, len(segments), 0, 0, 0)
    phdrs = b"".join(struct.pack("<IIQQQQQQ", t, flags, offset, va, va, filesz, memsz, 4096)
                     for t, flags, offset, va, filesz, memsz in segments)
    data = head + bytes(phoff - 64) + phdrs
    return data + bytes(max(0, size - len(data)))


def elf_files():
    text, data = (1, 5, 0, 0x401000, 200, 200), (1, 6, 100, 0x402800, 50, 9000)
    yield elf([text])
    yield elf([(1, 4, 0, 0x400000, 64, 64), text, data, (0x6474E551, 6, 0, 0, 0, 0)])
    yield elf([text, data], phoff=96)
    yield elf([(3, 4, 0, 0x400000, 10, 10), text])
    yield elf([text, (1, 6, 0, 0x401800, 1, 1)])
    yield elf([(1, 7, 0, 0x401000, 1, 1)])
    yield elf([text, (1, 6, 0, 0x7FFFFFFFE000, 0, 0x1000)])
    yield elf([(1, 5, 0, 0xFFFFFFFFFFFFE000, 1, 0x1FFF)], entry=0xFFFFFFFFFFFFE000)
    yield elf([text] + [(1, 4, 0, 0x500000 + i * 4096, 1, 1) for i in range(15)])
    yield elf([text], kind=3)
    yield elf([])


def main():
    kind, directory = sys.argv[1:]
    os.makedirs(directory, exist_ok=True)
    for number, data in enumerate({"ustar": ustar_files, "elf": elf_files}[kind]()):
        with open(os.path.join(directory, f"seed{number:02}"), "wb") as file:
            file.write(data)


main()
