"""Through the kernel: requests a second on a real mount, beside the raw loop."""

from context import named
from report import Bars, Goal, Section, Table

LOADS = [(case, clients) for case in ("stat", "read4k", "create") for clients in (1, 4, 16)]
PINNED = {
    "raw": ("raw",),
    "system -s": ("system", "-s"),
    "system default": ("system",),
    "ours -s": ("ours", "-s"),
    "ours default": ("ours",),
}
FREE_LOADS = [(case, clients) for case in ("stat", "read4k") for clients in (1, 4, 16)]
FREE = {
    "raw": ("raw",),
    "system default": ("system",),
    "ours default": ("ours",),
    "system clone_fd": ("system", "-o", "clone_fd"),
    "ours clone_fd": ("ours", "-o", "clone_fd"),
}
POLLING = ("-o", "busy_poll=50")  # microseconds


def started(bench, way, pinned):
    library, *options = way
    return bench.raw(pinned=pinned) if library == "raw" else bench.daemon(library, *options, pinned=pinned)


def through_kernel(bench, way, loads, pinned):
    with started(bench, way, pinned) as mount:
        return {load: bench.load(mount, *load, pinned=pinned) for load in loads}


def compare(bench, ways, loads, pinned):
    turns = {name: lambda way=way: through_kernel(bench, way, loads, pinned) for name, way in ways.items()}
    return bench.medians(turns)


def table(text, medians, loads):
    raw = medians["raw"]
    rows = [[*load, *(f"{m[load]:,.0f} ({m[load] / raw[load]:.2f})" for m in medians.values())] for load in loads]
    return Table(text, ["load", "clients", *medians], rows)


def plot(name, title, medians, loads):
    series = {way: [m[load] / medians["raw"][load] for load in loads] for way, m in medians.items() if way != "raw"}
    labels = [named(*load).replace(", ", "\n") for load in loads]
    return Bars(name, title, "requests a second, part of the raw loop's", labels, series, 1)


def pinned(bench, section):
    medians = compare(bench, PINNED, LOADS, True)
    text = "Pinned: daemon and load on one processor."
    section.tables.append(table(text, medians, LOADS))
    section.bars.append(plot("kernel-pinned", "Through the kernel, pinned", medians, LOADS))
    for case, clients in LOADS:
        figures = {name: median[case, clients] for name, median in medians.items()}
        if clients == 1:
            what, reference, bar = "raw", figures["raw"], 0.97
        else:
            reference = max(figures["system -s"], figures["system default"])
            what, bar = "the better of the system's modes", 1
        goal = f"{named(case, clients)}, pinned: ours default / {what}"
        section.goals.append(Goal(goal, figures["ours default"] / reference, bar, at_most=False))


def free(bench, section):
    ways = FREE | ({"ours busy_poll=50": ("ours", *POLLING)} if bench.takes(*POLLING) else {})
    medians = compare(bench, ways, FREE_LOADS, False)
    text = "Not pinned: the kernel places daemon and load. Each request of a single client may wake a processor twice."
    section.tables.append(table(text, medians, FREE_LOADS))
    section.bars.append(plot("kernel-free", "Through the kernel, not pinned", medians, FREE_LOADS))
    for case, clients in FREE_LOADS:
        system, ours = (medians[name][case, clients] for name in ("system default", "ours default"))
        goal = f"{named(case, clients)}, not pinned: ours default / system default"
        section.goals.append(Goal(goal, ours / system, 1, at_most=False))


def sleeping(bench, section):
    """A handler that sleeps holds a worker: what counts is how many there are."""
    rows = []
    for workers in (None, 64):
        options = [] if workers is None else ["-o", f"max_threads={workers}"]

        def one(library):
            with bench.daemon(library, *options) as mount:
                return bench.load(mount, "slow", clients=64, seconds=1)

        medians = bench.medians({library: lambda library=library: one(library) for library in ("system", "ours")})
        ratio = medians["ours"] / medians["system"]
        rows.append([workers or "default (10)", *(f"{m:.0f}" for m in medians.values()), f"{ratio:.2f}"])
        goal = f"64 sleeping requests, max_threads {workers or 'default'}: ours / system"
        section.goals.append(Goal(goal, ratio, 0.98, at_most=False))
    text = "64 clients, a handler that sleeps 100 ms: reads a second with so many workers at most (max_threads)."
    section.tables.append(Table(text, ["max_threads", "system default", "ours default", "ours / system"], rows))


def run(bench):
    section = Section("Through the kernel", "Requests a second, and in brackets their part of the raw loop's.")
    pinned(bench, section)
    free(bench, section)
    sleeping(bench, section)
    return section
