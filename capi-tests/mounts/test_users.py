"""Who mounts, and on what: root by mount(2), a user without privileges through the system's fusermount3."""

import os
from pathlib import Path

import pytest
from harness import mounts

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


@pytest.fixture
def own_mountpoint(guard):
    os.chown(guard.mountpoint, NOBODY, NOBODY)
    return guard.mountpoint


def as_nobody(function, *args):
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    return function(*args)


@pytest.mark.parametrize("options", [(), ("-o", "auto_unmount"), ("-o", "ro,noatime,fsname=a-name,subtype=sub")])
def test_mount_and_unmount(library, open_library, guard, own_mountpoint, example, options):
    program = example(library, "hello_ll")
    daemon = guard.daemon(open_library, [*AS_NOBODY, program, "-f", *options, own_mountpoint])
    assert guard.child(as_nobody, os.listdir, own_mountpoint) == ["hello"]
    assert f"user_id={NOBODY}" in options_of(own_mountpoint)
    if "fsname" in str(options):
        assert mounts(own_mountpoint)[0].source == "a-name" and mounts(own_mountpoint)[0].fstype == "fuse.sub"
    with pytest.raises(AssertionError, match="PermissionError"):
        guard.child(os.listdir, own_mountpoint)  # nobody else, not even root, may look in
    daemon.stop()


def options_of(mountpoint):
    with open("/proc/self/mountinfo") as lines:
        return next(line for line in lines if f" {mountpoint} " in line)


def test_someone_elses_folder_is_refused(library, open_library, guard, example):
    """fusermount3 says why; the daemon passes that on and fails."""
    done = guard.run(open_library, [*AS_NOBODY, example(library, "hello_ll"), "-f", guard.mountpoint])
    assert done.returncode != 0
    assert str(guard.mountpoint) in done.stderr
    assert mounts(guard.mountpoint) == []


@pytest.mark.parametrize("user", [(), AS_NOBODY], ids=["root", "nobody"])
def test_one_file(library, open_library, guard, compiled, user):
    """A regular file can be a mount point, too."""
    program = compiled(library, Path(__file__).with_name("one_file.c"))
    path = guard.work / "file"
    path.write_text("below")
    os.chown(path, NOBODY, NOBODY)
    daemon = guard.daemon(open_library, [*user, program, path], mountpoint=path)
    read = (as_nobody, path.read_text) if user else (path.read_text,)
    assert guard.child(*read) == "one file\n"
    assert daemon.stop() == 0
    assert path.read_text() == "below"
