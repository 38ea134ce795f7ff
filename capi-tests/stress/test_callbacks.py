"""Callbacks that fork, whatever their children do: each request has one answer, and parent and child never mix theirs.
And callbacks that never reply: whoever waits hears of the end.

covers: fuse_reply_data, fuse_buf_copy
"""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from harness import abort, mounts, wait_until

SOURCE = Path(__file__).with_name("callbacks.c")
FLAGS = ("-Wall", "-Wextra", "-Werror")
PIECE = 128 << 10
TIMES = 40


@pytest.fixture(params=["so4-single", "so4-threads", "so3-single"])
def daemon(request, libs, guard, compiled):
    """The daemon, with the library and the loop that the test's name says."""
    library, loop = request.param.split("-")
    program = compiled(libs[library], SOURCE, flags=FLAGS)
    options = ["-s"] if loop == "single" else []
    return guard.daemon(libs[library], [program, "-f", *options, guard.mountpoint])


def read_pieces(path, times):
    """The letters that whole pieces consist of."""
    fd, seen = os.open(path, os.O_RDONLY), ""
    for turn in range(times):
        piece = os.pread(fd, PIECE, turn % 8 * PIECE)
        assert len(piece) == PIECE and len(set(piece)) == 1, (turn, len(piece), set(piece))
        seen += chr(piece[0])
    return seen


def write_pieces(path, times):
    fd = os.open(path, os.O_RDWR)
    for turn in range(times):
        assert os.pwrite(fd, bytes([65 + turn]) * PIECE, turn % 8 * PIECE) == PIECE


EXPECTED = {"ends": {"p"}, "exits": {"p"}, "executes": {"p"}, "answers": {"c"}, "races": {"c", "p"}}


@pytest.mark.parametrize("what", EXPECTED)
def test_a_callback_forks(daemon, guard, what):
    seen = guard.child(read_pieces, guard.mountpoint / what, TIMES)
    assert set(seen) <= EXPECTED[what]
    guard.child(write_pieces, guard.mountpoint / what, TIMES // 2)
    assert set(guard.child(read_pieces, guard.mountpoint / "plain", 8)) == {"p"}
    daemon.stop()
    assert daemon.output() == ""


def test_the_child_returns(daemon, guard):
    """Both serve: each request is answered by either, as a whole. A line says so, and the parent outlives the child."""
    seen = ""
    for _ in range(3):
        seen += guard.child(read_pieces, guard.mountpoint / "returns", 1)
        seen += guard.child(read_pieces, guard.mountpoint / "plain", 8)
    assert set(seen) <= {"c", "p"}
    wait_until(lambda: "has returned in the child" in daemon.output(), "a line about the child")
    for pid in children(daemon.pid):
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: is_dead(pid), "end of a child, which must not take the next request with it")
    assert set(guard.child(read_pieces, guard.mountpoint / "ends", TIMES)) == {"p"}
    daemon.stop()


def is_dead(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def children(pid):
    """The processes that a daemon has made, and theirs."""
    lists = [(task / "children").read_text().split() for task in Path(f"/proc/{pid}/task").iterdir()]
    own = [int(child) for found in lists for child in found]
    return own + [descendant for child in own for descendant in children(child)]


@pytest.mark.parametrize("library", ["so4", "so3"])
def test_daemon_in_init(libs, guard, compiled, library):
    """The parent ends, and the single loop goes on in the child, as on libfuse; it also ends there."""
    program = compiled(libs[library], SOURCE, flags=FLAGS)
    command = [program, "-f", "-s", guard.mountpoint]
    daemon = guard.start(libs[library], command, env={"DAEMONIZE": "1"}).wait_mounted().follow()
    assert set(guard.child(read_pieces, guard.mountpoint / "plain", 8)) == {"p"}
    assert daemon.stop() == 0


ENDS = {
    "SIGTERM": lambda daemon, mount: daemon.signal(signal.SIGTERM),
    "umount -l": lambda daemon, mount: subprocess.run(["umount", "-l", mount.point], check=True, timeout=10),
    "umount -f": lambda daemon, mount: subprocess.run(["umount", "-f", mount.point], check=False, timeout=10),
    "abort": lambda daemon, mount: abort(mount.connection),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_callback_never_replies(libs, guard, compiled, end):
    """The reader is told that nobody answers any more, and the daemon ends as on the system's library."""
    seen = {}
    for name, library in libs.items():
        command = [compiled(library, SOURCE, flags=FLAGS), "-f", guard.mountpoint]
        daemon = guard.start(library, command).wait_mounted()
        (mount,) = mounts(guard.mountpoint)
        reader = subprocess.Popen(["cat", guard.mountpoint / "silent"], stderr=subprocess.PIPE, text=True)
        wait_until(lambda mount=mount: waiting(mount.connection), "the request in the daemon's hands")
        ENDS[end](daemon, mount)
        if end == "umount -l":
            # The open file keeps the connection, and not even a signal ends a read that the daemon has in its hands.
            daemon.signal(signal.SIGTERM)
        elif end == "umount -f" and daemon.is_running():
            reader.wait(timeout=10)
            daemon.signal(signal.SIGTERM)
        error = reader.communicate(timeout=10)[1]
        # Which of the two it is, is chance.
        assert error.endswith(("Transport endpoint is not connected\n", "Software caused connection abort\n")), error
        seen[name] = daemon.wait()
        for left in reversed(mounts(guard.mountpoint)):
            subprocess.run(["umount", "-l", left.point], check=True, timeout=10)
    assert seen == dict.fromkeys(libs, seen["system"])


def waiting(connection):
    """Requests that were not answered yet."""
    return int(Path(f"/sys/fs/fuse/connections/{connection}/waiting").read_text())
