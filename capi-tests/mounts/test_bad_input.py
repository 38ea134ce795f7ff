"""What cannot work says so in one line that names the thing at fault, exits non-zero, and leaves nothing mounted."""

import os
import shutil
import socket
from dataclasses import replace

import pytest
from harness import mounts

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
OURS = ("so4", "so3")


@pytest.fixture(params=OURS)
def ours(request, libs, guard):
    """Our library, where every user can read it."""
    library = libs[request.param]
    libdir = guard.folder("lib")
    shutil.copy(library.file(), libdir / library.soname)
    return replace(library, libdir=libdir)


def assert_refused(done, *named):
    """One line on stderr that names each of these (or, as a tuple, one of several words for it)."""
    assert done.returncode > 0
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    for words in named:
        assert any(word in lines[0] for word in ([words] if isinstance(words, str) else words)), done.stderr


def run(guard, library, example, *arguments, before=(), name="notify_inval_inode"):
    done = guard.run(library, [*before, example(library, name), *arguments])
    assert mounts(guard.work) == []
    return done


@pytest.mark.parametrize("background", [(), ("-f",)], ids=["background", "foreground"])
@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("no_such_option", "no_such_option"),
        ("ro,no_such_option=7,noatime", "no_such_option=7"),
        ("max_read=abc", "max_read=abc"),
        ("max_read=", "max_read="),
        ("max_read=4096x", "max_read=4096x"),
        ("max_read=99999999999999999999", "max_read=99999999999999999999"),
    ],
)
def test_bad_option(ours, guard, example, option, named, background):
    assert_refused(run(guard, ours, example, *background, "-o", option, guard.mountpoint), named)


def test_unknown_flag(ours, guard, example):
    assert_refused(run(guard, ours, example, "--no-such-flag", guard.mountpoint), "--no-such-flag")


def test_second_mountpoint(ours, guard, example):
    second = guard.folder("second")
    assert_refused(run(guard, ours, example, guard.mountpoint, second), str(second))


def test_missing_mountpoint(ours, guard, example):
    assert_refused(run(guard, ours, example), ("mountpoint", "mount point"))


def test_nonexistent_mountpoint(ours, guard, example):
    path = guard.work / "not-there"
    assert_refused(run(guard, ours, example, path), str(path), "No such file or directory")


def test_mountpoint_below_a_file(ours, guard, example):
    path = guard.work / "file"
    path.write_text("")
    assert_refused(run(guard, ours, example, path / "below"), str(path / "below"), "Not a directory")


@pytest.mark.parametrize("kind", ["socket", "fifo"])
def test_mountpoint_is_no_directory(ours, guard, example, kind):
    """A directory or, for a file system of one file, a regular file can be mounted on; nothing else."""
    path = guard.work / kind
    if kind == "fifo":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    assert_refused(run(guard, ours, example, path), str(path), ("Not a directory", "neither a directory"))


def test_mountpoint_in_a_closed_folder(ours, guard, example):
    """Where the caller may not go: said as that, not as something missing."""
    closed = guard.folder("closed/mnt")
    closed.parent.chmod(0o700)
    assert_refused(run(guard, ours, example, closed, before=NOBODY), str(closed), "Permission denied")


def in_namespace(script):
    """Runs what follows in a mount namespace of its own, after a shell script has changed what it sees."""
    return ("unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{script}\nexec "$@"', "sh")


HIDE_DEVICE = "mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3"
HIDE_HELPER = f"""
cp "$(command -v setpriv)" "$TOOLS/setpriv"
setpriv=$TOOLS/setpriv
mount -t tmpfs none /usr/bin
shift {len(NOBODY)}
set -- "$setpriv" {" ".join(NOBODY[1:])} "$@"
"""


@pytest.mark.parametrize("user", [(), NOBODY], ids=["root", "nobody"])
def test_no_device(ours, guard, example, user):
    os.chown(guard.mountpoint, 65534, 65534)
    done = run(guard, ours, example, guard.mountpoint, before=in_namespace(HIDE_DEVICE) + user)
    assert_refused(done, "/dev/fuse")


def test_no_fusermount(ours, guard, example):
    os.chown(guard.mountpoint, 65534, 65534)
    tools = f"TOOLS={guard.folder('tools')}"
    done = run(guard, ours, example, guard.mountpoint, before=("env", tools, *in_namespace(HIDE_HELPER), *NOBODY))
    assert_refused(done, "fusermount3")


@pytest.mark.parametrize("number", [1, 2])
def test_closed_standard_descriptors(ours, guard, example, number):
    """Without stdout or stderr, the device must not become one of them and swallow messages as replies."""
    program = example(ours, "hello_ll")
    daemon = guard.daemon(ours, ["sh", "-c", f'exec "$@" {number}>&-', "sh", program, "-f", guard.mountpoint])
    assert guard.child(os.listdir, guard.mountpoint) == ["hello"]
    daemon.stop()
