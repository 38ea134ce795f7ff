"""Counts of instructions and of system calls: the same on a busy machine as on an idle one."""

import re
import shutil

from report import Skipped


def needs(program):
    if not shutil.which(program):
        raise Skipped(f"{program} is not installed")


def instructions(log):
    """The prefix of a command whose instructions `counted` then reads from the log."""
    needs("valgrind")
    return ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log}"]


def system_calls(log):
    needs("strace")
    return ["strace", "-f", "-c", "-o", log]


def counted(log):
    """What the prefix counted, of all processes together."""
    text = log.read_text()
    numbers = re.findall(r"Collected : (\d+)|^100\.00 +[\d.]+ +\d+ +(\d+) .*total$", text, re.M)
    if not numbers:
        raise RuntimeError(f"nothing was counted: {text[-500:]}")
    return sum(int(one or other) for one, other in numbers)


def each(count, times):
    """What one of something costs: count(n) of two runs that differ in n alone, so that start and end cancel out."""
    return (count(2 * times) - count(times)) / times
