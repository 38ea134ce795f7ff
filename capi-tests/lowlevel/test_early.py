"""A daemon that goes into the background first: who started it hears how it went, and not before."""

import os
import signal
import time
from pathlib import Path

import pytest
from harness import mounts, wait_until

SOURCE = Path(__file__).with_name("early.c")
STREAMS = range(3)


@pytest.fixture
def start(libs, guard, compiled):
    program = compiled(libs["so4"], SOURCE, flags=("-Wall", "-Wextra", "-Werror"))
    return lambda how, point=None: guard.start(libs["so4"], [program, how, point or guard.mountpoint])


@pytest.mark.parametrize("how", ["plain", "stay"])
def test_start(start, guard, how):
    began = time.monotonic()
    daemon = start(how)
    assert daemon.launcher.wait(timeout=10) == 0
    # The init callback takes its time, and whoever waited may use the mount at once.
    assert time.monotonic() - began >= 0.2
    [mount] = mounts(guard.mountpoint)
    daemon.follow()
    guard.child(os.stat, guard.mountpoint)
    process = Path(f"/proc/{daemon.pid}")
    assert {os.readlink(process / "fd" / str(number)) for number in STREAMS} == {"/dev/null"}
    assert os.readlink(process / "cwd") == (os.getcwd() if how == "stay" else "/")
    assert len(list((process / "task").iterdir())) == 1
    assert daemon.stop() == 0


def test_foreground(start, guard):
    daemon = start("foreground").wait_mounted()
    guard.child(os.stat, guard.mountpoint)
    assert daemon.launcher.poll() is None
    assert os.readlink(f"/proc/{daemon.pid}/cwd") == "/"
    assert daemon.stop() == 0


@pytest.mark.parametrize("how, status", [("exit", 1), ("killed in init", 1), ("fail 0", 1), ("mount", 77)])
def test_failure(start, guard, how, status):
    daemon = start(how, guard.mountpoint / "missing" if how == "mount" else None)
    assert daemon.launcher.wait(timeout=10) == status
    if how == "mount":
        assert "missing" in daemon.output()
    if how == "fail 0":
        # It may go on, told or not.
        wait_until(lambda: mounts(guard.mountpoint), "mount")


def test_the_daemon_ends_with_who_waits(start, guard):
    daemon = start("parent dies")
    assert daemon.launcher.wait(timeout=10) == -signal.SIGKILL
    # It was adopted: its exit status can be had, and long before its sleep is over.
    pid = int(daemon.output().splitlines()[-1])
    ended = wait_until(lambda: (w := os.waitpid(pid, os.WNOHANG))[0] and w, "end of the daemon", 5)
    assert os.waitstatus_to_exitcode(ended[1]) == 1


def test_nobody_waits_any_more(library, guard, compiled):
    """fuse_daemonize(), which comes after the mount: the daemon goes on."""
    program = compiled(library, SOURCE.with_name("unheard.c"))
    done = guard.run(library, [program])
    assert sorted(done.stdout.splitlines()) == ["daemon: status 7", f"who waited: signal {int(signal.SIGKILL)}"], done
