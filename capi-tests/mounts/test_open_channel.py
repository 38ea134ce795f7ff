"""fuse_open_channel(): a mount for a daemon that has no rights of its own, and gets the device as /dev/fd/N."""

import os
import signal
from pathlib import Path

import pytest
from harness import mounts, wait_until

SOURCE = Path(__file__).with_name("open_channel.c")


@pytest.fixture
def helper(library, compiled):
    return compiled(library, SOURCE, flags=("-Wall", "-Wextra", "-Werror"))


def start(guard, library, helper, example, options):
    command = [helper, guard.mountpoint, options, example(library, "hello_ll"), "-f", "@"]
    daemon = guard.start(library, command).wait_mounted()
    wait_until(lambda: Path(f"/proc/{daemon.pid}/comm").read_text() == "hello_ll\n", "start of the daemon")
    assert guard.child(os.listdir, guard.mountpoint) == ["hello"]
    library.assert_serves(daemon.pid)
    return daemon


def test_a_daemon_without_rights(library, guard, helper, example):
    """Options that are the daemon's are passed over."""
    daemon = start(guard, library, helper, example, "ro,fsname=handed,subtype=over,unknown=7,entry_timeout=3")
    [mount] = mounts(guard.mountpoint)
    assert (mount.fstype, mount.source) == ("fuse.over", "handed")
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status and "CapPrm:\t0000000000000000" in status
    # The mount is not the daemon's to take down.
    daemon.signal(signal.SIGTERM)
    # The example's status when its loop ends by a signal.
    assert daemon.wait() == 1
    assert mounts(guard.mountpoint) == [mount]


def test_allow_root_is_not_all(library, guard, helper, example):
    start(guard, library, helper, example, "allow_root")
    with open("/proc/self/mountinfo") as lines:
        [line] = [line for line in lines if f" {guard.mountpoint} " in line]
    assert "allow_other" not in line


def test_auto_unmount(library, guard, helper, example):
    """The mount goes with the daemon, which this process became."""
    daemon = start(guard, library, helper, example, "auto_unmount")
    # What the helper waits for the end of came along: else it would unmount at once, and the rest show nothing.
    open_files = [os.readlink(fd) for fd in Path(f"/proc/{daemon.pid}/fd").iterdir()]
    assert any(file.startswith("socket:") for file in open_files), open_files
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    wait_until(lambda: not mounts(guard.mountpoint), "unmount")


def test_refusals(library, guard, helper, example):
    for point, options in ((guard.work / "missing", "ro"), (guard.mountpoint, "max_read=x")):
        done = guard.run(library, [helper, point, options, "/bin/true", "@"])
        assert done.returncode == 10 and mounts(guard.work) == []
        assert ("missing" if options == "ro" else "max_read=x") in done.stderr
