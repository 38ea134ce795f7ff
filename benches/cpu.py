"""The daemon's own work for one request: time, instructions in user space, system calls."""

import statistics
import subprocess

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
ROUNDS, SECONDS = 9, 1.0  # longer than elsewhere: user time is told by samples
BESIDE = 3  # rounds of the ways that no goal asks for
RATE = 2000  # samples a second; each costs some microseconds in a virtual machine


def cpu_time(bench, way):
    """The daemon's time for a request; and how many samples found it in user mode, of how many requests' time."""
    with bench.serving(way, pinned=True) as mount:
        command = [bench.program("modes"), bench.processor, mount.pid, SECONDS, RATE]
        sampler = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
        served = bench.load(mount, CASE, seconds=SECONDS, pinned=True) * SECONDS
        samples = dict(line.split() for line in sampler.communicate(timeout=10)[0].splitlines())
    if sampler.returncode:
        raise Skipped("perf_event_open(2) is not allowed here")
    if int(samples["lost"]):
        raise RuntimeError(f"{samples['lost']} samples were lost")
    return {"user": int(samples["user"]), "served": served, "each": mount.cpu / served * 1e6}


def times(bench):
    turns = {name: lambda way=way: cpu_time(bench, way) for name, way in WAYS.items()}
    beside = {name: turns.pop(name) for name in ("system -s", "system default")}
    rounds = bench.turns(turns, ROUNDS) | bench.turns(beside, BESIDE)
    rows, user = [], {}
    for name in WAYS:
        found = rounds[name]
        samples, served = (sum(one[what] for one in found) for what in ("user", "served"))
        user[name] = samples / RATE / served * 1e6
        error = 1 / max(samples, 1) ** 0.5
        each = statistics.median(one["each"] for one in found)
        rows.append([name, f"{each:.2f}", f"{user[name]:.2f} ± {error:.0%}", f"{user[name] / user['raw']:.2f}"])
    goals = [
        Goal(f"user time of the daemon, {CASE}: ours {mode} / raw", user[f"ours {mode}"] / user["raw"], 1.2)
        for mode in ("-s", "default")
    ]
    text = (
        f"Microseconds of the daemon for one {CASE}, one client, pinned. The whole is exact (median of {ROUNDS} rounds, of "
        f"{BESIDE} of the system's). User time is what {RATE} samples a second found, in all rounds together: the kernel's "
        "own tick, which getrusage goes by, comes more rarely. Both count as user time what the kernel takes, with "
        "interrupts off, to return from a system call. The error is that of so many samples, which themselves make the "
        "whole some per cent longer."
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


def system_calls(bench):
    text = (
        "System calls for one request (strace -c): those that transfer, which are the receive and the reply, and all. Every "
        "3 to 5 ms our pool's thread makes three and a worker two, which counts more here than without strace, where there "
        "are more requests in that time."
    )
    rows, goals = [], []
    for what, tool in (("transfers", counting.transfers), ("all", counting.system_calls)):
        table, found = counts(bench, [CASE], tool, text, 2)
        rows += [[name, what, *figures] for name, *figures in table.rows]
        if tool is counting.transfers:
            goals += [
                Goal(f"system calls on the device for one {CASE}: ours {mode}", found[CASE][f"ours {mode}"], 2)
                for mode in ("-s", "default")
            ]
    return Table(text, ["request", "system calls", *WAYS], rows), goals


def run(bench):
    section = Section(
        "The daemon's CPU",
        "What a daemon itself spends on a request, beside the raw loop: its user and system time, the instructions that it "
        "executes in user space, and its system calls.",
    )
    try:
        table, section.goals = times(bench)
        section.tables.append(table)
    except Skipped as why:
        section.tables.append(Table(f"Times: skipped, {why}.", [], []))
    text = "Instructions in user space for one request, on a real mount (callgrind)."
    try:
        table, _ = counts(bench, CASES, counting.instructions, text, 0)
        section.tables.append(table)
        table, goals = system_calls(bench)
        section.tables.append(table)
        section.goals += goals
    except Skipped as why:
        section.tables.append(Table(f"Counts: skipped, {why}.", [], []))
    return section
