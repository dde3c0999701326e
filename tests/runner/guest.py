#!/usr/bin/env python3
"""
The test programs of the boot archive (/test, made from tests/user/*.c) in real boots.

  tests/runner/guest.py MODE [PROGRAM...]

A program prints "ok CASE (MS ms)" or "FAIL CASE: reason" for each of its cases, and ends with status 0 if all were right.
/test/all runs all the others in one boot, with "-- PROGRAM" before each.
"""
import os
import re
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
from runner import cases
from primer import machine as machines

ALL = "all"
LIMIT, ALL_LIMIT = 300, 900     # seconds: backstops

# Options that make races likely, on as many CPUs as there are cores to run them at once, and on more.
RACES = {
    "races-delay": ({"debug": True, "smp": 4, "append": "pinit.delay=200"}, True),
    "races-shuffle": ({"debug": True, "smp": 2, "append": "pinit.shuffle"}, True),
    "races-quantum": ({"debug": True, "smp": 2, "append": "quantum=100"}, True),
    "races-together": ({"debug": True, "smp": 4, "append": "pinit.delay=50 pinit.shuffle quantum=100"}, True),
}
# Programs that these make slow, and no more severe: what they are about is not the order in which pages are filled.
NOT_RACY = {"limits", "protection"}

# A million random calls in all three numbers of CPUs; elsewhere the program's own, smaller number.
MILLION_IN = ("1cpu", "2cpu", "4cpu", "release")

# mode: (options for machines.Machine, each program by itself?)
MODES = {
    "1cpu": ({"debug": True, "smp": 1}, True),
    "2cpu": ({"debug": True, "smp": 2}, True),
    "4cpu": ({"debug": True, "smp": 4}, True),
    "release": ({"smp": 2}, True),
    **RACES,
    "inline": ({"debug": True, "smp": 2, "append": "pinit=inline"}, False),
    "iso": ({"iso": True, "smp": 4}, False),
    "uefi": ({"uefi": True, "smp": 4}, False),
    "icount": ({"debug": True, "icount": True}, False),
}

RESULT = re.compile(r"(ok|FAIL|skipped) +(?!(?<=ok )\()([^:]+?)(?: \(\d+ ms\))?(?:: *(.*))?$")
HEADING = re.compile(r"-- (\S+)$")


def programs(debug):
    """The names in /test of the boot archive."""
    path = machines.Machine(debug=debug).file("archive.tar")
    with tarfile.open(path) as archive:
        return sorted(name[5:] for name in archive.getnames() if name.startswith("test/"))


def run_program(program, options, words=None):
    """Boots it (as `words` say, if they do), and hands its results on. How many failed."""
    place = program if program != ALL else ""
    try:
        result = cases.boot(cmd="/test/" + (words or program), timeout=ALL_LIMIT if program == ALL else LIMIT, **options)
    except cases.Failed as failed:
        cases.say("FAIL", place or program, str(failed))
        return 1
    counts, heading = {"ok": 0, "FAIL": 0, "skipped": 0}, ""
    for line in cases.text_of(result).splitlines():
        match = HEADING.match(line)
        if match and program == ALL:
            heading = match[1]
        match = RESULT.match(line)
        if match:
            verdict, case, reason = match.groups()
            counts[verdict] += 1
            cases.say(verdict, "/".join(part for part in (place, heading, case) if part), reason or "")
    wrong = None
    if result.reason != "program":
        wrong = "%s after %r" % (result.message, cases.last_line(result))
    elif result.status != 0 and counts["FAIL"] == 0:
        wrong = "it ended with status %d after %r" % (result.status, cases.last_line(result))
    elif result.status == 0 and counts["FAIL"] > 0:
        wrong = "it ended with status 0 in spite of its failures"
    elif counts["ok"] + counts["FAIL"] == 0:
        wrong = "it printed no result"
    if wrong:
        cases.say("FAIL", "/".join(part for part in (place, "end") if part), wrong)
    return counts["FAIL"] + (wrong is not None)


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in MODES:
        sys.exit("usage: tests/runner/guest.py %s [PROGRAM...]" % "|".join(MODES))
    machines.end_cleanly_on_signals()
    mode, words = sys.argv[1], sys.argv[2:]
    options, one_by_one = MODES[mode]
    if os.environ.get("ACCEL"):
        options["accel"] = os.environ["ACCEL"]
    chosen = [ALL]
    if one_by_one:
        chosen = [program for program in programs(options.get("debug", False))
                  if program != ALL and not (mode in RACES and program in NOT_RACY)]
    failed = sum(run_program(program, options, "fuzz 1000000" if program == "fuzz" and mode in MILLION_IN else None)
                 for program in chosen if not words or program in words)
    sys.exit(1 if failed else 0)


main()
