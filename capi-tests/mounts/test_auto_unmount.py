"""auto_unmount: the daemon is killed, and the mount goes away, by the system's fusermount3 and by a newer one."""

import os
import shutil
import signal
import subprocess
from dataclasses import replace

import pytest
from harness import mounts, wait_until

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
GUARD = "--auto-unmount -- "


@pytest.fixture(params=["so4", "so3"])
def library(request, libs, guard):
    """Where other users can read it."""
    found = libs[request.param]
    libdir = guard.folder("lib")
    shutil.copy(found.file(), libdir / found.soname)
    os.chown(guard.mountpoint, NOBODY, NOBODY)
    return replace(found, libdir=libdir)


@pytest.fixture
def all_allowed(guard):
    """Helpers before libfuse 3.15 cannot tell that a user's daemon has died unless others may look."""
    conf = guard.work / "fuse.conf"
    conf.write_text("user_allow_other\n")
    subprocess.run(["mount", "--bind", conf, "/etc/fuse.conf"], check=True)
    yield
    subprocess.run(["umount", "/etc/fuse.conf"], check=True)


def serve(guard, library, example, user, options, env=None):
    command = [*user, example(library, "hello_ll"), "-f", "-o", options, guard.mountpoint]
    daemon = guard.daemon(library, command, env=env)
    # Of one that dies before it has answered INIT, older helpers do not know.
    guard.child(as_user, user, os.listdir, guard.mountpoint)
    return daemon


def as_user(user, function, *args):
    if user:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    return function(*args)


def end_and_wait(guard, daemon, how):
    daemon.signal(how)
    daemon.wait()
    wait_until(lambda: not mounts(guard.mountpoint), "unmount")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
@pytest.mark.parametrize("user", [(), AS_NOBODY], ids=["root", "nobody"])
def test_the_systems_fusermount3(library, guard, example, all_allowed, user, how):
    end_and_wait(guard, serve(guard, library, example, user, "auto_unmount,allow_other"), how)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
@pytest.mark.parametrize("user", [(), AS_NOBODY], ids=["root", "nobody"])
def test_a_newer_fusermount3(library, guard, example, newer_fusermount3, user, how):
    """It guards what root mounts itself, with all that root may."""
    daemon = serve(guard, library, example, user, "auto_unmount,dev,suid", {"HELPER_CALLS": str(newer_fusermount3)})
    wait_until(lambda: len(newer_fusermount3.read_text().splitlines()) == (1 if user else 2), "call of fusermount3")
    calls = newer_fusermount3.read_text().splitlines()
    if user:
        assert calls[0].startswith("-o rw,") and "auto_unmount" in calls[0]
    else:
        assert calls == ["--auto-unmount --version", GUARD + str(guard.mountpoint)]
        with open("/proc/self/mountinfo") as lines:
            [line] = [line for line in lines if f" {guard.mountpoint} " in line]
        assert " rw,relatime " in line
    end_and_wait(guard, daemon, how)
