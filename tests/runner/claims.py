#!/usr/bin/env python3
"""`make claims` finds its evidence, and only where there is some: with pinit=inline no second thread fills a page."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
from runner import TOP, cases


def claims(**environment):
    """(exit status, output) of tools/claims."""
    done = subprocess.run([os.path.join(TOP, "tools", "claims")], cwd=TOP, env={**os.environ, **environment},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          timeout=300)
    cases.log(done.stdout)
    return done.returncode, done.stdout


def worker():
    status, _ = claims()
    cases.expect(status == 0, "tools/claims ended with status %d" % status)


def inline():
    """It has to run, find evidence for some claims, and miss it for others: to fail for any other reason is no proof."""
    status, output = claims(APPEND="pinit=inline")
    cases.expect(status == 1, "tools/claims ended with status %d on a kernel with pinit=inline, not 1" % status)
    cases.expect("Traceback" not in output, "tools/claims crashed")


cases.main([("worker", worker), ("inline", inline)])
