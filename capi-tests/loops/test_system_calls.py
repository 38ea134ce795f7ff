"""A request costs two system calls: the one that receives it and the one that sends its reply."""

import os
import shutil
import subprocess

import pytest
from harness import REPO
from observe import COUNT_CALLS, calls

REQUESTS = 4000
# The start and the end of a daemon, and what a pool does when its threads come and go.
BESIDES = 600


@pytest.mark.parametrize("loop", ["single", "pool"])
def test_two_system_calls_for_each_request(library, guard, compiled, loop):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    program, log = compiled(library, REPO / "benches/bench_ll.c"), guard.work / "calls"
    command = [*COUNT_CALLS, log, program, "-f", *(["-s"] if loop == "single" else []), guard.mountpoint]
    daemon = guard.start(library, command).wait_mounted()
    guard.child(read_often, guard.mountpoint / "f", REQUESTS)
    # By the unmount: strace itself ends by no signal as long as its daemon runs.
    subprocess.run(["umount", guard.mountpoint], check=True, timeout=10)
    assert daemon.wait() == 0, daemon.output()
    made = calls(log)
    assert REQUESTS <= made["read"] <= REQUESTS + BESIDES, made
    assert REQUESTS <= made["writev"] <= REQUESTS + BESIDES, made
    # Of our pool: its thread looks at it every three milliseconds, and has a worker look at itself.
    looks = made.pop("poll", 0) if loop == "pool" else 0
    assert made.pop("getrusage", 0) <= 2 * looks + 10, looks
    assert sum(made.values()) <= 2 * REQUESTS + BESIDES, (made, looks)


def read_often(path, count):
    """So many READ requests: bench_ll's file is read past the page cache."""
    with path.open("rb", buffering=0) as file:
        for number in range(count):
            assert len(os.pread(file.fileno(), 4096, 4096 * (number % 1000))) == 4096
