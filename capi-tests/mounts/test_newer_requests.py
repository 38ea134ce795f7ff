"""Requests that came after libfuse 3.14, so that nothing can be compared: what the running kernel sends, arrives."""

import ctypes
import errno
import os
import struct
from pathlib import Path

import pytest
from harness import LIBC, check

SOURCE = Path(__file__).with_name("newer_requests.c")
AT_FDCWD, AT_SYMLINK_FOLLOW, AT_STATX_FORCE_SYNC = -100, 0x400, 0x2000
STATX_BASIC_STATS, STATX_BTIME = 0x7FF, 0x800
GIB = 1 << 30


@pytest.fixture
def root(libs, guard, compiled):
    program = compiled(libs["so4"], SOURCE, flags=("-Wall", "-Wextra", "-Werror"))
    daemon = guard.daemon(libs["so4"], [program, "-f", guard.mountpoint])
    yield guard.mountpoint
    assert daemon.stop() == 0


def ask(mountpoint, name):
    return int(os.getxattr(mountpoint, f"user.{name}"))


def statx(path, flags, mask):
    """struct statx, of which these tests read the mask, the size and the birth time."""
    buffer = ctypes.create_string_buffer(256)
    check(LIBC.statx(AT_FDCWD, os.fsencode(path), flags, mask, buffer))
    (mask,), (size,) = struct.unpack_from("I", buffer, 0), struct.unpack_from("Q", buffer, 40)
    return mask, size, struct.unpack_from("qI", buffer, 80)


def test_statx(guard, root):
    def use():
        mask, size, born = statx(root / "sparse", AT_STATX_FORCE_SYNC, STATX_BASIC_STATS | STATX_BTIME)
        if not mask & STATX_BTIME:
            return "no birth time"
        assert (size, born) == (1 << 40, (1234567890, 987654321))
        assert ask(root, "mask") & STATX_BTIME
        # Kernels up to now always send no flags.
        assert ask(root, "flags") == 0
        return "statx"

    if guard.child(use) != "statx":
        pytest.skip("the kernel has no FUSE_STATX (6.6)")


def test_copy_file_range(guard, root):
    """More than 4 GiB at once where the kernel asks for that much, and the whole count in the reply."""

    def use():
        fd = os.open(root / "sparse", os.O_RDWR)
        counts = [os.copy_file_range(fd, fd, length, 0, length) for length in (1, 2 * GIB - 4096, 6 * GIB)]
        os.close(fd)
        return counts, ask(root, "copied")

    counts, last = guard.child(use)
    assert counts[:2] == [1, 2 * GIB - 4096]
    # The form of 32 bits is asked for less by the kernel itself.
    assert counts[2] == last and last in (6 * GIB, (1 << 32) - 4096, (1 << 31) - 4096)


def test_unnamed_file(guard, root):
    def use():
        before = os.umask(0o027)
        try:
            fd = os.open(root, os.O_TMPFILE | os.O_RDWR, 0o660)
        except OSError as error:
            assert error.errno == errno.EOPNOTSUPP
            return "no tmpfile"
        finally:
            os.umask(before)
        assert os.fstat(fd).st_nlink == 0
        source, target = os.fsencode(f"/proc/self/fd/{fd}"), os.fsencode(root / "named")
        check(LIBC.linkat(AT_FDCWD, source, AT_FDCWD, target, AT_SYMLINK_FOLLOW))
        assert os.fstat(fd).st_nlink == 1
        os.close(fd)
        assert (ask(root, "tmpfiles"), ask(root, "links")) == (1, 1)
        return "tmpfile"

    if guard.child(use) != "tmpfile":
        pytest.skip("the kernel has no FUSE_TMPFILE (6.2)")
