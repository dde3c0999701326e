"""What `make test` is made of: run-all starts suites, each a program of its own that prints a line for each case."""
import os
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
TOP = os.path.dirname(TESTS)
sys.path.insert(0, os.path.join(TOP, "tools"))          # for `from primer import machine`
