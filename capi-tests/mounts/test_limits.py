"""Limits that INIT agrees on, aborts and timeouts, seen on the running kernel."""

import contextlib
import errno
import fcntl
import mmap
import os
import re
import subprocess
from pathlib import Path

import pytest
from harness import CONNECTIONS, abort, mounts
from telling import ABORT_ERROR, FOPEN_DIRECT_IO, HAS_RESEND, REQUEST_TIMEOUT, lines, skip_without, write_to


def connection_of(guard):
    return CONNECTIONS / mounts(guard.mountpoint)[-1].connection


def test_background_limits(library, told, guard):
    daemon = told("-o", "max_background=20,congestion_threshold=7", library=library)
    guard.child(os.stat, guard.mountpoint)
    limits = [int((connection_of(guard) / name).read_text()) for name in ("max_background", "congestion_threshold")]
    assert limits == [20, 7]
    daemon.stop()


MAX_PAGES = Path("/proc/sys/fs/fuse/max_pages_limit")


@contextlib.contextmanager
def max_pages(pages):
    """The system's limit; other tests may want another."""
    with MAX_PAGES.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = MAX_PAGES.read_text()
        try:
            MAX_PAGES.write_text(str(pages))
            yield
        finally:
            MAX_PAGES.write_text(before)


MIB = 1 << 20


@pytest.mark.parametrize("wanted, largest", [(4 * MIB, 4 * MIB), (64 * MIB, 4 * MIB), (MIB, MIB), (12345, 12345)])
def test_large_writes(told, guard, wanted, largest):
    """Beyond 1 MiB where the system allows it, buffers included; what is asked for beyond that is cut to it."""
    if not MAX_PAGES.exists():
        pytest.skip("the kernel has no max_pages_limit")
    data = mmap.mmap(-1, 4 * MIB)  # begins with a page, as one page more would not fit
    data[:] = bytes(range(256)) * (len(data) // 256)

    def use(path):
        write_to(path, data, os.O_CREAT | os.O_WRONLY)
        return path.read_bytes() == data[:]

    with max_pages((4 * MIB) // mmap.PAGESIZE):
        daemon = told("-o", f"max_write={wanted}", open_flags=FOPEN_DIRECT_IO)
        assert guard.child(use, guard.mountpoint / "file")
        sizes = [int(size) for size in re.findall(r"write of (\d+)", daemon.output())]
        assert sizes[0] == largest and sum(sizes) == len(data)
        daemon.stop()


# ---- the end ----


@pytest.mark.parametrize("loop", [(), ("--threads",), ("--own-loop",)], ids=["single", "threads", "own"])
@pytest.mark.parametrize("flags, result", [(0, 0), (ABORT_ERROR, -errno.ECONNABORTED)])
def test_abort(told, guard, loop, flags, result):
    """With ABORT_ERROR the loops tell an abort from an unmount."""
    daemon = told(*loop, init_flags=flags)
    skip_without(daemon, flags=flags)
    guard.child(os.stat, guard.mountpoint)
    abort(connection_of(guard).name)
    daemon.wait()
    assert lines(daemon, "loop returned") == [f"loop returned {result}"]


def test_abort_error_leaves_an_unmount_alone(told, guard):
    daemon = told(init_flags=ABORT_ERROR | HAS_RESEND)
    skip_without(daemon, flags=ABORT_ERROR | HAS_RESEND)
    guard.child(os.stat, guard.mountpoint)
    subprocess.run(["umount", guard.mountpoint], check=True, timeout=10)
    daemon.wait()
    assert lines(daemon, "loop returned") == ["loop returned 0"]


def test_resend(told, guard):
    """A request that the kernel sends again says so, and keeps its number."""
    daemon = told()
    skip_without(daemon, flags=HAS_RESEND)
    assert guard.child(os.path.exists, guard.mountpoint / "again") is False
    assert lines(daemon, "sent again") == ["sent again, number unchanged"]
    daemon.stop()


def test_request_timeout(unanswered):
    """The kernel aborts the connection. It looks every 15 seconds, and allows no request less."""
    daemon, asking = unanswered
    skip_without(daemon, flags=REQUEST_TIMEOUT)
    asking.wait(60)
    assert daemon.wait() == 0
    assert lines(daemon, "loop returned") == ["loop returned 0"]
