"""Scale: many threads and many requests in flight on one session, and tables with millions of entries."""

import re

import counting
from context import harness
from report import Bars, Goal, Section, Skipped, Table

THREADS = (1, 2, 4, 16, 64)
IN_FLIGHT = 10_000
REQUESTS = 1_000_000  # of all threads together
ROUNDS = 15  # of what is to be told from noise: a round takes a tenth of a second
NODES = (1000, 10_000_000)


def figures(text):
    """What a benchmark printed: a name and a number a line."""
    return {name: float(number) for name, number in re.findall(r"^(\w+) ([\d.]+)$", text, re.M)}


def cpu_ns(bench, library, mode, threads):
    command = [bench.program("scale_bench"), mode, threads, IN_FLIGHT, REQUESTS // threads]
    return figures(bench.run(command, library))["cpu_ns"]


def threads_at_work(bench, section):
    rows, series = [], {}
    for mode, text in (("same", "the thread that received it"), ("other", "another thread")):
        for count in THREADS:

            def one(library):
                return cpu_ns(bench, library, mode, count)

            medians = bench.medians({library: lambda library=library: one(library) for library in ("system", "ours")})
            rows.append([text, count, *(f"{medians[library]:.0f}" for library in ("system", "ours"))])
            for library, median in medians.items():
                series.setdefault(f"{library}, replies from {text}", []).append(median)
    text = (
        f"Nanoseconds of CPU time for a request, {IN_FLIGHT:,} in flight all the time, on one session without the kernel "
        "(fuse_session_custom_io). Of more threads than processors only as many run at a time."
    )
    section.tables.append(Table(text, ["replied to by", "threads", "system", "ours"], rows))
    labels = [f"{count}" for count in THREADS]
    section.bars.append(Bars("scale", "10,000 requests in flight on one session, by threads", "ns of CPU for a request", labels, series))


def contention(bench, section):
    """Two threads, and as many that share nothing but the machine."""
    ways = {
        "one thread": ("same", 1),
        "two threads on one session": ("same", 2),
        "two processes with one thread each": ("apart", 2),
    }
    medians = {}
    for library in ("system", "ours"):
        turns = {name: lambda way=way: cpu_ns(bench, library, *way) for name, way in ways.items()}
        medians[library] = bench.medians(turns, ROUNDS)
    one, two, _ = medians["ours"].values()
    section.goals.append(Goal("two threads on one session, 10,000 in flight: CPU for a request / one thread", two / one, 1.15))
    text = (
        f"The same, medians of {ROUNDS} rounds: two threads that answer what they received, each on a processor of its own, and "
        "two that have nothing in common but the machine."
    )
    rows = [[name, *(f"{medians[library][name]:.0f}" for library in ("system", "ours"))] for name in ways]
    section.tables.append(Table(text, ["", "system", "ours"], rows))


def locks(bench, section):
    """How often the lock of what all threads share is taken, for a thousand requests: callgrind's calls of who takes it."""
    counting.needs("valgrind")
    rows, profile = [], bench.programs / "profile"
    for mode, threads in (("same", 1), ("other", 4)):
        command = [bench.program("scale_bench"), mode, threads, IN_FLIGHT]
        calls = []
        for count in (40_000, 80_000):
            valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}"]
            bench.run([*valgrind, *command, count // threads], "ours")
            calls.append(called(profile.read_text(), r"inflight::table::.*(refill|spill)$"))
        # A tenth more are served before the clock starts.
        rows.append([mode, threads, f"{(calls[1] - calls[0]) / 44:.1f}"])
    text = "How often a thread takes the lock of the free slots, which is the one that all share, for 1000 requests."
    section.tables.append(Table(text, ["replied to by", "threads", "locks"], rows))


def called(profile, pattern):
    """How often functions of that name are called."""
    names = dict(re.findall(r"fn=(\(\d+\)) (.*)", profile))
    wanted = {number for number, name in names.items() if re.search(pattern, name)}
    calls = re.findall(r"cfn=(\(\d+\)).*\n(?:cob=.*\n|cfi=.*\n)?calls=(\d+)", profile)
    return sum(int(times) for number, times in calls if number in wanted)


def interrupts(bench, section):
    rows = []
    for count in (100, 1000, IN_FLIGHT):

        def one(library):
            return figures(bench.run([bench.program("scale_bench"), "interrupt", 1, count, 5000], library))["cpu_ns"]

        medians = bench.medians({library: lambda library=library: one(library) for library in ("system", "ours")})
        rows.append([f"{count:,}", *(f"{medians[library] / 1000:.1f}" for library in ("system", "ours"))])
    text = "Microseconds for an interrupt, which searches the requests in flight: nothing is kept for it while there is none."
    section.tables.append(Table(text, ["in flight", "system", "ours"], rows))


def nodes(bench, section):
    rows = {}
    for count in NODES:
        guard = harness.Guard()
        try:
            command = [bench.program("nodes_bench"), count, guard.mountpoint]
            done = guard.run(bench.libraries["ours"], command, timeout=120)
            if done.returncode:
                raise RuntimeError(done.stderr[-500:])
        finally:
            guard.close()
        for name, value in figures(done.stdout).items():
            rows.setdefault(name, []).append(f"{value:,.1f}" if "bytes" in name or "ms" in name else f"{value:,.0f}")
    names = {
        "make_ns": "making a node, ns",
        "longest_ms": "the longest of these, ms",
        "shared_bytes": "shared memory for one, bytes",
        "own_bytes": "memory of the process' own for one, bytes",
        "by_nodeid_random_ns": "finding any by its nodeid, ns",
        "by_nodeid_warm_ns": "finding one of a thousand by its nodeid, ns",
        "by_name_random_ns": "finding any by its name, ns",
        "by_name_warm_ns": "finding one of a thousand by its name, ns",
    }
    text = "The table of nodes of a recoverable session (fuse_node_get), names of 16 bytes. With few nodes a page counts whole."
    section.tables.append(Table(text, ["", *(f"{count:,} nodes" for count in NODES)], [[names[name], *cells] for name, cells in rows.items()]))


def run(bench):
    section = Section("Scale", "What is shared between threads, and what is large. [On paper](scale.md).")
    threads_at_work(bench, section)
    contention(bench, section)
    interrupts(bench, section)
    try:
        locks(bench, section)
    except Skipped as why:
        section.tables.append(Table(f"Locks: skipped, {why}.", [], []))
    nodes(bench, section)
    return section
