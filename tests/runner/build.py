#!/usr/bin/env python3
"""
The build itself: from nothing, without warnings, with gcc and with clang; what clang made runs; the kernel's segments are W^X.
What is built here is in build/tests/{gcc,clang,clang-debug}, made anew each time.
"""
import os
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
from runner import TOP, cases
from primer import machine as machines

PT_LOAD, PT_GNU_STACK = 1, 0x6474e551
PF_X, PF_W = 1, 2


def output(name):
    """As make wants it: relative to the top directory, since names of objects are made from it."""
    return os.path.join("build", "tests", name)


def make(name, targets, *variables):
    """Builds the targets in their own directory. They must appear, and nothing may be said beyond what is done to which file."""
    out = output(name)
    shutil.rmtree(os.path.join(TOP, out), ignore_errors=True)
    command = ["make", "-j2", "OUT=" + out, *variables] + [os.path.join(out, target) for target in targets]
    done = subprocess.run(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          errors="replace")
    cases.log("$ " + " ".join(command))
    cases.log(done.stdout + done.stderr)
    noise = done.stderr.strip() or "\n".join(line for line in done.stdout.splitlines() if "warning" in line.lower())
    cases.expect(done.returncode == 0, "make failed: %s" % first_line(noise))
    cases.expect(not noise, "make was not silent: %s" % first_line(noise))


def first_line(text):
    return text.splitlines()[0] if text else "(it said nothing)"


def gcc():
    make("gcc", ["kernel.elf", "archive.tar", "primer.iso"])


def need_clang():
    if not shutil.which("clang"):
        raise cases.Skipped("clang is not installed")


def clang():
    need_clang()
    make("clang", ["kernel.elf", "archive.tar"], "CC=clang")


def clang_debug():
    need_clang()
    make("clang-debug", ["kernel.elf", "archive.tar"], "CC=clang", "DEBUG=1")


def boots(name, program, **options):
    """What is in that directory runs a program."""
    kernel, archive = (os.path.join(TOP, output(name), file) for file in ("kernel.elf", "archive.tar"))
    if name != "gcc":
        need_clang()
    result = cases.boot(kernel=kernel, archive=archive, cmd=program, **options)
    cases.expect_end(result, "program", 0)
    return result


def gcc_boots():
    result = boots("gcc", "hello there", smp=2)
    cases.expect_end(result, "program", 0, "Hello from Primer!", "there")


def clang_boots():
    result = boots("clang", "hello there", smp=2)
    cases.expect_end(result, "program", 0, "Hello from Primer!", "there")


def clang_tests():
    """Everything of /test, since another compiler orders memory accesses in another way."""
    boots("clang-debug", "/test/all", smp=2, timeout=300)


def same_bytes():
    """The same sources make the same kernel, in whatever directory."""
    files = [os.path.join(TOP, path, "archive.tar") for path in ("build", output("gcc"))]
    contents = []
    for path in files:
        with open(path, "rb") as file:
            contents.append(file.read())
    cases.expect(contents[0] == contents[1], "build/archive.tar is not what a build from nothing makes; is it older?")


def program_headers(path):
    with open(path, "rb") as file:
        data = file.read()
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    return [struct.unpack_from("<IIQQQQQQ", data, offset + size * i) for i in range(count)]


def segments():
    """No part of the kernel, nor of a program, is both writable and executable, and no two parts share a page."""
    build = machines.Machine().file("")
    paths = [os.path.join(build, "kernel.elf")]
    for directory, _, names in os.walk(os.path.join(build, "user", "bin")):
        paths += [os.path.join(directory, name) for name in names]
    cases.expect(len(paths) > 1, "there are no programs in %s" % build)
    for path in paths:
        name = os.path.relpath(path, TOP)
        loaded = [header for header in program_headers(path) if header[0] == PT_LOAD]
        cases.expect(loaded, "%s has nothing to load" % name)
        end = 0
        for _, flags, _, address, _, _, size, _ in loaded:
            cases.expect(flags & (PF_X | PF_W) != PF_X | PF_W, "%s has a segment that is writable and executable" % name)
            cases.expect(address >> 12 >= end, "two segments of %s share a page" % name)
            end = (address + size + 4095) >> 12
        bad_stack = [header for header in program_headers(path) if header[0] == PT_GNU_STACK and header[1] & PF_X]
        cases.expect(not bad_stack, "%s asks for an executable stack" % name)


cases.main([("gcc", gcc), ("gcc-boots", gcc_boots), ("same-archive", same_bytes), ("clang", clang), ("clang-boots", clang_boots),
            ("clang-debug", clang_debug), ("clang-tests", clang_tests), ("segments", segments)])
