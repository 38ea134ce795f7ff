#!/usr/bin/env python3
"""Compares this library with the system's libfuse and with a bare read/writev loop, side by side.

Every figure is the median of interleaved rounds, every claim a ratio of two of them: machines differ, and so do
minutes. The same binary runs on both libraries. usage: benches/run.py [--rounds N] [--seconds S]
"""

import argparse
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
OURS = Path(os.environ.get("FUSEWIRE_LIBDIR", HERE.parent / "target/release"))
OPERATIONS = ["getattr", "lookup", "read4k", "write4k", "forget"]
LOADS = [("stat", 1), ("read4k", 1), ("read4k", 4), ("create", 1)]


def compile_all(folder):
    """The programs, linked with the system's library: libfuse3.so.3."""
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "fuse3"], text=True).split()
    for source in HERE.glob("*.c"):
        subprocess.run(["cc", "-O2", "-w", "-o", folder / source.stem, source, *flags, "-lpthread"], check=True)


def environment(library):
    """For a child that is to run on a library; None is the system's."""
    env = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    return env | ({"LD_LIBRARY_PATH": str(library)} if library else {})


def dispatch(folder, library, operation, threads):
    """Nanoseconds for one request inside the library."""
    command = [folder / "dispatch_bench", operation, "1000000", str(threads)]
    out = subprocess.check_output(command, env=environment(library), text=True)
    return float(re.search(r"ns/request ([\d.]+)", out).group(1))


def instructions(folder, library, operation):
    """Instructions for one request: the difference of two runs, so that start and end cancel out."""

    def count(requests):
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", folder / "dispatch_bench"]
        done = subprocess.run([*command, operation, str(requests), "1"], env=environment(library), text=True,
                              stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, check=True)
        return int(re.search(r"Collected : (\d+)", done.stderr).group(1))

    return (count(20000) - count(10000)) / 10000


@contextlib.contextmanager
def mounted(command, mountpoint, library):
    """A daemon on processor 0, with its mount taken away afterwards whatever happens."""
    daemon = subprocess.Popen(["taskset", "-c", "0", *command], env=environment(library), stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 10
        while not os.path.ismount(mountpoint):
            if daemon.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"not mounted: {command}")
            time.sleep(0.05)
        yield
    finally:
        subprocess.run(["umount", "-l", mountpoint], stderr=subprocess.DEVNULL)
        try:
            daemon.wait(5)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def through_kernel(folder, mountpoint, command, library, seconds):
    """Requests a second of each load, on the processor of the daemon."""
    with mounted(command, mountpoint, library):
        figures = {}
        for load in LOADS:
            case, clients = load
            out = subprocess.check_output(
                ["taskset", "-c", "0", folder / "load", mountpoint, str(seconds), case, str(clients)], text=True
            )
            figures[load] = float(out.split()[2])
        return figures


def bench_dispatch(folder, rounds):
    print("\ninside the library: ns a request, ours / system's libfuse (ratio of medians)")
    for threads in (1, 2):
        for operation in OPERATIONS:
            times = {None: [], OURS: []}
            for _ in range(rounds):
                for library, figures in times.items():
                    figures.append(dispatch(folder, library, operation, threads))
            system, ours = (statistics.median(figures) for figures in times.values())
            print(f"  {operation:8} {threads} thread(s): {ours:7.1f} / {system:7.1f} = {ours / system:.2f}")
    if not shutil.which("valgrind"):
        print("\ninstructions: skipped, valgrind is not installed")
        return
    print("\ninside the library: instructions a request, ours / system's libfuse")
    for operation in OPERATIONS:
        system, ours = (instructions(folder, library, operation) for library in (None, OURS))
        print(f"  {operation:8} {ours:7.0f} / {system:7.0f} = {ours / system:.2f}")


def bench_kernel(folder, rounds, seconds):
    mountpoint = folder / "mnt"
    mountpoint.mkdir()
    daemon = folder / "bench_ll"
    variants = {
        "raw loop": ([folder / "raw", mountpoint], None),
        "system -s": ([daemon, mountpoint, "-f", "-s"], None),
        "system": ([daemon, mountpoint, "-f"], None),
        "ours -s": ([daemon, mountpoint, "-f", "-s"], OURS),
        "ours": ([daemon, mountpoint, "-f"], OURS),
    }
    figures = {name: [] for name in variants}
    for _ in range(rounds):
        for name, (command, library) in variants.items():
            figures[name].append(through_kernel(folder, mountpoint, command, library, seconds))
    print("\nthrough the kernel, daemon and load on one processor: requests a second (part of the raw loop's)")
    print("  " + " " * 12 + "".join(f"{f'{case} x{clients}':>20}" for case, clients in LOADS))
    raw = {load: statistics.median(f[load] for f in figures["raw loop"]) for load in LOADS}
    for name, rounds_of in figures.items():
        medians = {load: statistics.median(f[load] for f in rounds_of) for load in LOADS}
        print(f"  {name:12}" + "".join(f"{medians[x]:12.0f} ({medians[x] / raw[x]:.2f})" for x in LOADS))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    if not (OURS / "libfuse3.so.3").exists():
        sys.exit(f"{OURS}/libfuse3.so.3 is not there: run `cargo build --release` first")
    with tempfile.TemporaryDirectory(prefix="fusewire-bench-") as folder:
        folder = Path(folder)
        compile_all(folder)
        bench_dispatch(folder, options.rounds)
        bench_kernel(folder, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
