"""The daemon's own work for one request: time, instructions in user space, system calls."""

import shutil
import signal
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
SECONDS = 0.5
SAMPLES = 10_000  # a second
KERNEL = 1 << 63  # addresses from here on are the kernel's


def cpu_time(bench, way):
    """The daemon's for one request, in microseconds: exact, since the scheduler measures it."""
    with bench.serving(way, pinned=True) as mount:
        served = bench.load(mount, CASE, seconds=SECONDS, pinned=True) * SECONDS
    return {"cpu": mount.cpu / served * 1e6, "user": mount.user / mount.cpu}


def user_share(bench, way):
    """The part of that which is user time, by samples: the kernel's own account is one by its tick, and coarse."""
    profile = bench.programs / "samples"
    record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", SAMPLES, "-C", bench.processor, "-o", profile]
    with bench.serving(way, pinned=True) as mount:
        pid = str(mount.pid)
        sampling = subprocess.Popen([*map(str, record)], stderr=subprocess.PIPE)
        bench.load(mount, CASE, seconds=SECONDS, pinned=True)
        sampling.send_signal(signal.SIGINT)
        sampling.communicate(timeout=20)
    samples = [line.split() for line in bench.run(["perf", "script", "-i", profile, "-F", "pid,ip"]).splitlines()]
    places = [int(sample[1], 16) for sample in samples if len(sample) == 2 and sample[0] == pid]
    return sum(place < KERNEL for place in places) / len(places)


def times(bench):
    medians = bench.medians({name: lambda way=way: cpu_time(bench, way) for name, way in WAYS.items()})
    if shutil.which("perf"):
        shares = bench.medians({name: lambda way=way: user_share(bench, way) for name, way in WAYS.items()})
        how = f"{SAMPLES:,} samples a second (perf)"
    else:
        shares = {name: median["user"] for name, median in medians.items()}
        how = "the kernel's tick, which is coarse (perf is not installed)"
    user = {name: median["cpu"] * shares[name] for name, median in medians.items()}
    rows = [
        [name, f"{user[name]:.2f}", f"{median['cpu'] - user[name]:.2f}", f"{user[name] / user['raw']:.2f}"]
        for name, median in medians.items()
    ]
    goals = [
        Goal(f"user time of the daemon, {CASE}: ours {mode} / raw", user[f"ours {mode}"] / user["raw"], 1.2)
        for mode in ("-s", "default")
    ]
    text = (
        f"Microseconds of the daemon for one {CASE}, one client, pinned. The scheduler measures the whole; which part of it "
        f"is user time is found by {how}."
    )
    return Table(text, ["daemon", "user", "system", "user / raw"], rows), goals


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
