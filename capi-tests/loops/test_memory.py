"""Memory follows what is in use: it does not grow with requests served, and receive buffers are there as far as they are
used."""

import os
import re
import shutil

import pytest
from harness import REPO
from observe import TRACE_MAPPINGS, pages, present, receive_buffers

# Twice as many may be in flight in an unlucky moment as before, and their slots are kept. The smallest thing that malloc(3)
# gives, left by each request, would add thirty megabytes.
SLACK_KIB = 2048


@pytest.mark.parametrize("mode, threads", [("same", 1), ("other", 4)])
def test_a_million_requests_leave_nothing(library, guard, compiled, mode, threads):
    """In flight 10,000 at a time, answered by the thread that received them, and by another."""
    program = compiled(library, REPO / "benches/scale_bench.c")
    done = guard.run(library, [program, mode, threads, 10_000, 1_000_000 // threads], timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    grown = int(re.search(r"^grown_kib (-?\d+)", done.stdout, re.M).group(1))
    assert grown < SLACK_KIB, done.stdout


@pytest.mark.parametrize("name", ["so4", "so3"])
def test_receive_buffers_are_as_negotiated_and_touched_when_used(libs, guard, compiled, name):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    library, log, max_write = libs[name], guard.work / "mapped", 128 << 10
    program = compiled(library, REPO / "benches/bench_ll.c")
    command = [*TRACE_MAPPINGS, log, program, "-f", guard.mountpoint]
    daemon = guard.start(library, command, env={"BENCH_MAX_WRITE": str(max_write)}).wait_mounted()
    guard.children([(look_up, guard.mountpoint)] * 8)
    buffers = receive_buffers(log)
    sizes = [pages(size) for _, size in buffers]
    # The first worker is there before the negotiation, and has the second started when it takes INIT.
    assert len(buffers) > 2 and all(pages(max_write) < size <= pages(max_write) + 2 for size in sizes[2:]), sizes
    assert max(present(daemon.pid, *buffer) for buffer in buffers) <= 2
    guard.children([(write, guard.mountpoint / "f", max_write)] * 8)
    assert max(present(daemon.pid, *buffer) for buffer in buffers) > pages(max_write)


def look_up(mountpoint):
    for number in range(300):
        assert (mountpoint / f"d/e{number}").stat().st_ino == 100 + number


def write(path, size):
    fd = os.open(path, os.O_WRONLY)
    for _ in range(20):
        assert os.pwrite(fd, bytes(size), 0) == size
    os.close(fd)
