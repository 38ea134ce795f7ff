"""Counts of instructions and of system calls: the same on a busy machine as on an idle one."""

import re
import shutil
from collections import Counter
from pathlib import Path

from report import Skipped


def needs(program):
    if not shutil.which(program):
        raise Skipped(f"{program} is not installed")


def instructions(log):
    """The prefix of a command whose instructions `counted` then reads from the log."""
    needs("valgrind")
    return ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log}"]


def by_object(bench, command, library):
    """The instructions of a run, by the file that they are in (the program, each library); "" is all of them."""
    needs("valgrind")
    profile = bench.programs / "profile"
    bench.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", *command], library)
    names, current, inclusive, counts = {}, None, False, Counter()
    for line in profile.read_text().splitlines():
        if match := re.match(r"c?ob=(\(\d+\))(?: (.*))?", line):
            number, name = match.groups()
            names[number] = Path(name).name if name else names[number]
            current = current if line.startswith("c") else names[number]
        elif line.startswith("calls="):
            inclusive = True  # the next line is what the callee took, which is counted where it stands
        elif re.match(r"[\d+*-]", line):
            counts[current] += 0 if inclusive else int(line.split()[1])
            inclusive = False
    counts[""] = counts.total()
    return counts


def system_calls(log, only="all"):
    """The prefix for system calls; `only` names those that count, as strace does."""
    needs("strace")
    return ["strace", "-f", "-c", "-e", f"trace={only}", "-o", log]


def transfers(log):
    """The prefix for those system calls that data goes through, as to and from a device."""
    return system_calls(log, "read,readv,write,writev,splice,vmsplice,tee")


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
