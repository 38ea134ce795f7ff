"""Through the kernel with daemon and load where the kernel places them; and handlers that sleep."""

import kernel
from context import named
from report import NOISE, Goal, Section, Table

LOADS = [(case, clients) for case in ("stat", "read4k") for clients in (1, 4, 16)]
WAYS = {
    "raw": ("raw",),
    "system default": ("system",),
    "ours default": ("ours",),
    "system clone_fd": ("system", "-o", "clone_fd"),
    "ours clone_fd": ("ours", "-o", "clone_fd"),
}
POLLING = ("-o", "busy_poll=50")  # microseconds
COMPARED = ("system default", "ours default")
# Where the kernel places daemon and load makes much of a difference, and they may stay there: many of them.
ROUNDS = 17


def goal(case, clients, figures):
    what = f"{named(case, clients)}, not pinned: ours default / system default"
    return Goal(what, figures["ours default"] / figures["system default"], 1 - NOISE, at_most=False)


def sleeping(bench):
    """A handler that sleeps holds a worker: what counts is how many there are."""

    def reached(library, workers):
        with bench.daemon(library, "-o", f"max_threads={workers}") as mount:
            return bench.load(mount, "slow", clients=64, seconds=1.2)

    rows, goals = [], []
    for workers in (10, 64):
        ways = {library: lambda library=library: reached(library, workers) for library in ("system", "ours")}
        medians = bench.medians(ways)
        rows.append([workers, workers * 10, *(f"{median:.0f}" for median in medians.values())])
        what = f"64 requests that sleep, {workers} threads at most: ours / what these could do"
        goals.append(Goal(what, medians["ours"] / (workers * 10), 0.9, at_most=False))
    text = (
        "64 clients and a handler that sleeps 100 ms: reads a second with so many threads at most (10 is the default), "
        "from the daemon's start on."
    )
    return Table(text, ["max_threads", "possible", "system", "ours"], rows), goals


def run(bench):
    ways = WAYS | ({"ours busy_poll=50": ("ours", *POLLING)} if bench.takes(*POLLING) else {})
    beside = [name for name in ways if name not in COMPARED]
    found = kernel.compare(bench, ways, LOADS, pinned=False, rounds=ROUNDS, beside=beside)
    table, goals = sleeping(bench)
    return Section(
        "Through the kernel, not pinned",
        "The same with daemon and load where the kernel places them. Each request of a single client may wake a processor "
        "twice, which costs more than the request; so the raw loop is no limit here.",
        [kernel.table("", found), table],
        [kernel.plot("kernel-unpinned", "Through the kernel, not pinned", found)],
        [*(goal(*load, figures) for load, figures in found.items()), *goals],
    )
