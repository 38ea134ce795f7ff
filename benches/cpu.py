"""The daemon's own work for one request: time, instructions in user space, system calls."""

import statistics
import time

import counting
from report import Goal, Section, Skipped, Table

WAYS = {
    "raw": ("raw",),
    "system -s": ("system", "-s"),
    "ours -s": ("ours", "-s"),
    "system default": ("system",),
    "ours default": ("ours",),
}
CASES = ["stat", "read4k", "write4k"]
CASE = "read4k"  # whose time is taken
ROUNDS, SECONDS = 9, 1.2  # longer than elsewhere: the kernel tells user time by its tick
CLOCK_MONOTONIC_COARSE = 6  # Python has no name for it


def cpu_time(bench, way):
    with bench.serving(way, pinned=True) as mount:
        served = bench.load(mount, CASE, seconds=SECONDS, pinned=True) * SECONDS
    return {"user": mount.user, "served": served, "each": mount.cpu / served * 1e6}


def times(bench):
    rounds = bench.turns({name: lambda way=way: cpu_time(bench, way) for name, way in WAYS.items()}, ROUNDS)
    tick = time.clock_getres(CLOCK_MONOTONIC_COARSE)
    rows, user = [], {}
    for name, found in rounds.items():
        seconds, served = (sum(one[what] for one in found) for what in ("user", "served"))
        user[name] = seconds / served * 1e6
        error = 1 / max(seconds / tick, 1) ** 0.5
        each = statistics.median(one["each"] for one in found)
        rows.append([name, f"{each:.2f}", f"{user[name]:.2f} ± {error:.0%}", f"{user[name] / user['raw']:.2f}"])
    goals = [
        Goal(f"user time of the daemon, {CASE}: ours {mode} / raw", user[f"ours {mode}"] / user["raw"], 1.2)
        for mode in ("-s", "default")
    ]
    text = (
        f"Microseconds of the daemon for one {CASE}, one client, pinned. The whole is exact (median of {ROUNDS} rounds). "
        f"User time is what ticks of the kernel found, {tick * 1000:.0f} ms apart, in all rounds together; the error is that of "
        "so many ticks."
    )
    return Table(text, ["daemon", "user and system", "user", "user / raw"], rows), goals


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


def counts(bench, cases, tool, text, digits):
    rows, found = [], {}
    for case in cases:
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
        table, _ = counts(bench, CASES, counting.instructions, text, 0)
        section.tables.append(table)
        text = "System calls for one request (strace -c): the receive and the reply."
        table, found = counts(bench, [CASE], counting.system_calls, text, 2)
        section.tables.append(table)
        for mode in ("-s", "default"):
            calls = found[CASE][f"ours {mode}"]
            section.goals.append(Goal(f"system calls of a request, {CASE}: ours {mode}", calls, 2, digits=1))
    except Skipped as why:
        section.tables.append(Table(f"Counts: skipped, {why}.", [], []))
    return section
