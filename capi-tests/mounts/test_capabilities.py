"""Capabilities of files and directories, and notifications, seen on the running kernel."""

import errno
import mmap
import os
import stat

import pytest
from harness import wait_until
from telling import (
    CACHE_SYMLINKS,
    DIRECT_MMAP,
    FOPEN_DIRECT_IO,
    FOPEN_STREAM,
    NO_OPEN,
    NO_OPENDIR,
    PARALLEL_DIROPS,
    last,
    lines,
    skip_without,
    write_to,
)


def read_and_write(path):
    write_to(path, b"direct")
    return path.read_bytes()


def test_lock_owners(told, guard):
    """Direct reads and writes carry one, those of the page cache do not."""
    path = guard.mountpoint / "file"
    for flags in (0, FOPEN_DIRECT_IO):
        daemon = told(open_flags=flags)
        guard.child(write_to, path, b"", os.O_CREAT | os.O_WRONLY)
        assert guard.child(read_and_write, path) == b"direct"
        for request in ("read", "write of 6"):
            assert ("LOCK_OWNER" in last(daemon, request)) == bool(flags)
        daemon.stop()


def test_stream(told, guard):
    """An open flag that struct fuse_file_info has no member for."""

    def use(path):
        fd = os.open(path, os.O_RDWR)
        assert os.write(fd, b"stream") == 6
        with pytest.raises(OSError) as no_seek:
            os.lseek(fd, 0, os.SEEK_SET)
        with pytest.raises(OSError) as no_position:
            os.pread(fd, 1, 0)
        return no_seek.value.errno, no_position.value.errno

    daemon = told(open_flags=FOPEN_STREAM)
    guard.child(write_to, guard.mountpoint / "file", b"", os.O_CREAT | os.O_WRONLY)
    assert guard.child(use, guard.mountpoint / "file") == (errno.ESPIPE, errno.ESPIPE)
    daemon.stop()


@pytest.mark.parametrize("caps", [0, DIRECT_MMAP])
def test_direct_io_allow_mmap(told, guard, caps):
    daemon = told(caps=caps, open_flags=FOPEN_DIRECT_IO)
    skip_without(daemon, *filter(None, [caps]))
    path = guard.mountpoint / "file"

    def use():
        write_to(path, b"direct", os.O_CREAT | os.O_WRONLY)
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 6, mmap.MAP_SHARED) as shared:
            return shared[:]

    if caps:
        assert guard.child(use) == b"direct"
    else:
        with pytest.raises(AssertionError, match=rf"\[Errno {errno.ENODEV}\]"):
            guard.child(use)
    daemon.stop()


def test_no_open(library, told, guard):
    """The first ENOSYS is the last question."""
    daemon = told("--enosys", library=library, caps=NO_OPEN | NO_OPENDIR)
    path = guard.mountpoint / "file"

    def use():
        os.mknod(path, stat.S_IFREG | 0o644)
        for text in ("one", "two"):
            path.write_text(text)
            assert path.read_text() == text
            assert os.listdir(guard.mountpoint) == ["file"]

    guard.child(use)
    assert (len(lines(daemon, "open ")), len(lines(daemon, "opendir "))) == (1, 1)
    daemon.stop()


def test_writeback_cache(library, told, guard):
    """Small writes are gathered, and the kernel makes the timestamps, in the granularity that was agreed on."""

    def use(path):
        with path.open("wb", buffering=0) as file:
            for _ in range(100):
                file.write(b"ten bytes.")
            return os.fstat(file.fileno()).st_mtime_ns

    daemon = told(library=library)
    guard.child(use, guard.mountpoint / "file")
    assert len(lines(daemon, "write of 10 ")) == 100
    daemon.stop()
    for granularity in (1, 10**9):
        daemon = told("-o", f"writeback_cache,time_gran={granularity}", library=library)
        times = [guard.child(use, guard.mountpoint / f"file{i}") for i in range(3)]
        assert all(ns > 10**18 for ns in times) and any(ns % 10**9 for ns in times) == (granularity == 1), times
        assert len(lines(daemon, "write of 1000 from the cache")) == 3
        daemon.stop()


def test_parallel_dirops(told, guard):
    """Two lookups in one directory, of which each is answered when the other has come."""
    daemon = told("--threads", caps=PARALLEL_DIROPS)
    names = [guard.mountpoint / name for name in ("first", "second")]
    assert guard.children([(os.path.exists, name) for name in names], timeout=20) == [False, False]
    daemon.stop()


def test_cache_symlinks(library, told, guard):
    link = guard.mountpoint / "link"
    for caps, asked in ((0, 3), (CACHE_SYMLINKS, 1)):
        daemon = told(library=library, caps=caps)
        guard.child(os.symlink, "target", link)
        guard.child(lambda: [os.readlink(link) for _ in range(3)])
        assert len(lines(daemon, "readlink")) == asked
        daemon.stop()


# ---- notifications ----


def test_notifications(library, told, guard):
    """What the kernel answers to each, and what they do."""
    daemon = told(library=library)
    path, button, full = (guard.mountpoint / name for name in ("file", "button", "full"))

    def notify(command):
        os.setxattr(button, f"user.{command}", b"")
        # Not before it is through: while it waits for the kernel, the daemon answers nothing.
        wait_until(lambda: lines(daemon, f"{command} of none returned"), command)

    def use():
        path.write_text("before")
        full.mkdir()
        button.touch()
        (full / "file").touch()
        with path.open("rb", buffering=0) as file, (full / "file").open():
            seen = [os.pread(file.fileno(), 10, 0)]
            for command in ("store", "retrieve"):
                notify(command)
                seen.append(os.pread(file.fileno(), 10, 0))
            for command in ("inval_inode", "inval_entry", "expire_entry", "delete"):
                notify(command)
        return seen, path.read_text()

    assert guard.child(use) == ([b"before", b"stored", b"stored"], "before")
    assert lines(daemon, "retrieved") == ["retrieved \"stored\""]
    absent, full = -errno.ENOENT, -errno.ENOTEMPTY
    expected = {
        "store": 0, "store of none": absent, "retrieve": 0, "retrieve of none": absent, "inval_inode": 0,
        "inval_inode of none": absent, "inval_entry": 0, "inval_entry of none": absent, "expire_entry": 0,
        "expire_entry of none": absent, "delete": 0, "delete of none": absent, "delete of a full directory": full,
    }
    returned = dict(line.split(" returned ") for line in lines(daemon) if " returned " in line)
    assert {name: int(result) for name, result in returned.items()} == expected
    daemon.stop()
