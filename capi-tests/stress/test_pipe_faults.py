"""Pipes that cannot be made, are too small, full or refused by the system: data is copied then, whole and without a
request that nobody answers; the daemon has as many threads and pipes as it would have anyway.

covers: fuse_reply_data, fuse_buf_copy
"""

import errno
import fcntl
import mmap
import os
import random
import shutil
from pathlib import Path

import pytest
from harness import REPO

SOURCE = REPO / "capi-tests/mounts/spliced_file.c"
PIECE, PIECES = 128 << 10, 24
USER = 1000
F_SETPIPE_SZ = 1031
DATA = random.Random(7).randbytes(PIECE * PIECES)


@pytest.fixture
def backing(guard):
    path = guard.work / "backing"
    path.write_bytes(bytes(len(DATA)))
    path.chmod(0o666)
    return path


@pytest.fixture(params=["so4-single", "so4-threads", "so3-single"])
def command(request, libs, guard, compiled, backing):
    """The library, and the daemon's command line without the mount point."""
    library, loop = request.param.split("-")
    program = compiled(libs[library], SOURCE, flags=("-Wall", "-Wextra", "-Werror"))
    options = ["-s"] if loop == "single" else []
    return libs[library], [program, "-f", *options, f"--backing={backing}"]


def pipes(pid):
    folder = Path(f"/proc/{pid}/fd")
    return sum(os.readlink(fd).startswith("pipe:") for fd in folder.iterdir() if int(fd.name) > 2)


def write_all(path, fault):
    """In large pieces; one that fails as the fault says is written again."""
    fd, failed, done = os.open(path, os.O_RDWR), 0, 0
    while done < len(DATA):
        try:
            done += os.pwrite(fd, DATA[done : done + PIECE], done)
            os.fsync(fd)
        except OSError as error:
            assert error.errno == fault, error
            failed += 1
            assert failed < 3 * PIECES, "it never works"
    os.close(fd)


def read_all(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    memory, got = mmap.mmap(-1, PIECE), b""
    for at in range(0, len(DATA), PIECE):
        assert os.preadv(fd, [memory], at) == PIECE
        got += memory[:]
    os.close(fd)
    assert got == DATA, next(i for i in range(len(DATA)) if got[i] != DATA[i])


def use(guard, fault=0, user=0):
    def work():
        os.setgid(user)
        os.setuid(user)
        write_all(guard.mountpoint / "file", fault)
        read_all(guard.mountpoint / "file")

    guard.child(work, timeout=60)


# What strace makes of system calls, and what writers may see of it: a pipe whose data cannot be spliced into the file
# is an error of the daemon's own copy.
FAULTS = [
    ("splice", "ENOMEM", 5, 4),
    ("splice", "ENOSPC", 4, 3),
    ("splice", "EAGAIN", 5, 3),
    ("splice", "EINTR", 4, 4),
    ("vmsplice", "EAGAIN", 2, 2),
    ("vmsplice", "ENOMEM", 1, 1),
    ("pipe2", "ENFILE", 1, 1),
    ("pipe2", "EMFILE", 1, 2),
    ("fcntl", "EPERM", 3, 1),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(fault[:2]))
def test_the_system_refuses(command, guard, backing, fault):
    library, daemon = command
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    call, error, first, step = fault
    trace = ["strace", "-D", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={call}"]
    trace += ["-e", f"inject={call}:error={error}:when={first}+{step}"]
    running = guard.start(library, [*trace, *daemon, guard.mountpoint]).wait_mounted()
    use(guard, getattr(errno, error))
    assert backing.read_bytes() == DATA
    threads = len(os.listdir(f"/proc/{running.pid}/task"))
    assert pipes(running.pid) <= 4 * threads
    assert running.stop() == 0
    assert "panicked" not in running.output()


def hold_pipes():
    """As many pages in pipes as a user may have."""
    os.setgid(USER)
    os.setuid(USER)
    held = []
    for size in (1 << 20, 64 << 10):
        while len(held) < 4000:
            ends = os.pipe()
            held.append(ends)
            try:
                fcntl.fcntl(ends[1], F_SETPIPE_SZ, size)
            except PermissionError:
                break
    return held


def test_a_user_has_no_pages_left(command, guard, backing):
    """Beyond /proc/sys/fs/pipe-user-pages-soft pipes have two pages, and none can be made larger."""
    library, daemon = command
    if int(Path("/proc/sys/fs/pipe-user-pages-soft").read_text()) == 0:
        pytest.skip("pipes are not limited here")
    os.chown(guard.mountpoint, USER, USER)
    as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    running = guard.start(guard.readable(library), [*as_user, *daemon, guard.mountpoint]).wait_mounted()
    before = pipes(running.pid)
    ready, held = os.pipe(), os.pipe()
    holder = os.fork()
    if holder == 0:
        kept = hold_pipes()
        os.write(ready[1], b"%d" % len(kept))
        os.close(held[1])
        os.read(held[0], 1)
        os._exit(0)
    assert int(os.read(ready[0], 10)) > 16
    use(guard, user=USER)
    assert backing.read_bytes() == DATA
    # None is kept that is of no use.
    assert pipes(running.pid) <= before + 2 * len(os.listdir(f"/proc/{running.pid}/task"))
    for end in (*ready, *held):
        os.close(end)
    os.waitpid(holder, 0)
    assert running.stop() == 0
