"""A daemon's file descriptors after much work are as many as before, and none of the library's gets inherited."""

import os
import signal
from pathlib import Path

import pytest
from harness import wait_until


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


@pytest.mark.parametrize("name", ["so4", "so3"])
def test_clones_of_a_device_of_another_name(libs, guard, example, name):
    """FUSE_KERN_DEVICE names it, and /dev/fuse is missing."""
    script = 'mount -t tmpfs none /dev; mknod /dev/null c 1 3; mknod /dev/other c 10 229; exec "$@"'
    inside = ("unshare", "--mount", "--propagation", "slave", "sh", "-ec", script, "sh")
    program = example(libs[name], "hello_ll")
    # Its mount is in a namespace of its own: a command in there looks at it.
    command = [*inside, program, "-f", "-o", "clone_fd", guard.mountpoint]
    daemon = guard.start(libs[name], command, env={"FUSE_KERN_DEVICE": "/dev/other"})
    enter = ["nsenter", f"--mount=/proc/{daemon.pid}/ns/mnt"]

    def served():
        done = guard.run(libs[name], [*enter, "ls", guard.mountpoint])
        return done.stdout == "hello\n"

    wait_until(served, "mount")
    folder = Path(f"/proc/{daemon.pid}/fd")
    assert [os.readlink(fd) for fd in folder.iterdir()].count("/dev/other") >= 2
    assert "could not be cloned" not in daemon.output()
    daemon.signal(signal.SIGTERM)
    # The example's status when its loop ends by a signal.
    assert daemon.wait() == 1
