"""
One machine: boots Primer in QEMU, passes its console on as it comes, and finds out how it ended.

    machine = Machine(cmd="/test/fork", smp=4, timeout=60)
    result = run(machine)               # result.status, .reason, .console, .message, .trace()

Guest RAM is a file, so what the kernel left at `exit_record` and `trace_header` is read from it after QEMU has ended. QEMU's
own exit code only says that the guest wrote to isa-debug-exit; 0 is a reset or a power-off, and never a success.
"""
import dataclasses
import os
import re
import selectors
import shutil
import signal
import struct
import subprocess
import tempfile
import time

from . import archive, elf, iso, trace

TOP = iso.TOP
KERNEL_BASE = 0xffffffff80000000
BELOW_4G = 2 << 30              # RAM that QEMU puts below the PCI hole; the rest starts at 4 GiB
EXIT_MAGIC = b"PRIMEXIT"
EXIT_PROGRAM = 1                # enum exit_reason
QEMU_PROGRAM, QEMU_FAILED = 33, 35
STATUS_TIMEOUT, STATUS_PANIC = 124, 125
OVMF = ["/usr/share/OVMF/OVMF_%s_4M.fd", "/usr/share/OVMF/OVMF_%s.fd", "/usr/share/edk2/ovmf/OVMF_%s.fd",
        "/usr/share/edk2/x64/OVMF_%s.4m.fd", "/usr/share/edk2-ovmf/x64/OVMF_%s.fd"]


class MachineError(Exception):
    """The machine cannot be started as asked; the text says why."""


@dataclasses.dataclass
class Machine:
    cmd: str = ""               # program and arguments, for init
    append: str = ""            # more words for the kernel command line
    roots: list = dataclasses.field(default_factory=list)   # directories whose files are added to the archive
    smp: int = 1
    mem: str = "256M"
    timeout: float = None       # seconds of the host's time; None: no limit
    icount: bool = False        # one instruction is one nanosecond: the same on every run
    iso: bool = False           # boot the ISO image by GRUB, not the kernel directly
    uefi: bool = False          # the same by UEFI
    debug: bool = False         # what DEBUG=1 has built
    kernel: str = None          # other files than the ones in build/
    archive: str = None         # "": none at all
    cpu: str = "max"
    accel: str = "tcg"
    display: bool = False       # a window
    interactive: bool = False   # the serial line is this terminal
    input: bytes = b""          # sent to the serial line from the start, unless interactive
    exit_device: bool = True    # without it a machine that ends only halts, as a real one does
    qemu: list = dataclasses.field(default_factory=list)    # more arguments for QEMU

    def file(self, name):
        return os.path.join(TOP, "build", "debug" if self.debug else "", name)


@dataclasses.dataclass
class Result:
    status: int                 # what tools/run exits with
    reason: str                 # "program", "panic", "reset", "timeout", "quit", "qemu"
    message: str                # for the user; "" if the program ended by itself
    console: bytes              # all that the machine said; empty if interactive
    seconds: float              # of the host's time
    traced: tuple = None        # (tsc_hz, lost, raw events), if there was a trace

    def trace(self):
        """The events as trace.Trace; TraceError if the machine left none."""
        if self.traced is None:
            raise trace.TraceError("the machine left no trace")
        tsc_hz, lost, raw = self.traced
        return trace.Trace(tsc_hz, lost, trace.decode(raw))


def parse_size(text):
    match = re.fullmatch(r"(\d+)([MG])", text.upper())
    if not match or int(match[1]) == 0:
        raise MachineError("a memory size is a number with M or G, such as 256M; not %r" % text)
    return int(match[1]) << {"M": 20, "G": 30}[match[2]]


def command_line(machine):
    """The kernel command line; cmd= takes all that follows, so it comes last."""
    return " ".join(word for word in [machine.append, "cmd=" + machine.cmd if machine.cmd else ""] if word)


def find_qemu():
    qemu = shutil.which("qemu-system-x86_64")
    if not qemu:
        raise MachineError("qemu-system-x86_64 is not installed; `make deps` installs it, or says how")
    return qemu


def _ram_file(directory, size):
    """A path for guest RAM: in memory if there is room, else in `directory`. QEMU makes the file, sparse."""
    try:
        room = os.statvfs("/dev/shm")
        if room.f_bavail * room.f_frsize > size and os.access("/dev/shm", os.W_OK):
            handle, path = tempfile.mkstemp(prefix="primer-ram-", dir="/dev/shm")
            os.close(handle)
            return path
    except OSError:
        pass
    return os.path.join(directory, "ram")


def _firmware(directory):
    """UEFI for QEMU: its code, and a copy of its variables that may be written."""
    for pattern in OVMF:
        if os.path.exists(pattern % "CODE"):
            variables = shutil.copy(pattern % "VARS", os.path.join(directory, "vars.fd"))
            return ["-drive", "if=pflash,format=raw,readonly=on,file=" + pattern % "CODE",
                    "-drive", "if=pflash,format=raw,file=" + variables]
    raise MachineError("no UEFI firmware (OVMF) found; `make deps` installs it, or says how")


def _boot_files(machine, directory):
    """(kernel for its symbols, QEMU arguments that boot it)."""
    kernel = machine.kernel or machine.file("kernel.elf")
    packed = machine.file("archive.tar") if machine.archive is None else machine.archive
    if not packed and (machine.iso or machine.uefi or machine.roots):
        raise MachineError("a machine without a boot archive is booted directly, and without --root")
    for path in filter(None, (kernel, packed)):
        if not os.path.isfile(path):
            raise MachineError("%s is not there; `make%s` builds it" % (path, " DEBUG=1" if machine.debug else ""))
    line = command_line(machine)
    if "\n" in line:
        raise MachineError("a kernel command line is one line")
    if machine.roots:
        base, packed = packed, os.path.join(directory, "archive.tar")
        archive.write(packed, {}, machine.roots, base)
    if not (machine.iso or machine.uefi):
        modules = ["-initrd", packed] if packed else []
        return kernel, ["-kernel", kernel] + modules + (["-append", line] if line else [])
    image = machine.file("primer.iso")
    if line or machine.roots or machine.kernel or machine.archive or not os.path.isfile(image):
        image = os.path.join(directory, "primer.iso")
        iso.write(image, kernel, packed, line)
    return kernel, ["-cdrom", image, "-boot", "d"] + (_firmware(directory) if machine.uefi else [])


def _arguments(machine, directory, ram, log):
    size = parse_size(machine.mem)
    kernel, boot = _boot_files(machine, directory)
    arguments = [
        find_qemu(), "-machine", "q35,memory-backend=ram,max-ram-below-4g=%d" % BELOW_4G,
        "-object", "memory-backend-file,id=ram,share=on,size=%d,mem-path=%s" % (size, ram),
        "-m", "%dM" % (size >> 20), "-smp", str(machine.smp), "-cpu", machine.cpu, "-accel", machine.accel,
        "-serial", "mon:stdio" if machine.interactive else "stdio", "-nic", "none", "-no-reboot",
        "-d", "cpu_reset", "-D", log]
    if machine.exit_device:
        arguments += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    if not machine.interactive:
        arguments += ["-monitor", "none"]
    if not machine.display:
        arguments += ["-display", "none"]
    if machine.icount:
        arguments += ["-icount", "shift=0,sleep=off"]
    return kernel, arguments + boot + machine.qemu


def _stop(qemu, machine):
    """Ends the QEMU that run() started, if it still runs."""
    if qemu.poll() is None and machine.interactive:
        qemu.terminate()                # so that it puts the terminal's settings back
        try:
            qemu.wait(2)
        except subprocess.TimeoutExpired:
            pass
    if qemu.poll() is None:
        qemu.kill()
        qemu.wait()


def _wait(qemu, machine, sink):
    """Passes the console on until QEMU closes it. (what it said, whether the time ran out)."""
    if machine.interactive:
        try:
            qemu.wait(machine.timeout)
        except subprocess.TimeoutExpired:
            return b"", True
        return b"", False
    deadline = None if machine.timeout is None else time.monotonic() + machine.timeout
    said, to_send = [], machine.input
    with selectors.DefaultSelector() as selector:
        selector.register(qemu.stdout, selectors.EVENT_READ)
        if to_send:
            selector.register(qemu.stdin, selectors.EVENT_WRITE)
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return b"".join(said), True
            for key, _ in selector.select(left):
                if key.fileobj is qemu.stdin:
                    try:
                        to_send = to_send[os.write(key.fd, to_send):]
                    except BrokenPipeError:
                        to_send = b""
                    if not to_send:
                        selector.unregister(qemu.stdin)
                    continue
                data = os.read(key.fd, 65536)
                if not data:
                    qemu.wait()
                    return b"".join(said), False
                said.append(data)
                if sink:
                    sink.write(data)
                    sink.flush()


def _judge(machine, code, timed_out, memory, symbols, log):
    """(status, reason, message) from QEMU's exit code and what the kernel left in memory."""
    if timed_out:
        return STATUS_TIMEOUT, "timeout", "the machine had not ended after %g seconds" % machine.timeout
    if code == QEMU_PROGRAM:
        magic, reason, status = struct.unpack("<8sQQ", memory(symbols.symbol("exit_record") - KERNEL_BASE, 24))
        if magic == EXIT_MAGIC and reason == EXIT_PROGRAM and status <= 255:
            return status, "program", ""
        return STATUS_PANIC, "panic", "the machine ended without a valid exit record"
    if code == QEMU_FAILED:
        return STATUS_PANIC, "panic", "the kernel stopped the machine; the console says why"
    if code == 0:
        with open(log, errors="replace") as file:
            triple = "Triple fault" in file.read()
        if machine.interactive and not triple:
            return 0, "quit", ""
        return STATUS_PANIC, "reset", "the machine reset (%s)" % ("triple fault" if triple else "triple fault?")
    if code < 0:
        return STATUS_PANIC, "qemu", "QEMU was ended by signal %d" % -code
    return STATUS_PANIC, "qemu", "QEMU could not run the machine (it exited with %d)" % code


def _guest_memory(file, size):
    def memory(address, length):
        """Bytes of guest RAM at a physical address."""
        offset = address if address < BELOW_4G else address - (4 << 30) + BELOW_4G
        if (BELOW_4G <= address < 4 << 30) or offset + length > size:
            raise trace.TraceError("physical address %#x is not in the machine's memory" % address)
        file.seek(offset)
        return file.read(length)
    return memory


def _raise_interrupt(number, _):
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


def run(machine, sink=None):
    """Boots `machine`, writes its console to the binary file `sink` as it comes, and returns a Result when it has ended."""
    directory = tempfile.mkdtemp(prefix="primer-")
    ram = None
    try:
        ram = _ram_file(directory, parse_size(machine.mem))
        log = os.path.join(directory, "qemu.log")
        kernel, arguments = _arguments(machine, directory, ram, log)
        symbols = elf.Elf(kernel)
        start = time.monotonic()
        pipes = {}
        if not machine.interactive:
            pipes = {"stdin": subprocess.PIPE if machine.input else subprocess.DEVNULL, "stdout": subprocess.PIPE}
        qemu = subprocess.Popen(arguments, bufsize=0, **pipes)
        try:
            said, timed_out = _wait(qemu, machine, sink)
        finally:
            _stop(qemu, machine)
            for pipe in (qemu.stdin, qemu.stdout):
                if pipe:
                    pipe.close()
        seconds = time.monotonic() - start
        with open(ram, "rb") as file:
            memory = _guest_memory(file, parse_size(machine.mem))
            status, reason, message = _judge(machine, qemu.returncode, timed_out, memory, symbols, log)
            try:
                traced = trace.from_memory(memory, symbols.symbol("trace_header") - KERNEL_BASE)
            except (trace.TraceError, elf.ElfError, struct.error):
                traced = None
        return Result(status, reason, message, said, seconds, traced)
    except (archive.ArchiveError, iso.IsoError, elf.ElfError, OSError) as error:
        raise MachineError(str(error)) from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        if ram and os.path.exists(ram):
            os.unlink(ram)


def end_cleanly_on_signals():
    """For scripts: SIGTERM and SIGHUP end this program through its `finally`s, and so QEMU too, as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _raise_interrupt)
