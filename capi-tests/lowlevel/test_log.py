"""Where the log goes: the system's log, and what is said when the daemon breaks."""

import signal
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FLAGS = ("-g", "-Wall", "-Wextra", "-Werror")


@pytest.fixture
def breaking(libs, compiled, guard):
    """breaking(how, what): runs the program that breaks."""
    # For a program that exports its symbols, as the backtrace names no others.
    program = compiled(libs["so4"], HERE / "failing.c", flags=(*FLAGS, "-O1", "-rdynamic", "-Wno-infinite-recursion"))
    return lambda how, what="": guard.run(libs["so4"], [program, str(how), what])


FAILING = [signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV]


@pytest.mark.parametrize("how", [*map(int, FAILING), "null", "abort", "overflow"])
def test_failing_signals(how, breaking):
    done = breaking(how)
    number = {"null": signal.SIGSEGV, "abort": signal.SIGABRT, "overflow": signal.SIGSEGV}.get(how, how)
    assert done.returncode == -signal.SIGABRT
    first, *frames = done.stderr.splitlines()
    assert first == f"fuse: got signal {int(number)}, aborting"
    assert len(frames) >= 3
    # Of the overflowing stack only the top is shown.
    assert how == "overflow" or any("break_here" in frame for frame in frames)


def test_the_log_function_gets_it(breaking):
    done = breaking("null", "own log")
    assert done.returncode == -signal.SIGABRT
    assert done.stdout.startswith("level 3: fuse: got signal 11, aborting\nlevel 3: ")
    assert "break_here" in done.stdout and done.stderr == ""


def test_what_is_not_handled(breaking):
    assert breaking(int(signal.SIGBUS), "own handler").returncode == 42
    removed = breaking(int(signal.SIGSEGV), "removed")
    assert (removed.returncode, removed.stderr) == (-signal.SIGSEGV, "")


def test_after_the_session(breaking):
    """The handlers stay without their session, and still say what happened."""
    done = breaking(int(signal.SIGFPE), "destroyed")
    assert done.returncode == -signal.SIGABRT and "got signal 8" in done.stderr


def test_syslog(libs, compiled, guard):
    program = compiled(libs["so4"], HERE / "to_syslog.c", flags=FLAGS)
    done = guard.run(libs["so4"], [program, "--unknown"])
    assert done.returncode == 0
    assert done.stdout == "own: 6 by function\n"
    plain, numbers, unknown, closed = done.stderr.splitlines()
    assert (plain, numbers) == ("plain", "a-daemon: 7 and 0.5")
    assert unknown.startswith("a-daemon: fuse: unknown option") and "--unknown" in unknown
    # The identity is the program's again, and not what became of the string.
    assert closed == "to_syslog: closed"
