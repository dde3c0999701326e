"""
For suites written in Python: cases are functions that return, or raise Failed with the reason.

A suite prints "ok CASE", "FAIL CASE: reason" or "skipped CASE: reason" for each, which is what run-all reads. Everything else
is for the log, and indented, so that no console's text is taken for a result.
"""
import sys
import traceback

from primer import machine as machines

BACKSTOP = 120      # seconds for one boot; nothing here takes more than a tenth of that on an idle computer


class Failed(Exception):
    """The case failed; the text says why, in one line."""


class Skipped(Exception):
    """The case cannot be run here; the text says why. It counts as neither passed nor failed."""


def expect(condition, reason):
    if not condition:
        raise Failed(reason)


def log(text):
    """For the log, and for whoever runs the suite by hand."""
    for line in text.splitlines() or [""]:
        print("  | " + line, flush=True)


def boot(**options):
    """One boot as machines.Machine takes it; console and outcome go to the log. A machines.Result."""
    options.setdefault("timeout", BACKSTOP)
    log("-- boot " + " ".join("%s=%r" % item for item in options.items()))
    try:
        result = machines.run(machines.Machine(**options))
    except machines.MachineError as error:
        raise Failed("the machine cannot be started: %s" % error) from error
    log(text_of(result))
    log("-- %s, status %d, %.1f s %s" % (result.reason, result.status, result.seconds, result.message))
    return result


def text_of(result):
    return result.console.decode(errors="replace").replace("\r", "")


def expect_end(result, reason, status, *texts):
    """It ended like that, and its console has each of the texts."""
    expect(result.reason == reason, "ended by %s instead of %s: %s" % (result.reason, reason, last_line(result)))
    expect(result.status == status, "status %d instead of %d: %s" % (result.status, status, last_line(result)))
    for text in texts:
        expect(text in text_of(result), "the console lacks %r: %s" % (text, last_line(result)))


def last_line(result):
    lines = [line for line in text_of(result).splitlines() if line.strip()]
    return lines[-1].strip() if lines else "(it said nothing)"


def say(verdict, case, reason=""):
    """A result, for run-all. The reason is made to be one line."""
    print("%s %s%s" % (verdict, case, ": " + " ".join(reason.split()) if reason else ""), flush=True)


def run_one(name, function):
    """Runs and reports it. False: it failed."""
    try:
        function()
    except Failed as failed:
        say("FAIL", name, str(failed))
        return False
    except Skipped as skipped:
        say("skipped", name, str(skipped))
        return True
    except Exception as error:                      # a defect of the test is a failure too, not the end of the suite
        log(traceback.format_exc())
        say("FAIL", name, "%s: %s" % (type(error).__name__, error))
        return False
    say("ok", name)
    return True


def main(cases):
    """
    Runs [(name, function)]; words on the command line pick those whose name contains one of them. Ends the program: 0 if none
    failed.
    """
    machines.end_cleanly_on_signals()
    words = sys.argv[1:]
    chosen = [(name, function) for name, function in cases if not words or any(word in name for word in words)]
    if not chosen:
        sys.exit("no such case; there are: " + " ".join(name for name, _ in cases))
    results = [run_one(name, function) for name, function in chosen]
    sys.exit(0 if all(results) else 1)
