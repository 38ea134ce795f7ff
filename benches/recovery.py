#!/usr/bin/env python3
"""What the journal of requests in flight costs: the same daemon, declared recoverable and not, on real mounts.

Instructions and system calls of the daemon for one call of an application, as the difference of two runs, so that start
and end cancel out. usage: benches/recovery.py [--calls N]
"""

import argparse
import contextlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

from run import OURS, compile_all, mounted

CALLS = {
    "stat (GETATTR)": "for _ in range(n): os.fstat(f)",
    "create (CREATE, FLUSH, RELEASE)": "for _ in range(n): os.close(os.open('new', os.O_CREAT | os.O_WRONLY))",
    "unlink (LOOKUP, UNLINK)": "for _ in range(n): os.unlink('f')",
    "pwrite 4k (WRITE)": "for _ in range(n): os.pwrite(f, b'x' * 4096, 0)",
}


def make_calls(mountpoint, body, count):
    program = f"import os\nf = os.open('f', os.O_RDWR)\nn = {count}\n{body}"
    subprocess.run(["python3", "-I", "-c", program], cwd=mountpoint, check=True, timeout=120)


@contextlib.contextmanager
def recoverable(on):
    os.environ.update({"BENCH_RECOVERABLE": "1"} if on else {})
    yield
    os.environ.pop("BENCH_RECOVERABLE", None)


def count(folder, on, body, calls, tool, pattern):
    """What `tool` counts of a daemon that serves so many calls."""
    log = folder / "counted"
    log.write_text("")
    command = [*tool(log), folder / "bench_ll", folder / "mnt", "-f", "-s"]
    with recoverable(on), mounted(command, folder / "mnt", OURS):
        make_calls(folder / "mnt", body, calls)
    return sum(int(number) for number in re.findall(pattern, log.read_text(), re.M))


def instructions(log):
    return ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log}"]


def system_calls(log):
    return ["strace", "-f", "-c", "-o", log]


def each(folder, on, body, calls, tool, pattern):
    counted = [count(folder, on, body, n * calls, tool, pattern) for n in (1, 2)]
    return (counted[1] - counted[0]) / calls


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000)
    calls = parser.parse_args().calls
    with tempfile.TemporaryDirectory(prefix="fusewire-bench-") as folder:
        folder = Path(folder)
        (folder / "mnt").mkdir()
        compile_all(folder)
        print("\nthe journal: the daemon's instructions and system calls for one call, recoverable / not")
        for name, body in CALLS.items():
            cells = []
            for tool, pattern in ((instructions, r"Collected : (\d+)"), (system_calls, r"^100\.00 +[\d.]+ +\d+ +(\d+) .*total$")):
                plain, kept = (each(folder, on, body, calls, tool, pattern) for on in (False, True))
                cells.append(f"{kept:8.1f} / {plain:8.1f}")
            print(f"  {name:34}" + "   ".join(cells))


if __name__ == "__main__":
    main()
