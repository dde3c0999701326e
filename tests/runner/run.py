"""Runs suites side by side, passes their results on and adds them up."""
import os
import re
import signal
import subprocess
import threading
import time

from . import TOP

LOGS = os.path.join(TOP, "build", "test-logs")
TAIL = 40                       # lines of a failed suite's log that are printed
RESULT = re.compile(r"(ok|FAIL|skipped) +([^:]+)(?:: *(.*))?$")

# `make test` hands these on to what it starts. A suite says itself what it builds and boots.
NOT_FOR_SUITES = ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "DEBUG", "SMP", "MEM", "UEFI", "DISPLAY_WINDOW", "APPEND"]


class Outcome:
    """Of one suite. Written by its own thread, read when that has ended."""
    def __init__(self, suite):
        self.suite = suite
        self.counts = {"ok": 0, "FAIL": 0, "skipped": 0}
        self.seconds = 0.0
        self.log = os.path.join(LOGS, suite.name + ".log")


class Runner:
    def __init__(self, chosen):
        self._lock = threading.Lock()       # protects what follows, and lines on the terminal
        self._waiting = list(chosen)
        self._running = set()
        self._stopped = False

    def _say(self, line):
        with self._lock:
            print(line, flush=True)

    def _result(self, outcome, verdict, case, reason):
        outcome.counts[verdict] += 1
        self._say("%s %s/%s%s" % (verdict, outcome.suite.name, case, ": " + reason if reason else ""))

    def _start(self, suite):
        """The suite's process, in a process group of its own, which also holds what it starts."""
        environment = {name: value for name, value in os.environ.items() if name not in NOT_FOR_SUITES}
        with self._lock:
            if self._stopped:
                raise OSError("interrupted")
            process = subprocess.Popen(suite.command, cwd=TOP, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
            self._running.add(process)
        return process

    def _run(self, outcome):
        suite, start = outcome.suite, time.monotonic()
        with open(outcome.log, "w") as log:
            try:
                process = self._start(suite)
            except OSError as error:
                log.write("%s\n" % error)
                self._result(outcome, "FAIL", "start", str(error))
                return
            expired = threading.Event()

            def give_up():
                expired.set()
                end_group(process)

            backstop = threading.Timer(suite.limit, give_up)
            backstop.start()
            try:
                for line in process.stdout:
                    log.write(line)
                    match = RESULT.match(line.rstrip("\n"))
                    if match:
                        self._result(outcome, *match.groups())
                status = process.wait()
            finally:
                backstop.cancel()
                end_group(process)
                with self._lock:
                    self._running.discard(process)
        outcome.seconds = time.monotonic() - start
        if expired.is_set():
            self._result(outcome, "FAIL", "suite", "it had not ended after %d seconds" % suite.limit)
        elif status != 0 and outcome.counts["FAIL"] == 0:
            self._result(outcome, "FAIL", "suite", "it ended with status %d" % status)
        elif not any(outcome.counts.values()):
            self._result(outcome, "FAIL", "suite", "it printed no result")
        self._say("-- %s: %d passed, %d failed in %.1f s" % (suite.name, outcome.counts["ok"], outcome.counts["FAIL"],
                                                            outcome.seconds))

    def work(self, outcomes):
        """Takes suites and runs them until there are none left; one thread for each job does this."""
        while True:
            with self._lock:
                if not self._waiting or self._stopped:
                    return
                outcome = Outcome(self._waiting.pop(0))
                outcomes.append(outcome)
            try:
                self._run(outcome)
            except Exception as error:          # lost results are failures, whatever the reason
                self._result(outcome, "FAIL", "suite", "the runner failed: %s" % error)

    def stop(self):
        """Ends what runs: for Ctrl-C."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            end_group(process)


def end_group(process):
    """Ends a suite and all it has started, and gives them a moment to clean up. Nothing happens if they have ended."""
    for number, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 0)):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            return
        until = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)


def print_tails(outcomes):
    for outcome in outcomes:
        if outcome.counts["FAIL"] == 0:
            continue
        with open(outcome.log, errors="replace") as file:
            lines = file.read().splitlines()
        print("\n==== %s: the end of %s" % (outcome.suite.name, os.path.relpath(outcome.log, TOP)))
        for line in lines[-TAIL:]:
            print("    " + line)


def print_summary(outcomes, seconds):
    """Returns the exit status."""
    totals = {verdict: sum(outcome.counts[verdict] for outcome in outcomes) for verdict in ("ok", "FAIL", "skipped")}
    print()
    for outcome in sorted(outcomes, key=lambda outcome: -outcome.seconds):
        print("%7.1f s  %-20s %4d passed, %d failed" % (outcome.seconds, outcome.suite.name, outcome.counts["ok"],
                                                       outcome.counts["FAIL"]))
    print("%7.1f s  in all" % seconds)
    if totals["skipped"]:
        print("%d skipped" % totals["skipped"])
    print("%d passed, %d failed" % (totals["ok"], totals["FAIL"]), flush=True)
    return 0 if totals["ok"] > 0 and totals["FAIL"] == 0 else 1


def _raise_interrupt(*_):
    raise KeyboardInterrupt


def run_all(chosen, jobs):
    """Runs the suites, `jobs` at a time, and prints everything; the exit status."""
    signal.signal(signal.SIGTERM, _raise_interrupt)
    os.makedirs(LOGS, exist_ok=True)
    runner, outcomes, start = Runner(chosen), [], time.monotonic()
    workers = [threading.Thread(target=runner.work, args=(outcomes,)) for _ in range(jobs)]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            worker.join()
    except KeyboardInterrupt:
        runner.stop()
        raise
    print_tails(outcomes)
    return print_summary(outcomes, time.monotonic() - start)
