"""The load as processes, and the outcome of all that they did."""

import ctypes
import multiprocessing
import random
import time
import traceback
from pathlib import Path

from soak.loads import FSX, fsx, model

from .names import names
from .shared import differences as shared_differences
from .shared import prepare, shared
from .tally import PATIENCE, GiveUp, Tally, total
from .unlinked import unlinked

CONTEXT = multiprocessing.get_context("fork")
SHARED = 3
# What ends by itself after the load was told to.
GRACE = 60.0


def rounds(load):
    """A load of the soak test, again and again."""

    def run(folder, dice, tally, end):
        while not end():
            tally.whole(load, folder, dice)
            for path in folder.iterdir():
                tally.do(path.unlink, what=f"unlink {path}")

    run.__name__ = load.__name__
    return run


class Worker:
    """One process. Its clock shows when the operation began that it waits for."""

    def __init__(self, name, load, stop, *args):
        self.name = name
        self.clock = CONTEXT.Value(ctypes.c_double, 0, lock=False)
        self.receive, send = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=self._run, args=(send, load, stop, args))
        self.process.start()
        send.close()

    def _run(self, send, load, stop, args):
        tally, result = Tally(self.clock), None
        try:
            result = load(*args, tally, stop.is_set)
        except GiveUp:
            pass
        except BaseException:  # all of it belongs to the parent
            tally.errors.append(traceback.format_exc())
        send.send((result, tally.report()))

    def hangs(self):
        began = self.clock.value
        return began != 0 and time.monotonic() - began > PATIENCE

    def result(self, limit):
        """What it gave back and its report; None if there is none in time."""
        if not self.receive.poll(max(0, limit)):
            return None
        try:
            return self.receive.recv()
        except EOFError:
            return None


class Load:
    """Eight processes on a mount. What they did is compared with what is in the backing folder afterwards."""

    @staticmethod
    def prepare(source):
        """Makes what has to be there before."""
        prepare(source / "shared")
        for name in ("model", "fsx", "unlinked", "names0", "names1"):
            (source / name).mkdir()

    def __init__(self, mountpoint, seed=1):
        self.stop = CONTEXT.Event()
        mountpoint = Path(mountpoint)
        loads = [("model", rounds(model)), ("unlinked", unlinked), ("names0", names), ("names1", names)]
        # Without fsx, which make setup installs, there is a second of the other that works inside of files.
        loads.append(("fsx", rounds(fsx) if FSX.exists() else rounds(model)))
        self.workers = [
            Worker(name, load, self.stop, mountpoint / name, random.Random(f"{seed} {name}")) for name, load in loads
        ]
        self.workers += [
            Worker(f"shared{i}", shared, self.stop, mountpoint / "shared", i, random.Random(f"{seed} {i}"))
            for i in range(SHARED)
        ]

    def hung(self):
        return [worker.name for worker in self.workers if worker.hangs()]

    def finish(self, break_mounts):
        """Ends it. What the processes gave back by name, and what they say together."""
        self.stop.set()
        end, results, reports = time.monotonic() + GRACE, {}, []
        for worker in self.workers:
            outcome = worker.result(end - time.monotonic())
            if outcome is None:
                reports.append({"done": 0, "errors": [], "hangs": [f"{worker.name} does not end"], "lost": [], "doubled": []})
                break_mounts()
                worker.process.kill()
                end = time.monotonic() + 5
                continue
            results[worker.name], report = outcome
            reports.append(report)
        for worker in self.workers:
            worker.process.join(5)
        return results, total(reports), sum(report["done"] for report in reports)


def compare(source, results, outcome):
    """Adds to the outcome what in the backing folder is not as the processes left it."""

    def add(lost, doubled):
        outcome["lost"] += lost
        outcome["doubled"] += doubled

    for name in ("names0", "names1"):
        if results.get(name):
            add(*results[name].differences(source / name))
    everybody = [results.get(f"shared{i}") for i in range(SHARED)]
    if all(everybody):
        add(*shared_differences(source / "shared", everybody))
    if results.get("unlinked") and (source / "unlinked").exists():
        add([], [f"{source / 'unlinked'} was removed and is there"])
