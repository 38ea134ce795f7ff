"""Inside the library: one request from its bytes to its reply's, without the kernel (dispatch_bench.c)."""

import dataclasses
import re

import build
import counting
from context import harness
from report import Bars, Goal, Section, Skipped, Table

OPERATIONS = ["getattr", "lookup", "read4k", "write4k", "forget", "readdir", "readdirplus"]
LIBRARIES = ["system", "ours"]
# What each may take of what the system's takes. A record of readdir is little more than its name, which both copy.
BARS = {operation: 1 / 3 for operation in OPERATIONS} | {"readdir": 1.0}


def with_nothing(bench):
    """The bench with a third library, which does nothing: what is measured with it is the benchmark's own."""
    folder = bench.programs / "nothing"
    folder.mkdir()
    build.compile_stand_in("nothing", folder / "libfuse3.so.3")
    nothing = harness.Library("nothing", "libfuse3.so.3", folder)
    return dataclasses.replace(bench, libraries=bench.libraries | {"nothing": nothing})


def command(bench, operation, requests, threads=1):
    return [bench.program("dispatch_bench"), operation, requests, threads]


def nanoseconds(bench, library, operation, threads):
    """What one request takes the thread that makes it."""
    requests = 50_000 if "readdir" in operation else 500_000
    out = bench.run(command(bench, operation, requests, threads), library)
    return float(re.search(r"ns/request ([\d.]+)", out).group(1)) * threads


def instructions(bench, library, operation):
    """Of one request: the whole, and what dispatch_bench spends of it itself, for its loop and its callbacks."""
    few, many = (counting.by_object(bench, command(bench, operation, n), library) for n in (2000, 4000))
    whole, own = ((many[name] - few[name]) / 2000 for name in ("", "dispatch_bench"))
    return whole, own


def times(bench):
    bench = with_nothing(bench)
    ways = {
        (library, operation, threads): lambda way=(library, operation, threads): nanoseconds(bench, *way)
        for operation in OPERATIONS
        for library, threads in [("nothing", 1), *((library, n) for library in LIBRARIES for n in (1, 2))]
    }
    medians = bench.medians(ways)
    rows, goals = [], []
    for operation in OPERATIONS:
        system, ours, nothing = (medians[library, operation, 1] for library in (*LIBRARIES, "nothing"))
        shared = {library: medians[library, operation, 2] / medians[library, operation, 1] for library in LIBRARIES}
        alone = [f"{system:.0f}", f"{ours:.0f}", f"{ours / system:.2f}", f"{nothing:.0f}"]
        without = f"{(ours - nothing) / (system - nothing):.2f}"
        rows.append([operation, *alone, without, *(f"{s:.2f}" for s in shared.values())])
        goals.append(Goal(f"{operation} inside the library: time, ours / system", ours / system, BARS[operation]))
        goals.append(Goal(f"{operation} inside the library: two threads / one, ours", shared["ours"], 1.15))
    text = (
        "Nanoseconds of one request with one thread; what the benchmark takes of it itself, measured with a library that "
        "does nothing, and the ratio without that; then how many times that it takes when two threads share the session, "
        "each on a processor of its own: 1.00 is no contention."
    )
    header = ["request", "system", "ours", "ours / system", "the benchmark's own", "ratio without"]
    header += ["two threads / one, system", "two threads / one, ours"]
    return Table(text, header, rows), goals


def counts(bench):
    found = {(library, op): instructions(bench, library, op) for op in OPERATIONS for library in LIBRARIES}
    rows, goals = [], []
    for operation in OPERATIONS:
        (system, own), (ours, _) = (found[library, operation] for library in LIBRARIES)
        without = (ours - own) / (system - own)
        cells = [f"{system:,.0f}", f"{ours:,.0f}", f"{ours / system:.2f}", f"{own:,.0f}", f"{without:.2f}"]
        rows.append([operation, *cells])
        goals.append(Goal(f"{operation} inside the library: instructions, ours / system", ours / system, BARS[operation]))
    text = (
        "Instructions of one request with one thread (callgrind), the benchmark's own share included: what its loop, its "
        "callback and its stand-in for the device spend. The last column is the ratio without that."
    )
    header = ["request", "system", "ours", "ours / system", "the benchmark's own", "ratio without"]
    series = {library: [found[library, operation][0] for operation in OPERATIONS[:5]] for library in LIBRARIES}
    bars = Bars("dispatch", "Inside the library, one thread", "instructions a request", OPERATIONS[:5], series)
    return Table(text, header, rows), goals, bars


def run(bench):
    section = Section(
        "Inside the library",
        "What one request costs between its bytes and those of its reply: a session on `fuse_session_custom_io()` is fed "
        "with ready-made requests. readdir and readdirplus are answered with as many entries as fit into 4 KiB.",
    )
    table, goals = times(bench)
    section.tables.append(table)
    section.goals += goals
    try:
        table, goals, bars = counts(bench)
        section.tables.append(table)
        section.goals += goals
        section.bars.append(bars)
    except Skipped as why:
        section.tables.append(Table(f"Instructions: skipped, {why}.", [], []))
    return section
