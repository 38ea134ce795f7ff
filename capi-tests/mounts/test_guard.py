"""The guard itself: a daemon that does not answer costs a test its time limit, and nothing else."""

import os
import signal
import time

import pytest
from harness import Hung, mounts


def test_hung_mount_is_broken(libs, guard, example):
    daemon = guard.daemon(libs["system"], [example(libs["system"], "hello_ll"), "-f", guard.mountpoint])
    daemon.signal(signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(Hung):
        guard.child(os.listdir, guard.mountpoint, timeout=1)
    assert time.monotonic() - began < 10
    daemon.signal(signal.SIGCONT)
    assert daemon.wait() is not None


def test_stopped_daemon_is_ended(libs, guard, example):
    """The guard's own end, with a daemon that no longer hears SIGTERM."""
    daemon = guard.daemon(libs["system"], [example(libs["system"], "hello_ll"), "-f", guard.mountpoint])
    daemon.signal(signal.SIGSTOP)
    guard.close()
    assert not daemon.is_running() and mounts(guard.work) == []
    guard.work.mkdir()  # for the fixture to close once more
