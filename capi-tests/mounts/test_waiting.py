"""Requests that wait, on the real kernel: locks that block, polls, interrupts of whoever asked."""

import errno
import fcntl
import os
import select
import signal
import threading
import time
from pathlib import Path

import pytest
from harness import wait_until

SOURCE = Path(__file__).with_name("waiting.c")


@pytest.fixture
def start(library, guard, compiled):
    """start(*options): mounts; the daemon, which must end well."""
    daemons = []

    def start(*options):
        program = compiled(library, SOURCE, flags=("-Wall", "-Wextra", "-Werror"))
        daemons.append(guard.daemon(library, [program, "-f", *options, guard.mountpoint]))
        return daemons[-1]

    yield start
    for daemon in daemons:
        assert daemon.stop() == 0, daemon.output()


def ask(mountpoint, name):
    return int(os.getxattr(mountpoint, f"user.{name}"))


def in_fork(function):
    """Runs a function in a process of its own; its pid, and a pipe that gets what it returns."""
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            os.write(writer, repr(function()).encode())
        except OSError as error:
            os.write(writer, errno.errorcode[error.errno].encode())
        finally:
            os._exit(0)
    os.close(writer)
    return pid, reader


def answer(reader, pid, limit=10):
    ready, _, _ = select.select([reader], [], [], limit)
    assert ready, "no answer"
    text = os.read(reader, 100).decode()
    os.close(reader)
    os.waitpid(pid, 0)
    return text


def nothing(*_):
    """A handler without SA_RESTART's effect on what it interrupts: Python's handlers have none."""


LOCKS = {
    "fcntl": lambda fd, how: fcntl.lockf(fd, how),
    "flock": lambda fd, how: fcntl.flock(fd, how),
}


@pytest.mark.parametrize("kind", LOCKS)
def test_a_lock_waits_until_it_is_free(start, guard, kind):
    start()
    lock = LOCKS[kind]
    path = guard.mountpoint / "locked"

    def use():
        fd = os.open(path, os.O_RDWR)
        lock(fd, fcntl.LOCK_EX)

        def other():
            fd = os.open(path, os.O_RDWR)
            try:
                lock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                lock(fd, fcntl.LOCK_SH)
                return "waited"

        waiters = [in_fork(other) for _ in range(3)]
        wait_until(lambda: ask(guard.mountpoint, "waiting") == 3, "three waiters")
        lock(fd, fcntl.LOCK_UN)
        # Shared: all three at once, and each of them lets go when it ends.
        assert [answer(reader, pid) for pid, reader in waiters] == ["'waited'"] * 3
        lock(fd, fcntl.LOCK_EX)
        os.close(fd)
        return ask(guard.mountpoint, "interrupts")

    assert guard.child(use) == 0


@pytest.mark.parametrize("kind", LOCKS)
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGKILL])
def test_waiting_for_a_lock_is_interrupted(start, guard, kind, number):
    start()
    lock = LOCKS[kind]
    path = guard.mountpoint / "locked"

    def use():
        fd = os.open(path, os.O_RDWR)
        lock(fd, fcntl.LOCK_EX)

        def other():
            signal.signal(signal.SIGUSR1, lambda *_: (_ for _ in ()).throw(InterruptedError(errno.EINTR, "signal")))
            fd = os.open(path, os.O_RDWR)
            lock(fd, fcntl.LOCK_EX)
            return "locked"

        pid, reader = in_fork(other)
        wait_until(lambda: ask(guard.mountpoint, "waiting") == 1, "a waiter")
        os.kill(pid, number)
        text = answer(reader, pid)
        wait_until(lambda: ask(guard.mountpoint, "waiting") == 0, "the end of the waiting")
        lock(fd, fcntl.LOCK_UN)
        return text, ask(guard.mountpoint, "interrupts")

    assert guard.child(use) == ("EINTR" if number == signal.SIGUSR1 else "", 1)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGKILL])
def test_a_read_is_interrupted(start, guard, number):
    start()

    def use():
        def other():
            signal.signal(signal.SIGUSR1, lambda *_: (_ for _ in ()).throw(InterruptedError(errno.EINTR, "signal")))
            return os.read(os.open(guard.mountpoint / "slow", os.O_RDONLY), 10)

        pid, reader = in_fork(other)
        wait_until(lambda: ask(guard.mountpoint, "waiting") == 1, "a reader")
        os.kill(pid, number)
        return answer(reader, pid), ask(guard.mountpoint, "interrupts")

    assert guard.child(use) == ("EINTR" if number == signal.SIGUSR1 else "", 1)


def test_an_interrupt_that_is_not_heeded(start, guard):
    """The daemon hears of it and answers in its own time; the reply is taken all the same."""
    start("--stubborn")

    def use():
        def other():
            # Interrupted, the read goes on: Python calls it again only for EINTR.
            signal.signal(signal.SIGUSR1, nothing)
            return os.read(os.open(guard.mountpoint / "slow", os.O_RDONLY), 10)

        pid, reader = in_fork(other)
        wait_until(lambda: ask(guard.mountpoint, "waiting") == 1, "a reader")
        os.kill(pid, signal.SIGUSR1)
        wait_until(lambda: ask(guard.mountpoint, "interrupts") == 1, "the interrupt")
        (guard.mountpoint / "ready").write_bytes(b"x")
        return answer(reader, pid), ask(guard.mountpoint, "late")

    assert guard.child(use) == ("b'late'", 0)


@pytest.mark.parametrize("library", ["so4"], indirect=True)
def test_no_interrupts_wanted(start, guard):
    """With FUSE_CONN_FLAG_NO_INTERRUPT the kernel is told to send none; the daemon never hears of one."""
    start("--no-interrupt")

    def use():
        def other():
            signal.signal(signal.SIGUSR1, nothing)
            return os.read(os.open(guard.mountpoint / "slow", os.O_RDONLY), 10)

        texts = []
        for _ in range(2):
            pid, reader = in_fork(other)
            wait_until(lambda: ask(guard.mountpoint, "waiting") == 1, "a reader")
            os.kill(pid, signal.SIGUSR1)
            time.sleep(0.05)
            (guard.mountpoint / "ready").write_bytes(b"x")
            texts.append(answer(reader, pid))
        return texts, ask(guard.mountpoint, "interrupts")

    assert guard.child(use) == (["b'late'"] * 2, 0)


def test_poll_is_notified(start, guard):
    start()

    def use():
        path = guard.mountpoint / "ready"
        fd = os.open(path, os.O_RDONLY)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        before = poll.poll(0)
        threading.Timer(0.2, lambda: path.write_bytes(b"x")).start()
        begin = time.monotonic()
        after = poll.poll(10_000)
        # Well before the time is up: it was woken.
        return before, [events for _, events in after], time.monotonic() - begin < 8

    assert guard.child(use) == ([], [select.POLLIN], True)
