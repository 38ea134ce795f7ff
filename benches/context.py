"""What every case is given: the libraries, the compiled programs, how long to measure, and how to run and to mount."""

import contextlib
import os
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "capi-tests"))
import harness  # noqa: E402  the tests' guards: own folder, time limits, unmounted and ended whatever happens
from report import Skipped  # noqa: E402


def median_of(figures):
    """{way: [figures of the rounds]} -> {way: median}; figures may be dictionaries themselves."""
    medians = {}
    for way, rounds in figures.items():
        if isinstance(rounds[0], dict):
            medians[way] = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        else:
            medians[way] = statistics.median(rounds)
    return medians


def named(case, clients, what=None):
    """How a load is called on the page."""
    return f"{what or case}, {clients} client{'s' * (clients > 1)}"


@dataclass
class Mounted:
    """A daemon and its mount. The CPU seconds are there once it has been unmounted: bench_ll and raw print them."""

    point: Path
    pid: int
    guard: harness.Guard
    user: float = 0.0
    system: float = 0.0
    log: str = ""

    @property
    def cpu(self):
        return self.user + self.system


@dataclass
class Bench:
    programs: Path  # the folder of the compiled programs, of this run's own
    rounds: int
    seconds: float  # of one measurement
    libraries: dict  # "system", "ours": harness.Library
    processor: int  # where pinned ways run

    def program(self, name):
        return self.programs / name

    def turns(self, ways, rounds=None, beside=()):
        """Calls each way's function (name -> function) once a round, another one first each time; all their results. Ways
        that only stand beside what is compared have no more rounds than the usual ones."""
        figures = {name: [] for name in ways}
        for number in range(rounds or self.rounds):
            names = [name for name in ways if number < self.rounds or name not in beside]
            start = number % len(names)
            for name in names[start:] + names[:start]:
                figures[name].append(ways[name]())
        return figures

    def medians(self, ways, rounds=None, beside=()):
        return median_of(self.turns(ways, rounds, beside))

    def on(self, command, pinned):
        """The command, on the processor of pinned ways if it is to be."""
        prefix = ["taskset", "-c", self.processor] if pinned else []
        return [str(part) for part in (*prefix, *command)]

    def run(self, command, library="system", pinned=False, env=None, timeout=60):
        """A program that ends by itself: what it printed, on stdout and on stderr."""
        command = self.on(command, pinned)
        done = subprocess.run(
            command, env=self.libraries[library].env(env), capture_output=True, text=True, timeout=timeout
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr[-500:]}")
        return done.stdout + done.stderr

    @contextlib.contextmanager
    def mounted(self, command, library="system", pinned=False, env=None):
        """The daemon `command MOUNTPOINT`; {} in the command is the mountpoint, should it not be last."""
        if os.geteuid() != 0:
            raise Skipped("it mounts, which needs root")
        guard = harness.Guard()
        try:
            command = self.on(command, pinned)
            if "{}" not in command:
                command.append("{}")
            argv = [guard.mountpoint if part == "{}" else part for part in command]
            daemon = guard.start(self.libraries[library], argv, env=env).wait_mounted()
            mount = Mounted(guard.mountpoint, daemon.pid, guard)
            yield mount
            harness.check(harness.LIBC.umount2(os.fsencode(mount.point), harness.MNT_DETACH))
            daemon.wait()
            mount.log = daemon.output()
            if printed := re.search(r"daemon-cpu user ([\d.]+) sys ([\d.]+)", mount.log):
                mount.user, mount.system = map(float, printed.groups())
        finally:
            guard.close()

    @contextlib.contextmanager
    def daemon(self, library, *options, pinned=False, env=None):
        """bench_ll in the foreground on a library."""
        with self.mounted([self.program("bench_ll"), "-f", *options, "{}"], library, pinned, env) as mount:
            self.libraries[library].assert_serves(mount.pid)
            yield mount

    def serving(self, way, pinned=False, env=None):
        """A way by name: ("raw",), or a library and the options of bench_ll."""
        library, *options = way
        if library == "raw":
            return self.raw(pinned=pinned, env=env)
        return self.daemon(library, *options, pinned=pinned, env=env)

    def takes(self, *options):
        """Whether our library knows the options of a mount."""
        try:
            with self.daemon("ours", *options):
                return True
        except AssertionError:
            return False

    def raw(self, threads=1, pinned=False, env=None):
        return self.mounted([self.program("raw"), "{}", threads], "system", pinned, env)

    def load(self, mount, case, clients=1, seconds=None, requests=None, pinned=False):
        """What the load reached: operations a second. With `requests`, so many by each client, however long it takes."""
        seconds = self.seconds if seconds is None else seconds
        command = [self.program("load"), mount.point, seconds, case, clients, *([requests] if requests else [])]
        done = mount.guard.run(self.libraries["system"], self.on(command, pinned), timeout=60 + seconds)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr[-500:]}\n{mount.guard.logs()}")
        return float(done.stdout.split()[2])
