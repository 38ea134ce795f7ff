"""Data: large reads and writes with and without splice, and directories with many entries."""

import contextlib
import fcntl
import os
import time
from pathlib import Path

import counting
from context import harness  # noqa: F401  where the tests' modules are found, too
from report import NOISE, Bars, Goal, Section, Skipped, Table

import observe

CASES = {
    "seqread": "1 MiB reads past the page cache",
    "seqwrite": "1 MiB writes past the page cache",
    "cread": "1 MiB reads through the page cache",
    "cwrite": "1 MiB writes through the page cache",
}
WAYS = {
    "memory": ("the daemon has the data in memory", {}, ("seqread", "seqwrite")),
    "file": ("in a file, splice not wanted", {"BENCH_FILE": "1"}, tuple(CASES)),
    "splice": ("in a file, splice wanted", {"BENCH_SPLICE": "1"}, tuple(CASES)),
}
# Where the pages of a daemon happen to lie makes more of a difference than what it does with them: many, each for a moment.
TIMES, SECONDS = 3, 0.1  # so many times the rounds of other cases
WARM = 0.05  # seconds in which the daemon's threads come to know what is asked of them, and that do not count
ENTRIES = (10_000, 1_000_000)
PIPE = 2 << 20  # of a message with 1 MiB of data: pipes have powers of two
LIMIT = Path("/proc/sys/fs/pipe-max-size")


@contextlib.contextmanager
def room_in_pipes():
    """Pipes that take a whole message. Root may have them, unless it lacks CAP_SYS_RESOURCE: then the limit is raised."""
    ends = os.pipe()
    before = None
    try:
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE)
    except OSError:
        before = LIMIT.read_text()
        LIMIT.write_text(str(PIPE))
    finally:
        for end in ends:
            os.close(end)
    try:
        yield
    finally:
        if before:
            LIMIT.write_text(before)


def cpu_seconds(pid):
    """User and system time of a process up to now, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | 2)


def measured(bench, mount, case, seconds):
    """Operations a second, and the daemon's CPU seconds for one."""
    bench.load(mount, case, seconds=WARM)
    before = cpu_seconds(mount.pid)
    speed = bench.load(mount, case, seconds=seconds)
    return {"speed": speed, "cpu": (cpu_seconds(mount.pid) - before) / (speed * seconds)}


def moving(bench, library, env, cases):
    with bench.daemon(library, env=env) as mount:
        found = {case: measured(bench, mount, case, SECONDS) for case in cases}
    return {(case, what): value for case, figures in found.items() for what, value in figures.items()}


def streams(bench, section):
    ratios = {"MB/s": {}, "CPU": {}}
    rows = []
    for name, (text, env, cases) in WAYS.items():
        libraries = {lib: lambda lib=lib: moving(bench, lib, env, cases) for lib in ("system", "ours")}
        medians = bench.medians(libraries, TIMES * bench.rounds)
        for case in cases:
            system, ours = ({what: medians[lib][case, what] for what in ("speed", "cpu")} for lib in ("system", "ours"))
            speed, cpu = ours["speed"] / system["speed"], ours["cpu"] / system["cpu"]
            megabytes = (f"{figures['speed'] * 1.048576:,.0f}" for figures in (system, ours))
            per_gb = (f"{figures['cpu'] * 1000 / 1.048576:.3f}" for figures in (system, ours))
            rows.append([f"{CASES[case]}, {text}", *megabytes, f"{speed:.2f}", *per_gb, f"{cpu:.2f}"])
            section.goals.append(Goal(f"{CASES[case]}, {text}, MB/s: ours / system", speed, 1 - NOISE, at_most=False))
            section.goals.append(Goal(f"{CASES[case]}, {text}, CPU: ours / system", cpu, 1 + NOISE))
            ratios["MB/s"][name, case], ratios["CPU"][name, case] = speed, cpu
    header = ["", "MB/s: system", "ours", "ours / system", "CPU s/GB: system", "ours", "ours / system"]
    text = f"One client, default loop, after {WARM} s of the same that do not count. CPU is the daemon's, user and system."
    section.tables.append(Table(text, header, rows))
    labels = [f"{case}\n{name}" for name, case in ratios["MB/s"]]
    series = {"MB/s": list(ratios["MB/s"].values()), "CPU for a GB": list(ratios["CPU"].values())}
    section.bars.append(Bars("data", "Data: this library beside libfuse", "ours / system", labels, series, 1))


def calls_of(bench, library, case):
    """System calls that move data, for each MiB of it."""
    log, count = bench.programs / "counted", 400
    command = [*counting.system_calls(log), bench.program("bench_ll"), "-f", "{}"]
    with bench.mounted(command, library, env={"BENCH_SPLICE": "1"}) as mount:
        bench.load(mount, case, requests=count)
    return {name: number / count for name, number in observe.calls(log).items() if number > count / 2}


def system_calls(bench, section):
    rows = [
        [CASES[case], library, ", ".join(f"{name} {number:.1f}" for name, number in sorted(calls_of(bench, library, case).items()))]
        for case in ("seqread", "cwrite")
        for library in ("system", "ours")
    ]
    text = "System calls for one MiB where the daemon wants splice: none reads the data to the daemon's memory."
    section.tables.append(Table(text, ["", "library", "calls"], rows))


def directories(bench, section):
    rows = []
    for entries in ENTRIES:

        def one(library):
            with bench.daemon(library, env={"BENCH_ENTRIES": str(entries)}) as mount:
                before = cpu_seconds(mount.pid)
                started = time.monotonic()
                speed = bench.load(mount, "readdir", seconds=0.3)
                listed = speed * (time.monotonic() - started)
                return {"speed": speed, "cpu": (cpu_seconds(mount.pid) - before) / listed}

        medians = bench.medians({library: lambda library=library: one(library) for library in ("system", "ours")})
        system, ours = medians["system"], medians["ours"]
        speed = ours["speed"] / system["speed"]
        cells = (f"{figures['speed']:,.0f}" for figures in (system, ours))
        cpu = (f"{figures['cpu'] * 1e9:.0f}" for figures in (system, ours))
        rows.append([f"{entries:,}", *cells, f"{speed:.2f}", *cpu])
        goal = f"readdirplus of {entries:,} entries, entries a second: ours / system"
        section.goals.append(Goal(goal, speed, 1 - NOISE, at_most=False))
    header = ["entries", "a second: system", "ours", "ours / system", "daemon's ns an entry: system", "ours"]
    section.tables.append(Table("A directory listed with readdirplus.", header, rows))


def run(bench):
    section = Section(
        "Data",
        "Data moved between an application and a daemon that has it in memory or in a file (a memfd). Where splice is wanted, "
        "fuse_reply_data and fuse_buf_copy hand pages from file to device and back; pipes have room for a MiB.",
    )
    with room_in_pipes():
        streams(bench, section)
        try:
            system_calls(bench, section)
        except Skipped as why:
            section.tables.append(Table(f"System calls: skipped, {why}.", [], []))
    directories(bench, section)
    return section
