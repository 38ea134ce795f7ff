"""Large data goes from file to device without coming to the daemon's memory where the daemon wants splice; directories of
many entries are whole.

covers: fuse_reply_data, fuse_buf_copy, fuse_add_direntry_plus
"""

import mmap
import os
import shutil
import subprocess

import pytest
from harness import REPO
from observe import COUNT_CALLS, calls

# With its head it fits into a pipe of the size that every user may have.
SIZE = 512 << 10
COUNT = 100
ENTRIES = 10_000


def memory():
    """Whole pages, which are there: else the kernel makes several requests of one call."""
    pages = mmap.mmap(-1, SIZE)
    pages[:] = b"x" * SIZE
    return pages


def read_often(path):
    fd, into = os.open(path, os.O_RDONLY), memory()
    for number in range(COUNT):
        assert os.preadv(fd, [into], number * SIZE) == SIZE
    os.close(fd)


def write_often(path):
    """Through the page cache and past it."""
    fd, data = os.open(path, os.O_WRONLY), memory()
    for number in range(COUNT):
        assert os.pwrite(fd, data, number * SIZE) == SIZE
    os.close(fd)


@pytest.mark.parametrize("name", ["so4", "so3"])
@pytest.mark.parametrize("wanted", ["BENCH_SPLICE", "BENCH_FILE"], ids=["splice", "copy"])
def test_data_does_not_come_to_memory_where_splice_is_wanted(libs, guard, compiled, name, wanted):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    library, log = libs[name], guard.work / "calls"
    program = compiled(library, REPO / "benches/bench_ll.c")
    env = {wanted: "1", "BENCH_MAX_WRITE": str(SIZE)}
    daemon = guard.start(library, [*COUNT_CALLS, log, program, "-f", "-s", guard.mountpoint], env=env).wait_mounted()
    guard.child(read_often, guard.mountpoint / "f")
    for file in "cf":
        guard.child(write_often, guard.mountpoint / file)
    # By the unmount: strace itself ends by no signal as long as its daemon runs.
    subprocess.run(["umount", guard.mountpoint], check=True, timeout=10)
    assert daemon.wait() == 0, daemon.output()
    made = calls(log)
    spliced, copied = made.get("splice", 0), made.get("pread64", 0) + made.get("pwrite64", 0)
    if wanted == "BENCH_SPLICE":
        # Two for each; the first large writes show the library that they have begun, and that they go on to a file.
        assert spliced >= 6 * COUNT - 20 and copied <= 20, made
    else:
        assert spliced == 0 and copied >= 3 * COUNT, made


def list_all(path):
    with os.scandir(path) as entries:
        return [(entry.name, entry.inode()) for entry in entries]


def test_readdirplus_of_many_entries(library, guard, compiled):
    program = compiled(library, REPO / "benches/bench_ll.c")
    guard.daemon(library, [program, "-f", guard.mountpoint], env={"BENCH_ENTRIES": str(ENTRIES)})
    for _ in range(2):
        listed = guard.child(list_all, guard.mountpoint / "d")
        assert listed == [(f"e{number}", 100 + number) for number in range(ENTRIES)]
