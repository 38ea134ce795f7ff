"""The daemon's own work for one request: time, instructions in user space, system calls."""

import time

import counting
from report import Goal, Section, Skipped, Table

CLOCK_MONOTONIC_COARSE = 6  # Python has no name for it
WAYS = {
    "raw": ("raw",),
    "system -s": ("system", "-s"),
    "ours -s": ("ours", "-s"),
    "system default": ("system",),
    "ours default": ("ours",),
}
CASES = ["stat", "read4k", "write4k"]
ROUNDS = 9  # more than elsewhere: the kernel samples user time by its tick
SECONDS = 0.6


def microseconds(bench, way, case):
    """The daemon's user and system time for one request; its start, some milliseconds, is in there."""
    with bench.serving(way, pinned=True) as mount:
        served = bench.load(mount, case, seconds=SECONDS, pinned=True) * SECONDS
    return {"user": mount.user / served * 1e6, "system": mount.system / served * 1e6}


def times(bench):
    """With one case, since it takes long to be exact."""
    medians = bench.medians(
        {name: lambda way=way: microseconds(bench, way, "read4k") for name, way in WAYS.items()}, ROUNDS
    )
    raw = medians["raw"]["user"]
    rows = [[name, f"{m['user']:.2f}", f"{m['system']:.2f}", f"{m['user'] / raw:.2f}"] for name, m in medians.items()]
    text = (
        f"Microseconds of the daemon for a 4k read, one client, pinned: medians of {ROUNDS} rounds of {SECONDS} s. The "
        f"kernel samples user time (its tick is {1000 / tick():.0f} ms long): a figure of one round is right within some "
        "15 %, the instructions below are exact."
    )
    goals = []
    for mode in ("-s", "default"):
        ours = medians[f"ours {mode}"]["user"]
        goals.append(Goal(f"user time of the daemon, read4k: ours {mode} / raw", ours / raw, 1.2))
    return Table(text, ["daemon", "user", "system", "user / raw"], rows), goals


def tick():
    """The kernel's ticks a second: what its coarse clock advances by."""
    return round(1 / time.clock_getres(CLOCK_MONOTONIC_COARSE))


def each(bench, way, case, tool):
    """What the tool counts of a daemon for one request."""
    library, *options = way
    log = bench.programs / "counted"

    def count(requests):
        program = (
            [bench.program("raw"), "{}"] if library == "raw" else [bench.program("bench_ll"), "-f", *options, "{}"]
        )
        with bench.mounted([*tool(log), *program], "system" if library == "raw" else library) as mount:
            bench.load(mount, case, requests=requests)
        return counting.counted(log)

    return counting.each(count, 2000)


def counts(bench, tool, text, digits):
    rows, found = [], {}
    for case in CASES:
        found[case] = {name: each(bench, way, case, tool) for name, way in WAYS.items()}
        rows.append([case, *(f"{number:,.{digits}f}" for number in found[case].values())])
    return Table(text, ["request", *WAYS], rows), found


def run(bench):
    section = Section(
        "The daemon's CPU",
        "What a daemon itself spends on a request, beside the raw loop: its user and system time, the instructions that it "
        "executes in user space, and its system calls.",
    )
    table, section.goals = times(bench)
    section.tables.append(table)
    text = "Instructions in user space for one request, on a real mount (callgrind)."
    try:
        table, _ = counts(bench, counting.instructions, text, 0)
        section.tables.append(table)
        text = "System calls for one request (strace -c): the receive and the reply."
        table, found = counts(bench, counting.system_calls, text, 2)
        section.tables.append(table)
        worst = max(found[case][f"ours {mode}"] for case in CASES for mode in ("-s", "default"))
        section.goals.append(Goal("system calls of a request, ours, the most of these", worst, 2, digits=1))
    except Skipped as why:
        section.tables.append(Table(f"Counts: skipped, {why}.", [], []))
    return section
