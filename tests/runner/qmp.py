"""
Reaching into a machine while it runs: QEMU's own monitor (QMP, a line of JSON each way), and its screen.

    with Live(cmd="spin", smp=2) as live:
        live.wait_for("up")
        live.command("human-monitor-command", **{"command-line": "nmi"})
        result = live.result()
"""
import json
import os
import shutil
import socket
import tempfile
import threading
import time

from primer import machine as machines

from . import cases


class Live:
    """A machine that runs in a thread of its own, booted with the options of machines.Machine."""
    def __init__(self, **options):
        options.setdefault("timeout", cases.BACKSTOP)
        self._directory = tempfile.mkdtemp(prefix="primer-qmp-")
        self._socket_path = os.path.join(self._directory, "qmp")
        options["qemu"] = options.get("qemu", []) + ["-qmp", "unix:%s,server=on,wait=off" % self._socket_path]
        self._machine = machines.Machine(**options)
        self._said = b""                                # only the machine's thread adds to it
        self._result = self._error = self._lines = None
        self._thread = threading.Thread(target=self._run)
        cases.log("-- boot " + " ".join("%s=%r" % item for item in options.items()))

    def _run(self):
        try:
            self._result = machines.run(self._machine, self)
        except machines.MachineError as error:
            self._error = error

    # What machines.run() does with its sink.
    def write(self, data):
        self._said += data

    def flush(self):
        pass

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        try:
            if self._thread.is_alive():
                self.command("quit")
        except (OSError, ValueError, cases.Failed):
            pass                                        # it ends by itself, or by its time limit
        self._thread.join()
        shutil.rmtree(self._directory, ignore_errors=True)

    def wait_for(self, text, seconds=60):
        """Returns when the console has said `text`."""
        until = time.monotonic() + seconds
        while text.encode() not in self._said:
            if not self._thread.is_alive() and text.encode() not in self._said:
                raise cases.Failed("the machine ended before it said %r" % text)
            if time.monotonic() > until:
                raise cases.Failed("the machine has not said %r within %d seconds" % (text, seconds))
            time.sleep(0.02)

    def command(self, name, **arguments):
        """One command of QMP; what it returns."""
        if self._lines is None:
            self._connect()
            self.command("qmp_capabilities")
        self._lines.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self._lines.flush()
        while True:
            line = self._lines.readline()
            if not line:
                raise cases.Failed("QEMU closed its monitor after %s" % name)
            answer = json.loads(line)
            if "error" in answer:
                raise cases.Failed("QEMU refused %s: %s" % (name, answer["error"].get("desc")))
            if "return" in answer:
                return answer["return"]

    def _connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        until = time.monotonic() + 30
        while True:
            try:
                connection.connect(self._socket_path)
                break
            except OSError:
                if time.monotonic() > until or not self._thread.is_alive():
                    connection.close()
                    raise
                time.sleep(0.05)
        self._lines = connection.makefile("rw")
        connection.close()                              # the file keeps it open
        self._lines.readline()                          # the greeting

    def scratch(self, name):
        """A path for a file that is gone when the machine is."""
        return os.path.join(self._directory, name)

    def screen(self):
        """The screen as (width, height, bytes: red, green, blue of each pixel)."""
        path = self.scratch("screen.ppm")
        self.command("screendump", filename=path)
        with open(path, "rb") as file:
            magic, width, height, most, pixels = file.read().split(None, 4)
        if magic != b"P6" or most != b"255":
            raise cases.Failed("QEMU's picture of the screen is not understood")
        return int(width), int(height), pixels[-3 * int(width) * int(height):]

    def result(self):
        """Waits until it has ended."""
        self._thread.join()
        if self._error:
            raise cases.Failed("the machine cannot be started: %s" % self._error)
        cases.log(cases.text_of(self._result))
        cases.log("-- %s, status %d, %.1f s %s" % (self._result.reason, self._result.status, self._result.seconds,
                                                  self._result.message))
        return self._result
