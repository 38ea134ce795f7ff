"""Successors, and children, that are other processes than the first in more than their number: their rights, what the kernel
told them so far, whose child they are."""

import errno
import os
import signal
import subprocess
from pathlib import Path

import pytest
from harness import wait_until

from .test_takeover import Application, kill, mount, says

__all__ = ["mount"]
LOOPS = [pytest.param(["-s"], id="single"), pytest.param([], id="pool")]


class Holder:
    """A program that has the file open, and reads it when it is told to."""

    def __init__(self, mountpoint):
        self.process = subprocess.Popen(
            ["bash", "-c", "exec 3<file && echo open && read line && cat <&3"],
            cwd=mountpoint, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        assert self.process.stdout.readline() == "open\n"

    def finish(self):
        return self.process.communicate("go\n", timeout=10)[0]


@pytest.mark.parametrize("without", ["first", "second"])
def test_a_successor_with_other_rights(mount, guard, without):
    """What is open by a backing file is opened by the same, what is open without stays so: else each open would be EIO."""
    (mount.source / "file").write_text("contents")
    options = {who: ["--pass", *(["--drop"] if who == without else [])] for who in ("first", "second")}
    first = mount.start(*options["first"])
    holder = Holder(guard.mountpoint)
    kill(first)
    second = mount.taken_over(*options["second"])
    assert guard.child(Path.read_text, guard.mountpoint / "file") == "contents"
    assert ("attach: done" in second.output()) == (without == "second")
    assert holder.finish() == "contents"
    wait_until(lambda: second.output().count("release") == 2, "releases")
    # Nothing is open any more: it is as the second's rights say.
    assert guard.child(Path.read_text, guard.mountpoint / "file") == "contents"
    assert second.output().count("attach: done") == 1
    for daemon, who in ((first, "first"), (second, "second")):
        assert ("passthrough is off" in daemon.output()) == (who == without)
    assert second.stop() == 0


def test_passthrough_when_init_was_not_answered(mount, guard):
    """The kernel refuses backing files until it has the answer, which is the successor's to send."""
    (mount.source / "file").write_text("contents")
    first = mount.start("--pass", "--die=init-reply")
    assert first.wait() == -signal.SIGKILL
    reader = Application("cat", guard.mountpoint / "file")
    second = mount.taken_over("--pass")
    assert reader.finish() == (0, "contents")
    assert "passthrough is on" in second.output() and "passthrough is off" not in second.output()
    assert "attach: done" in second.output() and "read " not in second.output()
    assert second.stop() == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_a_child_that_a_callback_forks(mount, guard, loop):
    """It neither makes nodes, whose nodeids its parent would give to others, nor registers files for opens that its parent
    does not count."""
    (mount.source / "file").write_text("contents")
    daemon = mount.start("--pass", "--fork", *loop)
    for _ in range(2):
        assert guard.child(Path.read_text, guard.mountpoint / "file") == "contents"
    refused = os.strerror(errno.ENOTSUP)
    assert daemon.output().count(f"child: node 0 ({refused}), attach: {refused}\nattach: done\n") == 2
    assert daemon.output().count("was forked while the session is served") == 2
    assert daemon.stop() == 0


@pytest.mark.parametrize("where", ["init", "loop"])
def test_a_daemon_in_the_background_is_no_such_child(mount, guard, where):
    (mount.source / "file").write_text("contents")
    mount.start("--pass", "-s", f"--daemonize={where}").follow()
    assert guard.child(Path.read_text, guard.mountpoint / "file") == "contents"


@pytest.mark.parametrize("loop", LOOPS)
def test_a_successor_in_the_background_is_no_such_child(mount, guard, loop):
    """Its INIT was before."""
    (mount.source / "file").write_text("contents")
    first = mount.start("--pass")
    guard.child(os.stat, guard.mountpoint)
    kill(first)
    second = mount.taken_over("--pass", "--daemonize=loop", *loop).follow()
    assert guard.child(Path.read_text, guard.mountpoint / "file") == "contents"
    assert "attach: done" in second.output()
    assert second.stop() == 0
