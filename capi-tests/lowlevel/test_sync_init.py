"""Synchronous INIT: answered while the mount is under way, and a mount that fails with it."""

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from harness import mounts

SOURCE = Path(__file__).with_name("synced.c")
NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
BEFORE = "init: mounted 0, other thread 1, fd 1"
AFTER = "init: mounted 1, other thread 0, fd 1"
MOUNTED = "mount: 0, -, mounted 1, fd 1"


@pytest.fixture
def so4(libs, guard):
    """Where other users can read it."""
    libdir = guard.folder("lib")
    shutil.copy(libs["so4"].file(), libdir / libs["so4"].soname)
    return replace(libs["so4"], libdir=libdir)


@pytest.fixture
def program(libs, compiled):
    return compiled(libs["so4"], SOURCE, flags=("-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"))


def needs_the_kernel():
    """Linux 6.18 can."""
    if tuple(map(int, os.uname().release.split("-")[0].split(".")[:2])) < (6, 18):
        pytest.skip("the kernel knows no synchronous INIT")


def serve(guard, library, command, env=None):
    """Serves a mount and ends; what the daemon told."""
    daemon = guard.start(library, command, env=env).wait_mounted()
    guard.child(os.stat, guard.mountpoint)
    assert daemon.stop() == 0
    return daemon.output().splitlines()


def test_before_the_mount(guard, so4, program):
    needs_the_kernel()
    assert serve(guard, so4, [program, guard.mountpoint, "plain"]) == [BEFORE, MOUNTED, "destroy"]


def test_not_asked_for(guard, so4, program):
    assert serve(guard, so4, [program, guard.mountpoint, "not at all"]) == [MOUNTED, AFTER, "destroy"]


def test_long_names_are_for_the_older_way(guard, so4, program):
    """Which cannot wait."""
    command = [program, guard.mountpoint, "plain", "fsname=" + "x" * 300]
    assert serve(guard, so4, command) == [MOUNTED, AFTER, "destroy"]


def test_users_of_an_older_fusermount3(guard, so4, program):
    """Debian 12's sends the device after the mount."""
    os.chown(guard.mountpoint, NOBODY, NOBODY)
    daemon = guard.start(so4, [*AS_NOBODY, program, guard.mountpoint, "plain"]).wait_mounted()
    assert daemon.stop() == 0
    # INIT may be in the queue still when it is told to end.
    assert daemon.output().splitlines()[0] == MOUNTED


@pytest.mark.parametrize(
    "how, errno, line",
    [
        ("wants too much", "EPROTO", "wants capabilities 0x8000000000000000"),
        ("exits", "ECANCELED", "ended during init"),
    ],
)
def test_init_fails(guard, so4, program, how, errno, line):
    needs_the_kernel()
    done = guard.run(so4, [program, guard.mountpoint, how])
    assert done.returncode == 1 and mounts(guard.mountpoint) == []
    assert done.stdout.splitlines() == [BEFORE, f"mount: -1, {errno}, mounted 0, fd 0", "destroy"]
    assert len(done.stderr.splitlines()) == 1 and line in done.stderr


@pytest.mark.parametrize("how, number", [("killed", signal.SIGKILL), ("crashes", signal.SIGABRT)])
def test_init_crashes(guard, so4, program, how, number):
    """The process ends: the mount that waits does not hold it."""
    needs_the_kernel()
    done = guard.run(so4, [program, guard.mountpoint, how])
    assert done.returncode == -number and mounts(guard.mountpoint) == []


def test_second_attempt(guard, so4, program):
    needs_the_kernel()
    told = serve(guard, so4, [program, guard.mountpoint, "second attempt"])
    assert "wants capabilities" in told.pop(1)
    assert told == [BEFORE, "mount: -1, EPROTO, mounted 0, fd 0", BEFORE, MOUNTED, "destroy"]


@pytest.mark.parametrize("options", [(), ("auto_unmount",)], ids=["plain", "auto_unmount"])
def test_users_of_a_newer_fusermount3(guard, newer_fusermount3, so4, program, options):
    needs_the_kernel()
    os.chown(guard.mountpoint, NOBODY, NOBODY)
    command = [*AS_NOBODY, program, guard.mountpoint, "plain", *options]
    daemon = guard.start(so4, command, env={"HELPER_CALLS": str(newer_fusermount3)}).wait_mounted()
    assert daemon.stop() == 0
    assert daemon.output().splitlines() == [BEFORE, MOUNTED, "destroy"]
    probe, call, *rest = newer_fusermount3.read_text().splitlines()
    assert probe == "--sync-init --version" and call.startswith("--sync-init -o rw,")
    assert ("auto_unmount" in call) == bool(options)


def test_a_newer_fusermount3_that_refuses(guard, newer_fusermount3, so4, program):
    needs_the_kernel()
    done = guard.run(so4, [*AS_NOBODY, program, guard.mountpoint, "plain"], env={"HELPER_REFUSES": "1"})
    assert done.stdout.splitlines() == ["mount: -1, EBUSY, mounted 0, fd 0"]
    assert done.stderr.count("\n") == 1 and str(guard.mountpoint) in done.stderr
