"""Memory: an idle daemon, what workers receive into, and that it does not grow with the requests served."""

import os
import re
import subprocess
import time

import build
import counting
from context import ROOT
from report import Goal, Section, Skipped, Table

import observe  # of the tests

FIGURES = ("VmRSS", "RssAnon", "RssFile")
STARTS = 11  # addresses are random, and with them how many pages of a file the kernel maps around those that are touched
MOMENTS = ("idle", "after one request", "after 16 clients")
REQUESTS = int(os.environ.get("BENCH_REQUESTS", 300_000))  # through the kernel; make it 10 million for the whole of it
DISPATCHED = 10_000_000
GROWTH = 64  # KiB that a stack may still grow by; a byte for each request would be ten thousand


def status(pid):
    """Its memory in KiB."""
    return {name: observe.kib(pid, name) for name in FIGURES}


def settled(pid):
    """The same once it does not change any more."""
    last = None
    while (now := status(pid)) != last:
        last = now
        time.sleep(0.05)
    return now


def life(bench, program, library, options):
    """One daemon's memory at each moment."""
    with bench.mounted([program, "-f", *options, "{}"], library) as mount:
        found = {"idle": settled(mount.pid)}
        mount.guard.child(os.stat, mount.point)
        found["after one request"] = settled(mount.pid)
        if program == bench.program("bench_ll"):
            bench.load(mount, "stat", clients=16, seconds=0.1)
            found["after 16 clients"] = settled(mount.pid)
    return {(moment, name): value for moment, figures in found.items() for name, value in figures.items()}


def hello(bench):
    """examples/hello.c, linked with the system's library."""
    output = bench.program("hello")
    flags = build.output("pkg-config", "--cflags", "--libs", "fuse3").split()
    subprocess.run(["cc", "-O2", "-w", "-o", output, ROOT / "examples/hello.c", *flags, "-pthread"], check=True, timeout=120)
    return output


def from_disk(library):
    """Has the library's file read anew: how much of it the kernel maps at once depends on how it came to the page cache, and
    what the linker has just written lies there in larger pieces than what is read."""
    with open(library.file(), "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def idle(bench, section):
    rows = []
    from_disk(bench.libraries["ours"])
    programs = {"bench_ll": bench.program("bench_ll"), "hello": hello(bench)}
    for name, program in programs.items():
        for loop, options in {"default": [], "-s": ["-s"]}.items():
            ways = {lib: lambda lib=lib: life(bench, program, lib, options) for lib in ("system", "ours")}
            medians = bench.medians(ways, STARTS if name == "hello" else 7)
            for moment in MOMENTS:
                if (moment, "VmRSS") not in medians["ours"]:
                    continue
                cells = [f"{medians[lib][moment, figure]:,.0f}" for figure in FIGURES for lib in ("system", "ours")]
                ratio = medians["ours"][moment, "VmRSS"] / medians["system"][moment, "VmRSS"]
                rows.append([f"{name} {loop}", moment, *cells, f"{ratio:.2f}"])
                if moment == "idle":
                    section.goals.append(Goal(f"RSS of {name}, {loop} loop, idle: ours / system", ratio, 1))
    header = ["daemon", "", *(f"{figure}: {lib}" for figure in FIGURES for lib in ("system", "ours")), "VmRSS ours / system"]
    text = (
        "KiB, medians of daemons started anew. VmRSS is the sum of the other two: memory of its own, and pages of files, those "
        "of the C library included, which all processes share. bench_ll has 2 MiB of zeros of its own."
    )
    section.tables.append(Table(text, header, rows))


def receiving(bench, section):
    counting.needs("strace")
    rows, log = [], bench.programs / "mapped"
    for max_write in (64 << 10, 1 << 20):
        command = [*observe.TRACE_MAPPINGS, log, bench.program("bench_ll"), "-f", "{}"]
        with bench.mounted(command, "ours", env={"BENCH_MAX_WRITE": str(max_write)}) as mount:
            for load in ("stat", "seqwrite"):
                bench.load(mount, load, clients=16, seconds=0.2)
                found = observe.receive_buffers(log)
                touched = [observe.present(mount.pid, *buffer) for buffer in found]
                sizes = sorted({observe.pages(size) for _, size in found})
                rows.append([f"{max_write >> 10} KiB", load, len(found), ", ".join(map(str, sizes)), max(touched)])
                if load == "stat":
                    goal = f"pages touched of a receive buffer by small requests, max_write {max_write >> 10} KiB"
                    section.goals.append(Goal(goal, max(touched), 2, digits=0))
    header = ["max_write", "load of 16 clients", "buffers", "pages of one", "touched of one, the most"]
    text = (
        "What the workers receive into: as large as the negotiated max_write needs (the first worker's is made before the "
        "negotiation, for the largest there may be), and in memory only as far as it was used."
    )
    section.tables.append(Table(text, header, rows))


def growth_through_kernel(bench):
    with bench.daemon("ours") as mount:
        figures = []
        bench.load(mount, "seqwrite", clients=16, seconds=0.2)  # all workers are there, their buffers were used
        for part in (0.1, 0.9):
            for case in ("stat", "lookup", "write4k", "read4k"):
                bench.load(mount, case, clients=4, seconds=0, requests=int(REQUESTS * part / 16))
            figures.append(settled(mount.pid)["RssAnon"])
    return tuple(figures)


def growing(bench, section):
    output = bench.run([bench.program("scale_bench"), "same", 1, 1, DISPATCHED], "ours")
    inside = int(re.search(r"^grown_kib (\d+)", output, re.M).group(1))
    early, late = growth_through_kernel(bench)
    ways = {f"{DISPATCHED:,} requests inside the library": inside, f"{REQUESTS:,} requests through the kernel": late - early}
    rows = [[what, grown] for what, grown in ways.items()]
    section.goals += [Goal(f"{what}, KiB of growth", grown, GROWTH, digits=0) for what, grown in ways.items()]
    text = "Growth of the process' own memory (RssAnon, KiB) from when all workers are there and a tenth was served."
    section.tables.append(Table(text, ["", "KiB"], rows))


def run(bench):
    section = Section("Memory", "Resident memory of daemons, from /proc.")
    idle(bench, section)
    try:
        receiving(bench, section)
    except Skipped as why:
        section.tables.append(Table(f"Receive buffers: skipped, {why}.", [], []))
    growing(bench, section)
    return section
