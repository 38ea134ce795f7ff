"""Data that goes from file to file through pipes arrives whole, with many at once, without pipes, and cut short.

covers: fuse_reply_data, fuse_buf_copy
"""

import mmap
import os
import random
import resource
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("spliced_file.c")
REGION = 4 << 20
PROCESSES = 8
SIZES = [1, 4095, 4096, 4097, 65536, 131072, 262144, 1 << 20]


@pytest.fixture
def start(library, guard, compiled):
    """start(*options): the daemon and its backing file."""
    backing = guard.work / "backing"
    backing.write_bytes(bytes(PROCESSES * REGION))

    def start(*options):
        program = compiled(library, SOURCE, flags=("-Wall", "-Wextra", "-Werror"))
        return guard.daemon(library, [program, "-f", *options, f"--backing={backing}", guard.mountpoint]), backing

    return start


def pipes(pid):
    """How many ends of pipes the daemon has open, its standard streams left out."""
    folder = Path(f"/proc/{pid}/fd")
    return sum(os.readlink(fd).startswith("pipe:") for fd in folder.iterdir() if int(fd.name) > 2)


def random_bytes(region):
    return random.Random(region).randbytes(REGION)


def write_region(path, region, flags):
    """In pieces of every size; those of O_DIRECT are whole pages."""
    data = random_bytes(region)
    memory = mmap.mmap(-1, max(SIZES))
    fd = os.open(path, os.O_RDWR | flags)
    at, turn = 0, region
    while at < REGION:
        size = min(SIZES[turn % len(SIZES)], REGION - at)
        if flags:
            size = max(size // 4096 * 4096, 4096)
        memory[:size] = data[at : at + size]
        assert os.pwritev(fd, [memoryview(memory)[:size]], region * REGION + at) == size
        at, turn = at + size, turn + 1
    os.close(fd)


def check_region(path, region, flags):
    memory = mmap.mmap(-1, max(SIZES))
    data = random_bytes(region)
    fd = os.open(path, os.O_RDONLY | flags)
    for size in (131072, 1 << 20):
        for at in range(0, REGION, size):
            assert os.preadv(fd, [memoryview(memory)[:size]], region * REGION + at) == size
            assert memory[:size] == data[at : at + size], (region, at)
    os.close(fd)


def all_at_once(guard, work, flags):
    path = str(guard.mountpoint / "file")
    guard.children([(work, path, region, flags if region % 2 else 0) for region in range(PROCESSES)])


@pytest.mark.parametrize("options", [("-s",), (), ("--direct",)], ids=["single", "threads", "direct"])
def test_eight_at_once(start, guard, options):
    daemon, backing = start(*options)
    all_at_once(guard, write_region, os.O_DIRECT)
    whole = backing.read_bytes()
    for region in range(PROCESSES):
        assert whole[region * REGION : (region + 1) * REGION] == random_bytes(region), region
    all_at_once(guard, check_region, os.O_DIRECT)
    before = pipes(daemon.pid)
    all_at_once(guard, check_region, os.O_DIRECT)
    threads = len(os.listdir(f"/proc/{daemon.pid}/task"))
    print(f"{before} ends of pipes, then {pipes(daemon.pid)}, {threads} threads")
    # One pipe for what comes and one for what goes; a thread more may have come up.
    assert pipes(daemon.pid) <= 4 * threads
    assert daemon.stop() == 0


def test_no_file_descriptors_left(start, guard):
    """No pipe can be made: everything is copied."""
    daemon, backing = start("-s")
    highest = max(int(fd) for fd in os.listdir(f"/proc/{daemon.pid}/fd"))
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (highest + 1, highest + 1))
    before = pipes(daemon.pid)
    path = str(guard.mountpoint / "file")
    guard.child(write_region, path, 0, 0)
    assert backing.read_bytes()[:REGION] == random_bytes(0)
    guard.child(check_region, path, 0, os.O_DIRECT)
    assert pipes(daemon.pid) == before
    assert daemon.stop() == 0


def read_all(path):
    fd = os.open(path, os.O_RDONLY)
    got = b""
    while piece := os.pread(fd, 131072, len(got)):
        got += piece
    return got


def test_backing_file_is_cut(start, guard):
    """A reply has what was read, whatever the attributes promised."""
    daemon, backing = start("--direct")
    data = random_bytes(1)
    backing.write_bytes(data)
    path = str(guard.mountpoint / "file")
    assert guard.child(read_all, path) == data
    for size in (131072 + 70001, 131072, 100001, 1, 0):
        os.truncate(backing, size)
        assert guard.child(read_all, path) == data[:size], size
    assert daemon.stop() == 0
