"""FUSE over io_uring, beside the loop on /dev/fuse."""

import contextlib
import os
from pathlib import Path

import kernel
from context import named
from report import Bars, Goal, Section, Skipped, Table

SWITCH = Path("/sys/module/fuse/parameters/enable_uring")
LOADS = {  # and how many times what /dev/fuse reaches
    ("stat", 1): 3.0,
    ("stat", 4): 3.0,
    ("read4k", 1): 2.3,
    ("read4k", 4): 3.3,
    ("write4k", 1): None,
    ("write4k", 4): 2.6,
    ("seqread", 1): 1.5,
    ("seqread", 4): None,
}
WAYS = {
    "system default": ("system",),
    "ours default": ("ours",),
    "ours io_uring": ("ours", "-o", "io_uring"),
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
        return kernel.compare(bench, WAYS, LOADS, pinned=False)


def label(load):
    case, clients = load
    return named(case, clients, "1 MiB read" if case == "seqread" else None)


def run(bench):
    found = compared(bench)
    ratios = {load: figures["ours io_uring"] / figures["ours default"] for load, figures in found.items()}
    rows = [
        [label(load), *(f"{figure:,.0f}" for figure in figures.values()), f"{ratios[load]:.2f}"]
        for load, figures in found.items()
    ]
    goals = [
        Goal(f"io_uring, {label(load)}: io_uring / ours default", ratios[load], bar, at_most=False)
        for load, bar in LOADS.items()
        if bar
    ]
    names = ("ours default", "ours io_uring")
    series = {name: [figures[name] / figures["system default"] for figures in found.values()] for name in names}
    labels = [label(load).replace(", ", "\n") for load in LOADS]
    axis = "operations a second, part of the system's libfuse"
    return Section(
        "io_uring",
        "Operations a second with `-o io_uring` and with the default loop on /dev/fuse, not pinned: the ring has a queue "
        "for each processor. The system's libfuse has none. The last column is what the ring gains.",
        [Table("", ["load", *WAYS, "io_uring / ours default"], rows)],
        [Bars("io_uring", "FUSE over io_uring, not pinned", axis, labels, series, 1)],
        goals,
    )
