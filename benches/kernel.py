"""Through the kernel: requests a second on a real mount, beside the raw loop."""

from report import Bars, Section, Table

LOADS = [(case, clients) for case in ("stat", "read4k", "create") for clients in (1, 4, 16)]
PINNED = {
    "raw": lambda bench: bench.raw(pinned=True),
    "system -s": lambda bench: bench.daemon("system", "-s", pinned=True),
    "system default": lambda bench: bench.daemon("system", pinned=True),
    "ours -s": lambda bench: bench.daemon("ours", "-s", pinned=True),
    "ours default": lambda bench: bench.daemon("ours", pinned=True),
}


def through_kernel(bench, daemon, loads, pinned):
    with daemon(bench) as mount:
        return {load: bench.load(mount, *load, pinned=pinned) for load in loads}


def compare(bench, daemons, loads, pinned, text):
    """The table, and the medians behind it."""
    ways = {name: lambda daemon=daemon: through_kernel(bench, daemon, loads, pinned) for name, daemon in daemons.items()}
    medians = bench.medians(ways)
    rows = [
        [f"{case}, {clients}"] + [f"{m[case, clients]:,.0f} ({m[case, clients] / medians['raw'][case, clients]:.2f})" for m in medians.values()]
        for case, clients in loads
    ]
    return Table(text, ["load, clients", *medians], rows), medians


def run(bench):
    section = Section("Through the kernel", "Requests a second, and in brackets their part of the raw loop's.")
    table, medians = compare(bench, PINNED, LOADS, True, "Pinned: daemon and load on one processor.")
    section.tables.append(table)
    labels = [f"{case}\n{clients}" for case, clients in LOADS]
    series = {
        name: [m[load] / medians["raw"][load] for load in LOADS] for name, m in medians.items() if name != "raw"
    }
    section.bars.append(Bars("kernel-pinned", "Through the kernel, pinned", "part of the raw loop", labels, series, 1))
    return section
