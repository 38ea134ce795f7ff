"""Whatever a mount fails of: a line, the errno, and descriptors, children and mounts as they were."""

import os
import socket

import pytest
from tables import AS_NOBODY, NOBODY, SOURCE, Table

OURS = ("so4", "so3")


@pytest.fixture(params=OURS)
def table(request, libs, guard, compiled):
    library = libs[request.param]
    os.chown(guard.mountpoint, NOBODY, NOBODY)
    return Table(guard, library, compiled(library, SOURCE, flags=("-Wall", "-Wextra", "-Werror")))


def assert_refused(outcome, errno, *words):
    outcome.assert_clean()
    assert outcome.returned == -1 and outcome.errno == errno and not outcome.mounted, outcome
    assert outcome.log.count("\n") == 1 and all(word in outcome.log for word in words), outcome


def test_mountpoints(table, guard):
    file, closed, pipe, device = (guard.work / name for name in ("file", "closed", "pipe", "device"))
    file.write_text("")
    (closed / "mnt").mkdir(parents=True)
    closed.chmod(0o700)
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(guard.work / "socket"))
    (guard.work / "loop").symlink_to("loop")
    missing = guard.work / "missing"
    cases = {
        missing: "ENOENT",
        file / "below": "ENOTDIR",
        pipe: "ENOTDIR",
        guard.work / "socket": "ENOTDIR",
        guard.work / "loop": "ELOOP",
        "/dev/null": "ENOTDIR",
        "": "ENOENT",
        "/dev/fd/1234": "EBADF",
        "/dev/fd/0": "EBADF",
        "/dev/fd/99999999999": "EBADF",
    }
    for user in ((), AS_NOBODY):
        outcomes = table.run([("mount", point, "") for point in cases], user=user)
        for (point, errno), outcome in zip(cases.items(), outcomes, strict=True):
            assert_refused(outcome, errno, str(point))
    as_nobody = {closed / "mnt": "EACCES", guard.folder("of-root"): "EPERM"}
    outcomes = table.run([("mount", point, "") for point in as_nobody], user=AS_NOBODY)
    for (point, errno), outcome in zip(as_nobody.items(), outcomes, strict=True):
        assert_refused(outcome, errno, str(point))


HELPERS = {
    "says why": ("echo 'fusermount3: not today' >&2; exit 1", "EPERM", "not today"),
    "fails without a word": ("exit 7", "EPERM", "ended with status 7"),
    "is killed": ("kill -9 $$", "EPERM", "ended by SIGKILL"),
    "succeeds, and sends nothing": ("exit 0", "EPERM", "not permitted"),
    "sends a byte and no device": ("printf x >&$_FUSE_COMMFD", "EPERM", "not permitted"),
    "says much": ("yes complaint | head -c 300000 >&2; exit 1", "EPERM", "complaint"),
}


@pytest.mark.parametrize("user", [(), AS_NOBODY], ids=["root", "nobody"])
def test_helpers(table, guard, user):
    helper = guard.work / "helper"
    helper.write_text("")
    prepare = f"mount --bind {helper} /usr/bin/fusermount3"
    # Root needs it for auto_unmount alone.
    options = "" if user else "auto_unmount"
    for does, errno, word in HELPERS.values():
        # None of the newer options.
        helper.write_text(f'#!/bin/sh\ncase "$*" in *--version) exit 1;; esac\n{does}\n')
        helper.chmod(0o755)
        [outcome] = table.run([("mount", guard.mountpoint, options)], user=user, prepare=prepare)
        assert_refused(outcome, errno, word, str(guard.mountpoint))
    helper.chmod(0o644)
    [outcome] = table.run([("mount", guard.mountpoint, options)], user=user, prepare=prepare)
    assert_refused(outcome, "EACCES", "cannot be started: Permission denied")


@pytest.mark.parametrize(
    "what, options, user",
    [
        ("sweep", "", ()),
        ("sweep sync", "", ()),
        ("sweep", "auto_unmount", ()),
        ("sweep", "", AS_NOBODY),
        ("sweep", "fsname=" + "x" * 300, ()),
    ],
    ids=["root", "sync", "auto_unmount", "nobody", "mount(2)"],
)
def test_no_free_descriptors(table, guard, what, options, user):
    """With room for none, for one, for two, ...: at every place where one is made."""
    if "sync" in what and table.library.name == "so3":
        pytest.skip("libfuse 3.19's")
    outcomes = table.run([(what, guard.mountpoint, options)], user=user)
    failed = [outcome for outcome in outcomes if outcome.returned != 0]
    assert len(failed) >= 2 and len(outcomes) - len(failed) == 3
    for outcome in outcomes:
        outcome.assert_clean()
        assert bool(outcome.mounted) == (outcome.returned == 0)
    for outcome in failed:
        # What the helper lacks, it says itself.
        assert outcome.errno in ("EMFILE", "EPERM") and outcome.log.count("\n") >= 1, outcome


def test_the_end_needs_no_free_descriptor(table, guard):
    [outcome] = table.run([("full", guard.mountpoint, "")])
    outcome.assert_clean()
    assert outcome.returned == 0 and outcome.mounted and outcome.log == ""


def test_the_mount_tables_user_space_part(table, guard):
    """/run/mount/utab gets what the kernel does not keep, where it exists, and is not made."""
    record = ("mount", guard.mountpoint, "x-test.this,fsname=recorded")
    log = guard.work / "calls"
    tools = f"""
        mkdir {guard.work}/bin
        for tool in mount umount; do
            printf '#!/bin/sh\\necho "$0 $*" >>{log}\\nexec {guard.work}/bin/$(basename $0) "$@"\\n' >{guard.work}/$tool
            chmod 755 {guard.work}/$tool
            cp /bin/$tool {guard.work}/bin/$tool
        done
        mount -t tmpfs none /run
        PLACE
        mount --bind {guard.work}/umount /bin/umount
        {guard.work}/bin/mount --bind {guard.work}/mount /bin/mount
    """
    [outcome] = table.run([record], prepare=tools.replace("PLACE", ""))
    outcome.assert_clean()
    assert outcome.mounted and not log.exists()
    tools = tools.replace("mkdir ", "mkdir -p ").replace("PLACE", "mkdir /run/mount; touch /run/mount/utab")
    [outcome, plain] = table.run([record, ("mount", guard.mountpoint, "ro")], prepare=tools)
    outcome.assert_clean()
    plain.assert_clean()
    assert [os.path.basename(line.split()[0]) for line in log.read_text().splitlines()] == ["mount", "umount"]
    assert "rw,nosuid,nodev,x-test.this -- recorded" in log.read_text()
