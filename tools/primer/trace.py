"""
The event trace outside the machine: read() for a file that `tools/run --trace FILE` wrote, from_memory() for guest RAM.

The file: "PRIMTRF1", tsc_hz, the number of CPUs, for each CPU how many events its ring has lost (all 64-bit, little-endian); then
the events of all CPUs in order of time, 32 bytes each, as struct primer_event (kernel/abi.h) has them.
"""
import collections
import os
import re
import struct

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
FILE_MAGIC = b"PRIMTRF1"
HEADER_MAGIC = b"PRIMTRC1"
EVENT_SIZE = 32
MAX_CPUS = 64

# page: the page's number (address >> 12); kind: a name of PRIMER_EVENTS, such as "FAULT".
Event = collections.namedtuple("Event", "time page flags cpu kind thread task frame other")
# lost: for each CPU, the events that were overwritten before the machine ended.
Trace = collections.namedtuple("Trace", "tsc_hz lost events")


class TraceError(Exception):
    pass


def kinds():
    """{number: (name, description)} from kernel/abi.h, which is the only list of them."""
    with open(os.path.join(TOP, "kernel", "abi.h")) as file:
        events = file.read().partition("PRIMER_EVENTS")[2]
    found = re.findall(r'^\s*X\((\d+),\s*([A-Z_]+),\s*"([^"]*)"\)', events, re.MULTILINE)
    return {int(number): (name, text) for number, name, text in found}


def decode(raw, names=None):
    """The events in `raw`, a multiple of 32 bytes."""
    names = names or kinds()
    events = []
    for time, word, thread, task, frame, other in struct.iter_unpack("<QQIIII", raw):
        kind = word >> 56
        events.append(Event(time, word & 0xffffffffff, word >> 40 & 0xff, word >> 48 & 0xff,
                            names[kind][0] if kind in names else str(kind), thread, task, frame, other))
    return events


def read(path):
    """The trace in a file of `tools/run --trace`."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        if data[:8] != FILE_MAGIC:
            raise TraceError("%s is not a trace of tools/run" % path)
        tsc_hz, cpus = struct.unpack_from("<QQ", data, 8)
        lost = list(struct.unpack_from("<%dQ" % min(cpus, MAX_CPUS), data, 24))
        return Trace(tsc_hz, lost, decode(data[24 + 8 * cpus:]))
    except struct.error as error:
        raise TraceError("%s is cut short: %s" % (path, error)) from error


def from_memory(memory, header_address):
    """
    (tsc_hz, lost, raw events in order of time) out of the RAM of a machine that has ended. `memory(address, len)` reads it;
    `header_address` is the physical address of the kernel's trace_header.
    """
    magic, tsc_hz, ring_events, cpus = struct.unpack("<8sQQQ", memory(header_address, 32))
    if magic != HEADER_MAGIC:
        raise TraceError("the machine ended before it had a trace")
    if cpus > MAX_CPUS or ring_events == 0 or ring_events & (ring_events - 1):
        raise TraceError("the machine's trace header is damaged: %d CPUs, %d events" % (cpus, ring_events))
    lost, events = [], []
    for cpu in range(cpus):
        ring_address, head = struct.unpack("<QQ", memory(header_address + 32 + 16 * cpu, 16))
        kept = min(head, ring_events)
        lost.append(head - kept)
        if kept == 0:
            continue
        ring = memory(ring_address, ring_events * EVENT_SIZE)
        first = (head - kept) % ring_events * EVENT_SIZE
        ring = (ring[first:] + ring[:first])[:kept * EVENT_SIZE]
        events += [ring[at:at + EVENT_SIZE] for at in range(0, len(ring), EVENT_SIZE)]
    events.sort(key=lambda event: event[:8][::-1])      # stable: ties keep the order of CPU and ring
    return tsc_hz, lost, b"".join(events)


def write(path, tsc_hz, lost, raw):
    with open(path, "wb") as file:
        file.write(FILE_MAGIC + struct.pack("<QQ", tsc_hz, len(lost)) + struct.pack("<%dQ" % len(lost), *lost) + raw)
