"""A daemon under a mixed load of sixteen processes: nothing is wrong, nothing grows.

The daemon is the distribution's passthrough_ll, compiled unchanged. SOAK_SECONDS sets for how long (`make soak`: half an
hour), SOAK_REPORT names a file that gets the samples as CSV, for a plot.
"""

import csv
import os
import statistics
import threading
import time
from pathlib import Path

import pytest
from .loads import LOADS, work

SECONDS = float(os.environ.get("SOAK_SECONDS", "120"))
THREADS = 10
# A load ends its round first, with the machine full.
GRACE = 120


def sample(pid):
    """Memory in kB, file descriptors, threads."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]), len(os.listdir(f"/proc/{pid}/fd")), int(status["Threads"])


class Sampler(threading.Thread):
    """Looks at a process at regular times, until it is told to stop."""

    def __init__(self, pid, interval):
        super().__init__()
        self.pid, self.interval, self.samples, self.done = pid, interval, [], threading.Event()

    def run(self):
        begin = time.monotonic()
        while not self.done.wait(self.interval):
            self.samples.append((time.monotonic() - begin, *sample(self.pid)))

    def stop(self):
        self.done.set()
        self.join()
        return self.samples


def check_flat(samples):
    """The last quarter is no higher than the second, as far as a load of this kind is even."""
    quarter = len(samples) // 4
    for column, what, factor, room in ((1, "kB of memory", 1.15, 4096), (2, "fds", 1.5, 64), (3, "threads", 1.0, 4)):
        early = statistics.median(row[column] for row in samples[quarter : 2 * quarter])
        late = statistics.median(row[column] for row in samples[-quarter:])
        assert late <= early * factor + room, f"{what} grew from {early} to {late}"


def test_growth_is_seen():
    flat = [(second, 5000, 10, 4) for second in range(40)]
    check_flat(flat)
    for column in (1, 2, 3):
        grown = [row[:column] + (row[column] * (1 + second),) + row[column + 1 :] for second, row in enumerate(flat)]
        with pytest.raises(AssertionError, match="grew"):
            check_flat(grown)


@pytest.mark.timeout(SECONDS + 2 * GRACE)
def test_soak(libs, guard, example, monkeypatch):
    monkeypatch.setenv("FUSEWIRE_LIBDIR", str(libs["so4"].libdir))
    source = guard.folder("source")
    # A pool that is as large as it may be early on: what grows after that is a leak.
    options = f"cache=auto,max_idle_threads={THREADS},source={source}"
    command = [example(libs["so4"], "passthrough_ll"), "-f", "-o", options, guard.mountpoint]
    daemon = guard.daemon(libs["so4"], command)
    sampler = Sampler(daemon.pid, min(1.0, SECONDS / 60))
    sampler.start()
    try:
        end = time.monotonic() + SECONDS
        calls = [(work, load, number, guard.mountpoint, end, time.monotonic) for number, load in enumerate(LOADS)]
        rounds = dict(guard.children(calls, timeout=SECONDS + GRACE))
    finally:
        samples = sampler.stop()
    if report := os.environ.get("SOAK_REPORT"):
        with open(report, "w", newline="") as file:
            csv.writer(file).writerows([("seconds", "rss_kb", "fds", "threads"), *samples])
    print(f"{len(LOADS)} processes, {SECONDS:.0f} s, rounds: {rounds}")
    assert all(rounds.values()), f"some did not end one round: {rounds}"
    check_flat(samples)
    assert guard.child(os.listdir, guard.mountpoint) == []
    # Of its own, apart from complaints of the daemon: a library that is well has nothing to say.
    assert "fuse: " not in daemon.output(), daemon.output()
    daemon.stop()
