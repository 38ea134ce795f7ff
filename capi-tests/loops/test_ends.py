"""Loops and how they end: what they return and leave behind is what it is on the system's library."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from harness import abort, mounts, wait_until

HERE = Path(__file__).parent
FLAGS = ("-std=gnu11", "-Wall", "-Wextra", "-Werror")


def command(*words):
    return lambda daemon: subprocess.run([*words, daemon.mountpoint], check=True, timeout=10)


def kill(number):
    return lambda daemon: daemon.signal(number)


def look_up_exit(daemon):
    with pytest.raises(AssertionError, match="FileNotFoundError|ConnectionAbortedError|not connected"):
        daemon.guard.child(os.stat, daemon.mountpoint / "exit")


ENDS = {
    "umount": command("umount"),
    "lazy": command("umount", "--lazy"),
    "fusermount3": command("fusermount3", "-u"),
    "abort": lambda daemon: abort(mounts(daemon.mountpoint)[0].connection),
    "SIGTERM": kill(signal.SIGTERM),
    "SIGINT": kill(signal.SIGINT),
    "SIGHUP": kill(signal.SIGHUP),
    "callback": look_up_exit,
    "thread": kill(signal.SIGUSR1),
    "handler": kill(signal.SIGUSR2),
}
LOOPS = ("single", "pool", "clone", "own")
# The system's library does not wake a loop for these, it waits for the next request; it should end as it does here.
LIKE_A_CALLBACK = ("thread", "handler")


@pytest.fixture
def run(guard, compiled):
    """run(library, loop, end, version): what the program said, and its exit code."""

    def run(library, loop, end, version=312):
        program = compiled(library, HERE / "ends.c", flags=(*FLAGS, f"-DFUSE_USE_VERSION={version}"))
        daemon = guard.start(library, [program, loop, guard.mountpoint]).wait_mounted()
        library.assert_serves(daemon.pid)
        assert guard.child(os.stat, guard.mountpoint).st_ino == 1
        ENDS[end](daemon)
        code = daemon.wait()
        left = len(mounts(guard.mountpoint))  # after an abort it is left for somebody to unmount
        if left:
            subprocess.run(["umount", guard.mountpoint], check=True, timeout=10)
        return daemon.output(), code, left

    return run


def cases():
    """Each loop with each end; nobody but its program can wake a loop of its own from another thread."""
    return [(loop, end) for loop in LOOPS for end in ENDS if (loop, end) != ("own", "thread")]


def system_end(loop, end):
    return "callback" if end in LIKE_A_CALLBACK and loop != "own" else end


@pytest.mark.parametrize(("loop", "end"), cases())
def test_ends(libs, run, loop, end):
    expected = run(libs["system"], loop, system_end(loop, end))
    assert run(libs["so3"], loop, end) == expected
    assert run(libs["so4"], loop, end) == since_319(*expected)


@pytest.mark.parametrize("before", [["deaf"], ["cancel", "deaf"]], ids="-".join)
@pytest.mark.parametrize("loop", ["pool", "clone"])
def test_a_callback_blocked_all_signals(libs, guard, compiled, loop, before):
    """With and without a handler of the C library's for the one that it keeps for itself."""
    for library in libs.values():
        daemon = guard.start(library, [compiled(library, HERE / "ends.c", flags=FLAGS), loop, guard.mountpoint])
        daemon.wait_mounted()
        for name in [*before, *before, *before]:
            assert not guard.child(os.path.exists, guard.mountpoint / name)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 1 and "the loop returned 15" in daemon.output()


def since_319(text, *rest):
    """3.19 leaves the exit in force after a loop."""
    return text.replace("exited: 0", "exited: 1"), *rest


@pytest.mark.parametrize("version", [30, 31, 32, 35])
def test_forms_of_the_pool(libs, run, version):
    """Those of 3.0 and 3.2, which installed programs bind to by their versions."""
    for loop, end in (("pool", "SIGTERM"), ("clone", "umount")):
        expected = run(libs["system"], loop, end, version)
        assert run(libs["so3"], loop, end, version) == expected
        assert run(libs["so4"], loop, end, version) == since_319(*expected)


@pytest.fixture(params=["so4", "so3"])
def ours(request, libs):
    """Only our library: the system's waits for the next request where a loop should end."""
    return libs[request.param]


@pytest.mark.parametrize("order", ["12", "21"])
def test_two_at_once(ours, guard, compiled, order):
    """Two mounts of one process; signals mean the one that asked for them last."""
    points = [guard.folder(name) for name in ("one", "two")]
    program = compiled(ours, HERE / "two.c", flags=FLAGS)
    daemon = guard.start(ours, [program, order, *points], mountpoint=points[1]).wait_mounted()
    found = guard.children([(os.stat, point) for point in points * 4])
    assert [st.st_ino for st in found] == [101, 102] * 4
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: "loop 2 returned" in daemon.output(), "end of the second session")
    assert guard.child(os.stat, points[0]).st_ino == 101
    daemon.signal(signal.SIGUSR1)
    assert daemon.wait() == 0
    after = int(ours.name == "so4")  # whether an exit stays in force
    assert daemon.output().splitlines() == [
        f"loop 2 returned 15, exited: 0 and {after}",
        f"loop 1 returned 0, exited: {after} and {after}",
        "gone",
    ]
    assert mounts(guard.work) == []


def test_custom_clone_fd(libs, guard, compiled):
    """clone_fd over the daemon's own I/O, which came with 3.17."""
    done = guard.run(libs["so4"], [compiled(libs["so4"], HERE / "custom_clone.c", flags=FLAGS)], timeout=30)
    assert done.returncode == 0, done.stderr


def test_plugin(libs, ours, guard, build_folder):
    """Loaded, used and unloaded 20 times: nothing is left, and nothing that signals could meet is gone."""
    program = build_folder / "plugin"
    if not program.exists():
        # The headers only, so that the program asks for no libfuse of its own.
        include = subprocess.run(
            ["pkg-config", "--cflags", "fuse3"], env=libs["system"].env(), check=True, capture_output=True, text=True
        ).stdout.split()
        subprocess.run(["cc", *FLAGS, *include, "-o", program, HERE / "plugin.c", "-pthread"], check=True)
    done = guard.run(ours, [program, ours.file(), 20, guard.mountpoint], timeout=60)
    assert done.returncode == 0 and done.stderr == "", (done.returncode, done.stderr)
    fds, threads, kib = (int(word) for word in done.stdout.split() if word.lstrip("-").isdigit())
    assert (fds, threads) == (0, 0) and kib < 512, done.stdout
    assert mounts(guard.mountpoint) == []
