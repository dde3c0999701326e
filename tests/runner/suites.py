"""The list of suites: what `make test` runs, in this order. The long ones come first, so that the two cores end together."""
import collections
import os

from . import TESTS, TOP

# name; command, run in the top directory; seconds after which it is given up, a backstop many times what it takes.
Suite = collections.namedtuple("Suite", "name command limit")

LIMIT = 1800


def _script(name, path, *words, limit=LIMIT):
    return Suite(name, [os.path.join(TESTS, path)] + list(words), limit)


SUITES = [
    _script("guest-races-delay", "runner/guest.py", "races-delay"),
    _script("guest-races-together", "runner/guest.py", "races-together"),
    _script("guest-races-quantum", "runner/guest.py", "races-quantum"),
    _script("guest-races-shuffle", "runner/guest.py", "races-shuffle"),
    _script("guest-1cpu", "runner/guest.py", "1cpu"),
    _script("guest-2cpu", "runner/guest.py", "2cpu"),
    _script("guest-4cpu", "runner/guest.py", "4cpu"),
    _script("guest-release", "runner/guest.py", "release"),
    _script("breaks", "breaks/run"),
    _script("build", "runner/build.py"),
    _script("model", "model/run"),
    _script("guest-inline", "runner/guest.py", "inline"),
    _script("guest-icount", "runner/guest.py", "icount"),
    _script("guest-iso", "runner/guest.py", "iso"),
    _script("guest-uefi", "runner/guest.py", "uefi"),
    Suite("host", ["make", "-s", "-C", os.path.join(TESTS, "host"), "OUT=" + os.path.join(TOP, "build", "tests", "host"), "run"],
          LIMIT),
    _script("claims", "runner/claims.py"),
    _script("claims-checker", "claims/run"),
    _script("gdb", "gdb/run"),
    _script("boot", "boot/run"),
    _script("console", "console/run"),
    _script("rules", "runner/rules.py"),
    _script("docs", "docs/check"),
]


def choose(words):
    """The suites that the words name, all without any: "guest" stands for guest-1cpu and so on. ValueError: nothing has that name."""
    for word in words:
        if not any(_is_named(suite, word) for suite in SUITES):
            raise ValueError("there is no suite %s; --list lists them" % word)
    return [suite for suite in SUITES if not words or any(_is_named(suite, word) for word in words)]


def _is_named(suite, word):
    return suite.name == word or suite.name.startswith(word + "-")
