#!/usr/bin/env python3
"""Compares this library with the system's libfuse and with a bare read/writev loop, and writes docs/performance.md.

usage: benches/run.py [--only CASE,...] [--rounds N] [--seconds S] [--page]     (as root, for what mounts)

Without --only all cases run, in under ten minutes. What each found is kept in target/bench/<case>.json; --page makes the
page of what is there. A case that fails is named, on the page too, and loses nothing of the others: the exit status says it.

A case is a module of this folder with one function:

    def run(bench) -> Section          (or a list of them)

`bench` (context.Bench) has the compiled programs (every benches/*.c), rounds and seconds, the libraries "system" and
"ours", and what runs and mounts with time limits and cleans up whatever happens:

    bench.turns({name: function, ...})      calls each in turn, `rounds` times: {name: [results]}; bench.medians() of that
    bench.run(command, "ours", pinned=True) a program that ends by itself: its output
    with bench.daemon("ours", "-s", "-o", "clone_fd", pinned=True, env={...}) as mount:      bench_ll; also bench.raw()
        bench.load(mount, "read4k", clients=4)      operations a second; mount.point, mount.pid for anything else
    mount.user, mount.system, mount.log     its CPU seconds and what it said, after the `with`

Every figure of time is a median of at least five such rounds and every claim a ratio of two of them. A Section (report.py)
is a title, a sentence, tables (text above, header, rows of text), plots (Bars) and goals. `raise Skipped("why")` where
something is missing. A new case goes into CASES: {name: seconds that it may take}.
"""

import argparse
import importlib
import json
import multiprocessing
import shutil
import sys
import time
import traceback

import build
import report
from context import ROOT, harness

# In the order of the page. The seconds are what a case should take at most; the runner says when one takes longer.
CASES = {
    "dispatch": 30,
    "kernel": 115,
    "unpinned": 125,
    "cpu": 75,
    "uring": 65,
    "data": 115,
    "memory": 30,
    "scale": 35,
    "passthrough": 60,
    "recovery": 30,
}
OVERTIME = 3  # times its seconds, and a case is ended
RESULTS = harness.TARGET / "bench"


def sections_of(name, bench):
    """What a case found; one that fails says so itself. The second is whether it failed."""
    try:
        sections = importlib.import_module(name).run(bench)
        return (sections if isinstance(sections, list) else [sections]), False
    except report.Skipped as why:
        return [report.Section(name, f"Skipped: {why}.")], False
    except Exception as error:
        traceback.print_exc()
        return [failure(name, f"{type(error).__name__}: {error}")], True


def failure(name, why):
    return report.Section(name, f"**Failed**: {why.splitlines()[0]}")


def in_child(name, bench):
    """The same in a process of its own, which a limit ends, whatever it waits for."""
    strange = harness.mounts("")  # all that are there already
    receive, send = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=lambda: send.send(sections_of(name, bench)))
    child.start()
    send.close()
    try:
        if receive.poll(OVERTIME * CASES[name]):
            return receive.recv()
        return [failure(name, f"it took longer than {OVERTIME} times what it should")], True
    except EOFError:
        return [failure(name, "its process died")], True
    finally:
        # Of a case that has come to its end nothing is mounted any more. Otherwise that wakes it, and it can clean up.
        for mount in harness.mounts(""):
            if mount not in strange and mount.fstype.startswith("fuse"):
                harness.abort(mount.connection)
        child.join(10)
        child.kill()
        child.join()


def run_case(name, bench):
    started = time.monotonic()
    sections, failed = in_child(name, bench)
    for section in sections:
        print(report.text_of(section), flush=True)
    took = time.monotonic() - started
    late = f", more than the {CASES[name]} s that it has" if took > CASES[name] else ""
    print(f"  ({name}: {took:.0f} s{late})", flush=True)
    return sections, failed


def keep(name, sections):
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps([report.plain(section) for section in sections], indent=1))


def kept():
    files = {name: RESULTS / f"{name}.json" for name in CASES}
    if missing := [name for name, file in files.items() if not file.exists()]:
        sys.exit(f"no page is made: these did not run yet: {', '.join(missing)}")
    return [report.section_of(one) for file in files.values() for one in json.loads(file.read_text())]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help=f"some of: {','.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--page", action="store_true", help="write docs/performance.md")
    options = parser.parse_args()
    options.only = [name for name in options.only.split(",") if name]
    if unknown := set(options.only) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    return options


def main():
    options = arguments()
    if not options.only:
        shutil.rmtree(RESULTS, ignore_errors=True)
    failures = []
    with build.bench(options.rounds, options.seconds) as bench:
        for name in options.only or CASES:
            sections, failed = run_case(name, bench)
            keep(name, sections)
            failures += [name] if failed else []
    if options.page:
        report.write_page(ROOT / "docs", build.machine(), kept())
    if failures:
        sys.exit(f"failed: {', '.join(failures)}")


if __name__ == "__main__":
    main()
