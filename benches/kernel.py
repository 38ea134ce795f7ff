"""Through the kernel: requests a second on a real mount, beside the raw loop; daemon and load on one processor."""

from context import named
from report import NOISE, Bars, Goal, Section, Table

LOADS = [(case, clients) for case in ("stat", "read4k", "create") for clients in (1, 4, 16)]
WAYS = {
    "raw": ("raw",),
    "system -s": ("system", "-s"),
    "system default": ("system",),
    "ours -s": ("ours", "-s"),
    "ours default": ("ours",),
}
WARM = 0.1  # seconds in which daemon and load come to their pace


def reached(bench, way, load, pinned, env=None):
    with bench.serving(way, pinned=pinned, env=env) as mount:
        bench.load(mount, *load, seconds=WARM, pinned=pinned)
        return bench.load(mount, *load, seconds=bench.seconds / 2, pinned=pinned)


def compare(bench, ways, loads, pinned, env=None, rounds=None, beside=()):
    """{load: {way: operations a second}}. Each figure is of a daemon of its own; `beside` as for Bench.turns()."""
    # One daemon differs from the next more than from itself a moment later: rather more of them, each for a shorter time.
    rounds = rounds or 2 * bench.rounds - 1
    found = {}
    for load in loads:
        turns = {name: lambda way=way: reached(bench, way, load, pinned, env) for name, way in ways.items()}
        found[load] = bench.medians(turns, rounds, beside)
    return found


def table(text, found):
    rows = []
    for load, medians in found.items():
        rows.append([*load, *(f"{median:,.0f} ({median / medians['raw']:.2f})" for median in medians.values())])
    return Table(text, ["load", "clients", *medians], rows)


def plot(name, title, found):
    names = [name for name in next(iter(found.values())) if name != "raw"]
    series = {name: [medians[name] / medians["raw"] for medians in found.values()] for name in names}
    labels = [named(*load).replace(", ", "\n") for load in found]
    return Bars(name, title, "requests a second, part of the raw loop's", labels, series, 1)


def goal(case, clients, figures):
    if clients == 1:
        what, reference, bar = "raw", figures["raw"], 0.97
    else:
        reference = max(figures["system -s"], figures["system default"])
        what, bar = "better of system's modes", 1 - NOISE
    what = f"{named(case, clients)}, pinned: ours default / {what}"
    return Goal(what, figures["ours default"] / reference, bar, at_most=False)


def run(bench):
    found = compare(bench, WAYS, LOADS, pinned=True)
    return Section(
        "Through the kernel, pinned",
        "Requests a second on a real mount, daemon and load on one processor, after a tenth of a second that does not count; in "
        "brackets their part of the raw loop's.",
        [table("", found)],
        [plot("kernel-pinned", "Through the kernel, pinned", found)],
        [goal(*load, figures) for load, figures in found.items()],
    )
