"""Inside the library: one request from its bytes to its reply's, without the kernel (dispatch_bench.c)."""

import re

import counting
from report import Bars, Goal, Section, Skipped, Table

OPERATIONS = ["getattr", "lookup", "read4k", "write4k", "forget"]
REQUESTS = 500_000  # of one timed run
LIBRARIES = ["system", "ours"]


def nanoseconds(bench, library, operation, threads):
    out = bench.run([bench.program("dispatch_bench"), operation, REQUESTS, threads], library)
    return float(re.search(r"ns/request ([\d.]+)", out).group(1))


def instructions(bench, library, operation):
    log = bench.programs / "counted"

    def count(requests):
        command = [*counting.instructions(log), bench.program("dispatch_bench"), operation, requests, 1]
        bench.run(command, library)
        return counting.counted(log)

    return counting.each(count, 10_000)


def timed(bench):
    ways = {
        (library, operation, threads): lambda way=(library, operation, threads): nanoseconds(bench, *way)
        for threads in (1, 2)
        for operation in OPERATIONS
        for library in LIBRARIES
    }
    return bench.medians(ways)


def run(bench):
    times = timed(bench)
    section = Section(
        "Inside the library",
        "What one request costs between its bytes and those of its reply: a session on `fuse_session_custom_io()` is fed with "
        "ready-made requests. Two threads share one session; their cost is what each of them takes for a request.",
    )
    rows = []
    for operation in OPERATIONS:
        system, ours = (times[library, operation, 1] for library in LIBRARIES)
        system2, ours2 = (times[library, operation, 2] for library in LIBRARIES)
        rows.append([operation, f"{system:.0f}", f"{ours:.0f}", f"{ours / system:.2f}",
                     f"{system2 * 2 / system:.2f}", f"{ours2 * 2 / ours:.2f}"])  # fmt: skip
        section.goals.append(Goal(f"{operation}: time of one request, ours to system's", ours / system, 0.33))
        section.goals.append(Goal(f"{operation}: two threads to one", ours2 * 2 / ours, 1.15))
    header = ["request", "system, ns", "ours, ns", "ours / system", "system, two threads / one", "ours, two threads / one"]
    section.tables.append(Table("Time.", header, rows))
    try:
        counts = {(library, op): instructions(bench, library, op) for op in OPERATIONS for library in LIBRARIES}
    except Skipped as why:
        section.tables.append(Table(f"Instructions: skipped, {why}.", [], []))
        return section
    rows = []
    for operation in OPERATIONS:
        system, ours = (counts[library, operation] for library in LIBRARIES)
        rows.append([operation, f"{system:.0f}", f"{ours:.0f}", f"{ours / system:.2f}"])
        section.goals.append(Goal(f"{operation}: instructions of one request, ours to system's", ours / system, 0.33))
    section.tables.append(Table("Instructions.", ["request", "system", "ours", "ours / system"], rows))
    series = {library: [counts[library, operation] for operation in OPERATIONS] for library in LIBRARIES}
    section.bars.append(Bars("dispatch", "Inside the library, one thread", "instructions a request", OPERATIONS, series))
    return section
