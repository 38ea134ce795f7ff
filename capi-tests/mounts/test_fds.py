"""A daemon's file descriptors after much work are as many as before, and none of the library's gets inherited."""

import os
from pathlib import Path

import pytest


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def open_and_close(path, times):
    for _ in range(times):
        os.close(os.open(path, os.O_RDONLY))


@pytest.mark.parametrize("options", [("-s",), (), ("-o", "clone_fd")], ids=["single", "threads", "clone_fd"])
def test_open_close_leaks_nothing(library, guard, example, options):
    source = guard.folder("source")
    (source / "file").write_text("content")
    command = [example(library, "passthrough_ll"), "-f", *options, "-o", f"source={source}", guard.mountpoint]
    daemon = guard.daemon(library, command)
    path = guard.mountpoint / "file"
    # How many threads there are, each with its own pipe and perhaps a clone, depends on the load: warm up alike.
    guard.children([(open_and_close, path, 200)] * 4)
    before = descriptors(daemon.pid)
    guard.children([(open_and_close, path, 250)] * 4)
    # Not one per cycle; a thread more may have come up, with a clone and two ends of a pipe.
    assert descriptors(daemon.pid) - before <= 12
    daemon.stop()


@pytest.mark.parametrize("name", ["so4", "so3"])
def test_close_on_exec(libs, guard, example, name):
    """Every descriptor of /dev/fuse closes on exec: a child that the daemon starts must not keep the mount alive."""
    daemon = guard.daemon(libs[name], [example(libs[name], "hello_ll"), "-f", "-o", "clone_fd", guard.mountpoint])
    guard.child(os.listdir, guard.mountpoint)
    folder = Path(f"/proc/{daemon.pid}")
    fuse = [fd.name for fd in (folder / "fd").iterdir() if os.readlink(fd) == "/dev/fuse"]
    assert fuse
    for fd in fuse:
        flags = next(line for line in (folder / "fdinfo" / fd).read_text().splitlines() if line.startswith("flags:"))
        assert int(flags.split()[1], 8) & os.O_CLOEXEC
    daemon.stop()
