"""The watchdog ends a daemon that does not end by itself once its connection is lost, and no other."""

import os
import signal
import time
from pathlib import Path

import pytest
from harness import abort, mounts, wait_until

SOURCE = Path(__file__).with_name("watched.c")
TIMEOUT = 1


@pytest.fixture
def start(libs, guard, compiled):
    program = compiled(libs["so4"], SOURCE, flags=("-Wall", "-Wextra", "-Werror"))

    def start(how, seconds=TIMEOUT):
        daemon = guard.daemon(libs["so4"], [program, how, seconds, guard.mountpoint])
        guard.child(os.listdir, guard.mountpoint.parent)
        guard.child(os.stat, guard.mountpoint)
        return daemon

    return start


def lose(guard, how):
    [mount] = mounts(guard.mountpoint)
    if how == "abort":
        abort(mount.connection)
    else:
        guard.child(os.system, f"umount -f {guard.mountpoint}")


@pytest.mark.parametrize("how", ["abort", "force"])
@pytest.mark.parametrize("after", ["callback", "exit", "stop inside"])
def test_in_time(start, guard, how, after):
    daemon = start(after)
    began = time.monotonic()
    lose(guard, how)
    wait_until(lambda: "loop 0" in daemon.output(), "end of the loop", 0.8)
    assert daemon.wait() == (1 if after == "exit" else 17)
    assert TIMEOUT <= time.monotonic() - began < TIMEOUT + 2
    assert ("time is up" in daemon.output()) == (after != "exit")
    if after == "exit":
        assert "connection was lost" in daemon.output()


def test_a_daemon_that_ends_by_itself(start, guard):
    daemon = start("end")
    lose(guard, "abort")
    assert daemon.wait() == 0
    assert "time is up" not in daemon.output()


def test_a_daemon_that_is_told_to_end(start, guard):
    """Nothing is lost yet when the loop ends, so there is time."""
    daemon = start("end")
    time.sleep(TIMEOUT + 0.3)
    assert daemon.is_running()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert f"loop {int(signal.SIGTERM)}" in daemon.output()


@pytest.mark.parametrize("after", ["unmount", "destroy"])
def test_stuck_after_its_own_unmount(start, guard, after):
    daemon = start(after)
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 17
    assert time.monotonic() - began >= TIMEOUT
    assert mounts(guard.mountpoint) == []
