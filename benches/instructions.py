#!/usr/bin/env python3
"""Has a request become dearer? Counts the library's instructions for one request of each case of dispatch_bench, and
compares them with benches/instructions.toml: 3 % more fails, and so do 3 % less, since a count that is too high would
hide a later growth. A commit that means to change them writes the file anew.

usage: benches/instructions.py [--record]     exit status 77: this cannot be counted here

Callgrind counts, so that neither the machine nor its load matter; what dispatch_bench spends itself is left out, so that the
C compiler does not either. Which Rust compiler built the library and which C library it calls do matter: they stand in the
file. With others the bounds are the same, only the message says what else may be the cause: to go by this, record with the
new ones in a commit that changes nothing else.
"""

import argparse
import platform
import sys
import tomllib

import build
import dispatch
from context import ROOT
from report import Skipped

RECORD = ROOT / "benches/instructions.toml"
BOUND = 0.03
HEAD = """\
# Instructions of libfuse3.so.3 for one request, by the cases of benches/dispatch_bench.c. Written by `make instructions`;
# `make test` fails when one is 3 % away from it.
"""


def count():
    with build.bench(rounds=1, seconds=0, programs="dispatch_bench") as bench:
        found = {operation: dispatch.instructions(bench, "ours", operation) for operation in dispatch.OPERATIONS}
    return {operation: round(whole - own) for operation, (whole, own) in found.items()}


def built_with():
    return {
        "machine": platform.machine(),
        "rustc": build.first_line("rustc", "--version").removeprefix("rustc "),
        "glibc": platform.libc_ver()[1],
    }


def record(counts):
    lines = [f'{name} = "{value}"' for name, value in built_with().items()]
    lines += ["", "[instructions]", *(f"{operation} = {number}" for operation, number in counts.items())]
    RECORD.write_text(HEAD + "\n".join(lines) + "\n")


def compare(recorded, counts):
    """What is wrong, a line each."""
    old = recorded["instructions"]
    wrong = [f"{operation}: not a case any more" for operation in old.keys() - counts.keys()]
    for operation, number in counts.items():
        if operation not in old:
            wrong.append(f"{operation}: {number} instructions, none recorded")
            continue
        change = number / old[operation] - 1
        print(f"  {operation:12} {number:6} recorded {old[operation]:6} {change:+.1%}")
        if abs(number - old[operation]) > BOUND * old[operation]:
            what = "dearer than it was" if change > 0 else "cheaper than it was, which the file has to say"
            wrong.append(f"{operation}: {old[operation]} -> {number} instructions, {change:+.1%}: {what}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name} anew")
    options = parser.parse_args()
    recorded = tomllib.loads(RECORD.read_text()) if RECORD.exists() else {"instructions": {}}
    if platform.machine() != recorded.get("machine", platform.machine()) and not options.record:
        print(f"instructions: recorded on {recorded['machine']}, this is {platform.machine()}")
        return 77
    try:
        counts = count()
    except Skipped as why:
        print(f"instructions: {why}")
        return 77
    if options.record:
        record(counts)
        print(RECORD.read_text(), end="")
        return 0
    wrong = compare(recorded, counts)
    if wrong:
        print("\n".join(wrong))
        here = built_with()
        others = [
            f"{name} {recorded.get(name)}, here {here[name]}" for name in here if recorded.get(name) != here[name]
        ]
        if others:
            print(f"not recorded with what is here, which may be the cause: {'; '.join(others)}")
        print("if that is meant: `make instructions`, and commit benches/instructions.toml with the change")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
