"""What only the newer library has, against the running kernel: backing files, epochs, pruning.

covers: fuse_session_new_versioned
"""

import errno
import os
from pathlib import Path

import pytest
from harness import wait_until

SOURCE = Path(__file__).with_name("backed_file.c")
TEXT = "in the backing file\n"


@pytest.fixture
def start(libs, guard, compiled):
    """start(*options): the mount, the daemon, and the backing file."""
    backing = guard.work / "backing"
    backing.write_text(TEXT)

    def start(*options):
        program = compiled(libs["so4"], SOURCE, flags=("-Wall", "-Wextra", "-Werror"))
        return guard.daemon(libs["so4"], [program, "-f", *options, f"--backing={backing}", guard.mountpoint])

    return start


def ask(mountpoint, name):
    return int(os.getxattr(mountpoint, f"user.{name}"))


def test_passthrough(start, guard):
    daemon = start()

    def use(mountpoint, backing):
        with (mountpoint / "file").open("r+") as file:
            if ask(mountpoint, "result") == errno.ENOTTY:
                return "no passthrough"
            assert ask(mountpoint, "result") == 0
            assert file.read() == TEXT
            file.seek(0)
            file.write("IN")
            file.flush()
            assert backing.read_text() == TEXT.replace("in", "IN", 1)
            with (mountpoint / "file").open() as second:
                assert second.read(2) == "IN"
        assert ask(mountpoint, "reads") == 0
        # Releases are sent on their own time; the last one closes the backing id.
        wait_until(lambda: ask(mountpoint, "opens") == 0, "release")
        assert ask(mountpoint, "result") == 0
        return "passthrough"

    outcome = guard.child(use, guard.mountpoint, guard.work / "backing")
    assert daemon.stop() == 0
    assert "fuse_passthrough_open" not in daemon.output()
    if outcome != "passthrough":
        pytest.skip("the kernel has no passthrough")


def test_not_negotiated(start, guard):
    """Without the capability the id is 0, errno and the log say why, and the open goes on without it."""
    daemon = start("--no-passthrough")

    def use(mountpoint):
        text = (mountpoint / "file").read_text()
        return text, ask(mountpoint, "result"), ask(mountpoint, "reads")

    text, result, reads = guard.child(use, guard.mountpoint)
    assert (text, reads > 0) == ("by the daemon", True)
    assert result in (errno.EPERM, errno.ENOTTY)
    assert daemon.stop() == 0
    assert "fuse_passthrough_open: file descriptor" in daemon.output()


def test_epoch_and_prune(start, guard):
    daemon = start()

    def use(mountpoint):
        path = mountpoint / "file"
        for _ in range(3):
            path.stat()
        assert ask(mountpoint, "lookups") == 1
        os.setxattr(mountpoint, "user.epoch", b"")
        result = ask(mountpoint, "result")
        if result == -errno.ENOSYS:
            return "no epochs"
        assert result == 0
        path.stat()
        assert ask(mountpoint, "lookups") == 2
        os.setxattr(mountpoint, "user.prune", b"")
        result = ask(mountpoint, "result")
        if result == -errno.ENOSYS:
            return "no pruning"
        assert result == 0
        # Forgets are sent on their own time.
        wait_until(lambda: ask(mountpoint, "forgets") == 2, "forgets")
        path.stat()
        assert ask(mountpoint, "lookups") == 3
        return "both"

    outcome = guard.child(use, guard.mountpoint)
    assert daemon.stop() == 0
    if outcome != "both":
        pytest.skip(f"the kernel has {outcome}")
