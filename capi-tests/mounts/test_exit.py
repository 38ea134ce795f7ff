"""However a daemon ends: the same exit code as on the system's library, and nothing left mounted."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from harness import mounts, wait_until

ENDS = {
    "umount": lambda daemon: subprocess.run(["umount", daemon.mountpoint], check=True, timeout=10),
    "fusermount3": lambda daemon: subprocess.run(["fusermount3", "-u", daemon.mountpoint], check=True, timeout=10),
    "SIGTERM": lambda daemon: daemon.signal(signal.SIGTERM),
    "SIGINT": lambda daemon: daemon.signal(signal.SIGINT),
    "SIGHUP": lambda daemon: daemon.signal(signal.SIGHUP),
}
PROGRAMS = ("hello_ll", "passthrough_ll")
LOOPS = {"threads": (), "single": ("-s",)}


def start(guard, library, program, options, background):
    """Mounts in the foreground or, as daemons do without -f, in the background."""
    daemon = guard.start(library, [program, *options, *(() if background else ("-f",)), guard.mountpoint])
    daemon.wait_mounted()
    if background:
        daemon.follow()
    library.assert_serves(daemon.pid)
    return daemon


@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("end", ENDS)
def test_exit_code(libs, guard, example, end, program, loop, background):
    codes = {}
    for library in libs.values():
        daemon = start(guard, library, example(library, program), LOOPS[loop], background)
        assert guard.child(os.listdir, guard.mountpoint)
        ENDS[end](daemon)
        codes[library.name] = daemon.wait()
        assert mounts(guard.mountpoint) == [], daemon.output()
    assert codes == dict.fromkeys(libs, codes["system"])


def test_signal_without_any_request(library, guard, example):
    """The loop is blocked in its read when the signal comes."""
    daemon = start(guard, library, example(library, "hello_ll"), (), background=False)
    assert daemon.stop() in (0, 1)


def test_kill_leaves_the_mount_and_fusermount_removes_it(library, guard, example):
    daemon = start(guard, library, example(library, "hello_ll"), (), background=False)
    daemon.signal(signal.SIGKILL)
    assert daemon.wait() == -signal.SIGKILL
    assert mounts(guard.mountpoint) != []
    with pytest.raises(AssertionError, match="Transport endpoint is not connected"):
        guard.child(os.listdir, guard.mountpoint)
    subprocess.run(["fusermount3", "-u", guard.mountpoint], check=True, timeout=10)
    assert mounts(guard.mountpoint) == []


@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_auto_unmount(library, guard, example, number, background):
    daemon = start(guard, library, example(library, "hello_ll"), ("-o", "auto_unmount"), background)
    assert guard.child(os.listdir, guard.mountpoint) == ["hello"]
    daemon.signal(number)
    daemon.wait()
    wait_until(lambda: mounts(guard.mountpoint) == [], "unmount by auto_unmount")


@pytest.mark.parametrize("loop", LOOPS)
def test_a_program_that_handles_every_signal(library, guard, compiled, loop):
    """No signal is free then to wake the loop's threads with; the loop runs and ends all the same."""
    program = compiled(library, Path(__file__).with_name("all_signals.c"))
    daemon = guard.start(library, [program, *LOOPS[loop], guard.mountpoint]).wait_mounted()
    guard.child(os.stat, guard.mountpoint)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == signal.SIGTERM, daemon.output()
