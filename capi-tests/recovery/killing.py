"""The daemon under its keeper, what is done to it, and a process that asks all the time whether it serves."""

import ctypes
import os
import signal
import statistics
import time
from pathlib import Path

from harness import REPO, wait_until

from .running import CONTEXT

EXAMPLES = REPO / "examples"
STRICT = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pedantic")
SOURCES = [EXAMPLES / "recoverable.c"]
SOURCES += sorted([*EXAMPLES.glob("recoverable_*.c"), *EXAMPLES.glob("backing_*.c")])
BETWEEN_PROBES = 0.0005
# Daemons are killed soon after they begin, and are not to be delayed for that.
KEEPER_OPTIONS = ("--well-after", "0.001", "--max-delay", "0.05")
UPGRADE = signal.SIGHUP


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Kept:
    """The example daemon under fusewire-keep."""

    def __init__(self, guard, library, program, source, unlinked, *options):
        keeper = library.libdir / "fusewire-keep"
        command = [keeper, *KEEPER_OPTIONS, "--", program, "-f", f"--source={source}", f"--unlinked={unlinked}"]
        self.keeper = guard.start(library, [*command, *options, guard.mountpoint]).wait_mounted()
        library.assert_serves(self.pid())

    def pid(self):
        """The daemon's; 0 while there is none. During an upgrade the older one's, which serves."""
        return next(iter(children(self.keeper.pid)), 0)

    def kill(self):
        """Kills the daemon that runs now, and nobody else. When that was."""
        pid = wait_until(self.pid, "a daemon under the keeper")
        os.kill(pid, signal.SIGKILL)
        return time.monotonic()

    def upgrade(self):
        now = time.monotonic()
        self.keeper.signal(UPGRADE)
        return now


class Prober:
    """Asks for something that the kernel never remembers, all the time, and notes how long each answer took."""

    def __init__(self, mountpoint):
        self.answered = CONTEXT.Value(ctypes.c_double, 0, lock=False)  # when the last answered question was asked
        self.stop = CONTEXT.Event()
        self.receive, send = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=self._run, args=(send, mountpoint))
        self.process.start()
        send.close()

    def _run(self, send, mountpoint):
        probes, errors = [], []
        while not self.stop.is_set():
            begin = time.monotonic()
            try:
                os.statvfs(mountpoint)
            except OSError as error:
                errors.append(f"statvfs: {error}")
                break
            probes.append((begin, time.monotonic()))
            self.answered.value = begin
            time.sleep(BETWEEN_PROBES)
        send.send((probes, errors))

    def served_since(self, moment):
        return self.answered.value > moment

    def finish(self):
        """The probes, as (asked, answered), and errors."""
        self.stop.set()
        probes, errors = self.receive.recv() if self.receive.poll(10) else ([], ["the prober hangs"])
        self.process.join(5)
        return probes, errors


def served_again(probes, moments):
    """For each moment the time in ms until something was served that was asked for after it."""
    answers = [min((end for begin, end in probes if begin > moment), default=None) for moment in moments]
    return [(answer - moment) * 1000 for answer, moment in zip(answers, moments) if answer]


def stall(probes, moment, until):
    """The longest wait in ms for an answer, from one moment to another."""
    return max(((end - begin) * 1000 for begin, end in probes if end > moment and begin < until), default=float("nan"))


def figures(times):
    """Median and worst."""
    return (statistics.median(times), max(times)) if times else (float("nan"), float("nan"))
