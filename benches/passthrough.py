#!/usr/bin/env python3
"""fio on one file, reached three ways: by its own file system, through examples/passthrough.c, and through the same daemon
without passthrough. Rounds are interleaved; what counts is the ratio to the native way in the same round. fio and the daemon
run at real-time priority. As a case of run.py: a smaller file, and only what needs no disk.

usage: benches/passthrough.py [--rounds N] [--megabytes N] [--docs]   (as root; --docs writes docs/passthrough.svg and the
table in docs/passthrough.md, and needs matplotlib: make plots)
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import build
from context import ROOT, harness
from report import Bars, Section, Skipped, Table

WAYS = ["native", "passthrough", "daemon"]
# Ahead of whatever else runs on the machine, where that is allowed.
FIRST = ["chrt", "--fifo", "1"]
if subprocess.run([*FIRST, "true"], stderr=subprocess.DEVNULL).returncode != 0:
    FIRST = []


@dataclass
class Load:
    """One row of the table."""

    name: str
    fio: list
    goal: float
    cold: bool = False
    ratios: dict = field(default_factory=lambda: {"passthrough": [], "daemon": []})
    native: list = field(default_factory=list)

    @property
    def counts(self):
        """Which of fio's figures: bytes a second, or operations where they are small."""
        return "iops" if "--bs=4k" in self.fio and "rand" in " ".join(self.fio) else "bw_bytes"

    def title(self):
        return f"{self.name}, {'cold' if self.cold else 'warm'}"


def loads(seconds):
    timed = ["--time_based", f"--runtime={1000 * seconds:.0f}ms"]
    some = ["--number_ios=16384"]
    sequential, random = ["--bs=1M"], ["--bs=4k"]
    return [
        Load("sequential read", ["--rw=read", *sequential, *timed], 0.95),
        Load("random 4k read", ["--rw=randread", *random, *timed], 0.95),
        # Each loop maps the file anew, so that faults are part of it.
        Load("mmap read", ["--rw=read", *random, "--ioengine=mmap", "--loops=10"], 0.95),
        Load("sequential write", ["--rw=write", *sequential, *timed], 0.9),
        Load("random 4k write", ["--rw=randwrite", *random, *timed], 0.9),
        Load("sequential read", ["--rw=read", *sequential], 0.95, cold=True),
        Load("random 4k read", ["--rw=randread", *random, *some], 0.95, cold=True),
        Load("mmap read", ["--rw=read", *random, "--ioengine=mmap"], 0.95, cold=True),
        # To the disk, and the time that takes.
        Load("sequential write", ["--rw=write", *sequential, "--end_fsync=1"], 0.9, cold=True),
        Load("random 4k write", ["--rw=randwrite", *random, *some, "--end_fsync=1"], 0.9, cold=True),
    ]


def compile_example(folder):
    program = folder / "passthrough"
    sources = [*(ROOT / "examples").glob("passthrough*.c"), *(ROOT / "examples").glob("backing*.c")]
    return harness.libraries(harness.LIBDIR)["so4"].compile(program, sources)


@contextlib.contextmanager
def mounted(bench, program, source, *options):
    """The daemon; the file as it is reached through it."""
    command = [*FIRST, program, "-f", "-o", f"source={source}", *options, "{}"]
    with bench.mounted(command, "ours") as mount:
        yield mount.point / "file"
    if not options and "passthrough is on" not in mount.log:
        raise RuntimeError(f"passthrough was not on: {mount.log}")


def run_fio(load, path, megabytes):
    command = [
        *FIRST, "fio", "--name=bench", f"--filename={path}", f"--size={megabytes}m", "--invalidate=0", "--allow_file_create=0",
        "--output-format=json", "--randrepeat=0", "--norandommap", "--fallocate=none",
    ]
    if not any(option.startswith("--ioengine") for option in load.fio):
        command.append("--ioengine=psync")
    done = subprocess.run([*command, *load.fio], check=True, capture_output=True, text=True, timeout=300)
    job = json.loads(done.stdout)["jobs"][0]
    side = job["write" if "write" in load.name else "read"]
    if load.cold and "write" in load.name:
        # With the time of the fsync, which fio's rates leave out.
        return side["total_ios"] / (job["job_runtime"] / 1000)
    return side[load.counts]


def settle(path, cold):
    """What is dirty goes to the disk; then nothing of the file is in memory, or all of it."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
    if cold:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    else:
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 20):
                pass


def one_round(all_loads, paths, megabytes, number):
    for load in all_loads:
        figures = {}
        # Each way goes first as often as the others.
        order = WAYS[number % 3 :] + WAYS[: number % 3]
        for way in order:
            settle(paths[way], load.cold)
            figures[way] = run_fio(load, paths[way], megabytes)
        load.native.append(figures["native"])
        for way, ratios in load.ratios.items():
            ratios.append(figures[way] / figures["native"])


def rate(load):
    figure = statistics.median(load.native)
    if load.counts == "iops" or (load.cold and "write" in load.name):
        return f"{figure:,.0f}/s"
    return f"{figure / 1e6:,.0f} MB/s"


def table(all_loads):
    lines = [
        "| load | native | passthrough | of rounds | daemon | goal |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for load in all_loads:
        with_it, without = (statistics.median(load.ratios[way]) for way in ("passthrough", "daemon"))
        spread = f"{min(load.ratios['passthrough']):.2f} to {max(load.ratios['passthrough']):.2f}"
        met = "" if with_it >= load.goal else " (missed)"
        lines.append(
            f"| {load.title()} | {rate(load)} | **{with_it:.2f}** | {spread} | {without:.2f} | {load.goal:.2f}{met} |"
        )
    return "\n".join(lines)


def plot(all_loads, path):
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "passthrough"
    figure, axes = pyplot.subplots(figsize=(9, 5))
    height = 0.38
    for offset, way in ((-height / 2, "passthrough"), (height / 2, "daemon")):
        medians = [statistics.median(load.ratios[way]) for load in all_loads]
        low = [m - min(load.ratios[way]) for m, load in zip(medians, all_loads)]
        high = [max(load.ratios[way]) - m for m, load in zip(medians, all_loads)]
        places = [i + offset for i in range(len(all_loads))]
        axes.barh(places, medians, height, xerr=(low, high), error_kw={"elinewidth": 0.8}, label=way)
    axes.plot([load.goal for load in all_loads], range(len(all_loads)), "k|", markersize=14, label="goal")
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_yticks(range(len(all_loads)), [load.title() for load in all_loads])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.6)
    axes.set_xlabel("part of the native rate: median, smallest and largest of the rounds")
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def write_docs(all_loads, rounds):
    plot(all_loads, ROOT / "docs/passthrough.svg")
    page = ROOT / "docs/passthrough.md"
    kernel, cpus = os.uname().release.split("-")[0], os.cpu_count()
    text = f"Linux {kernel}, {cpus} processors, ext4; medians of {rounds} rounds.\n\n{table(all_loads)}"
    marks = r"(<!-- measured: benches/passthrough.py --docs -->\n).*?(<!-- end -->)"
    new, places = re.subn(marks, lambda m: f"{m[1]}{text}\n{m[2]}", page.read_text(), flags=re.S)
    if places != 1:
        sys.exit(f"{page}: the place of the table is not marked")
    page.write_text(new)


def measure(bench, all_loads, megabytes):
    """Fills in what each load reached."""
    if os.geteuid() != 0 or not shutil.which("fio"):
        raise Skipped("needs root and fio")
    with tempfile.TemporaryDirectory(prefix="fusewire-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        program = compile_example(Path(folder))
        source = Path(folder, "source")
        source.mkdir()
        with (source / "file").open("wb") as file:
            for _ in range(megabytes):
                file.write(os.urandom(1 << 20))
        with (
            mounted(bench, program, source) as passthrough,
            mounted(bench, program, source, "-o", "no_passthrough") as daemon,
        ):
            paths = {"native": source / "file", "passthrough": passthrough, "daemon": daemon}
            for number in range(bench.rounds):
                one_round(all_loads, paths, megabytes, number)


def run(bench):
    warm = [load for load in loads(bench.seconds) if not load.cold]
    measure(bench, warm, 64)
    ratios = {way: [statistics.median(load.ratios[way]) for load in warm] for way in WAYS[1:]}
    rows = [[load.name, rate(load), *(f"{r[i]:.2f}" for r in ratios.values())] for i, load in enumerate(warm)]
    return Section(
        "Passthrough",
        "fio on a file in memory: by its own file system, through `examples/passthrough.c`, and through the same daemon "
        "without passthrough, as parts of the native rate. More of it, and what is said of it: [passthrough](passthrough.md).",
        [Table("", ["load", "native", "passthrough", "daemon"], rows)],
        [Bars("passthrough", "File I/O, warm", "part of the native rate", [load.name for load in warm], ratios, 1)],
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--docs", action="store_true")
    options = parser.parse_args()
    all_loads = loads(seconds=1)
    try:
        with build.bench(options.rounds, seconds=1) as bench:
            measure(bench, all_loads, options.megabytes)
    except Skipped as why:
        sys.exit(f"passthrough: skipped, {why}")
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"\nfile I/O against the native file system, medians of {options.rounds} rounds (load average {load})")
    print(table(all_loads))
    if options.docs:
        write_docs(all_loads, options.rounds)


if __name__ == "__main__":
    main()
