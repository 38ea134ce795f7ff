"""FUSE over io_uring, beside the loop on /dev/fuse."""

import contextlib
import functools
import os
from pathlib import Path

import kernel
from context import named
from report import Bars, Goal, Section, Skipped, Table

SWITCH = Path("/sys/module/fuse/parameters/enable_uring")
LOADS = {  # and how many times what /dev/fuse reaches, as upstream's libfuse with io_uring does of its own loop elsewhere
    ("stat", 1): 3.0,
    ("stat", 4): 3.0,
    ("stat", 16): None,
    ("read4k", 1): 2.3,
    ("read4k", 4): 3.3,
    ("write4k", 1): None,
    ("write4k", 4): 2.6,
    ("seqread", 1): 1.5,
    ("seqread", 4): None,
}
FILE_LOADS = [("seqread", 1), ("seqread", 4)]
LOOPS = ("ours default", "system default")
WAYS = {
    "system default": ("system",),
    "ours default": ("ours",),
    "ours io_uring": ("ours", "-o", "io_uring"),
    "ours io_uring, depth 1": ("ours", "-o", "io_uring,io_uring_q_depth=1"),
}


@contextlib.contextmanager
def switched_on():
    """The kernel's switch, put back as it was."""
    try:
        before = SWITCH.read_text().strip()
        SWITCH.write_text("Y")
    except OSError as why:
        raise Skipped(f"{SWITCH} cannot be switched on: {why.strerror}") from None
    try:
        yield
    finally:
        SWITCH.write_text(before)


def uses_io_uring(pid):
    links = (os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir())
    return any("io_uring" in link for link in links)


def compared(bench):
    with switched_on():
        if not bench.takes("-o", "io_uring"):
            raise Skipped("this library does not know -o io_uring")
        with bench.daemon(*WAYS["ours io_uring"]) as mount:
            bench.load(mount, "stat", seconds=0.05)
            if not uses_io_uring(mount.pid):
                raise RuntimeError(f"the daemon has no ring: {mount.guard.logs()}")
        beside = functools.partial(kernel.compare, bench, WAYS, pinned=False, rounds=bench.rounds)
        return beside(LOADS), beside(FILE_LOADS, env={"BENCH_FILE": "1"})


def label(load):
    case, clients = load
    return named(case, clients, "1 MiB read" if case == "seqread" else None)


def table(text, found):
    gains = [f"io_uring / {loop}" for loop in LOOPS]
    rows = [
        [
            label(load),
            *(f"{figure:,.0f}" for figure in figures.values()),
            *(f"{figures['ours io_uring'] / figures[loop]:.2f}" for loop in LOOPS),
        ]
        for load, figures in found.items()
    ]
    return Table(text, ["load", *WAYS, *gains], rows)


def run(bench):
    found, in_file = compared(bench)
    goals = [
        Goal(
            f"io_uring, {label(load)}: io_uring / {loop}",
            found[load]["ours io_uring"] / found[load][loop],
            bar,
            at_most=False,
        )
        for load, bar in LOADS.items()
        if bar
        for loop in LOOPS
    ]
    names = [name for name in WAYS if name != "system default"]
    series = {name: [figures[name] / figures["system default"] for figures in found.values()] for name in names}
    labels = [label(load).replace(", ", "\n") for load in LOADS]
    axis = "operations a second, part of the system's libfuse"
    return Section(
        "io_uring",
        "Operations a second with `-o io_uring` and with the default loop on /dev/fuse, not pinned: the ring has a queue "
        "for each processor, and serves 8 requests of it at once, or one with depth 1. The system's libfuse has none. The "
        "last columns are what the ring gains over our loop and over the system's. The goals are what libfuse 3.19 gained "
        "over its own loop, which is not the same as ours, on another machine.",
        [table("", found), table("The daemon has the data in a file.", in_file)],
        [Bars("io_uring", "FUSE over io_uring, not pinned", axis, labels, series, 1)],
        goals,
    )
