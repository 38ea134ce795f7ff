"""A pool whose callbacks were fast meets slow ones: nobody waits for them but who asked. And looking for requests before
sleeping for them (`busy_poll`)."""

import os
import threading
import time
from pathlib import Path

import pytest
from harness import REPO

BENCH = REPO / "benches/bench_ll.c"
NAP = 0.1


@pytest.fixture(params=["so4", "so3"])
def ours(request, libs):
    return libs[request.param]


def read_often(path, seconds):
    """Fast requests, until the time is over: the pool is lean by then. How many there were."""
    with path.open("rb", buffering=0) as file:
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            assert len(os.pread(file.fileno(), 4096, 4096 * (count % 1000))) == 4096
            count += 1
    return count


def read_slow(path):
    with path.open("rb", buffering=0) as file:
        assert len(os.pread(file.fileno(), 4096, 0)) == 4096


def test_slow_callbacks_after_fast_ones(ours, guard, compiled):
    program = compiled(ours, BENCH)
    environment = {"BENCH_SLEEP_MS": str(int(NAP * 1000))}
    command = [program, "-f", "-o", "max_threads=20", guard.mountpoint]
    daemon = guard.start(ours, command, env=environment).wait_mounted()
    guard.child(read_often, guard.mountpoint / "f", 0.3)
    guard.child(slow_together, guard.mountpoint)
    guard.child(read_often, guard.mountpoint / "f", 0.1)
    daemon.stop()


def slow_together(mountpoint):
    """Sixteen slow reads and a fast one take about as long as one: one after the other they would take sixteen times that."""
    begin = time.monotonic()
    readers = [threading.Thread(target=read_slow, args=(mountpoint / "s",)) for _ in range(16)]
    for reader in readers:
        reader.start()
    read_slow(mountpoint / "f")
    for reader in readers:
        reader.join()
    assert time.monotonic() - begin < 8 * NAP


@pytest.mark.parametrize("loop", [[], ["-s"]], ids=["pool", "single"])
def test_busy_poll(ours, guard, compiled, loop):
    program = compiled(ours, BENCH)
    daemon = guard.start(ours, [program, "-f", *loop, "-o", "busy_poll=200", guard.mountpoint]).wait_mounted()
    guard.child(read_often, guard.mountpoint / "f", 0.3)
    # Nothing polls for ever.
    before = processor_time(daemon.pid)
    time.sleep(0.5)
    assert processor_time(daemon.pid) - before < 0.1
    daemon.stop()


def processor_time(pid):
    """Seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("value", ["", "x", "-1", "10001", "1.5"])
def test_times_that_cannot_be_meant(ours, guard, compiled, value):
    daemon = guard.start(ours, [compiled(ours, BENCH), "-f", "-o", f"busy_poll={value}", guard.mountpoint])
    assert daemon.wait() != 0
    assert f"busy_poll={value}" in daemon.output() and "microseconds" in daemon.output()
