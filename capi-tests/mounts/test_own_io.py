"""fuse_session_custom_io() after fuse_session_mount(): functions of the daemon's in the place of the device."""

from pathlib import Path

import pytest
from harness import mounts

SOURCE = Path(__file__).with_name("own_io.c")
FLAGS = ("-Wall", "-Wextra", "-Werror")
# INIT and the getattr are answered through the functions.
SERVED = ["stat 0, size 42", "sent 2", "descriptors +0"]


def serve(library, guard, compiled, loop, named):
    done = guard.run(library, [compiled(library, SOURCE, flags=FLAGS), guard.mountpoint, loop, named], timeout=30)
    assert (done.returncode, done.stderr, done.stdout.splitlines()) == (0, "", SERVED)
    assert not mounts(guard.mountpoint)


@pytest.mark.parametrize("loop", ["process", "loop"])
def test_a_mounted_session(library, guard, compiled, loop):
    serve(library, guard, compiled, loop, "same")


@pytest.mark.parametrize("name", ["so4", "so3"])
def test_an_fd_of_its_own(name, libs, guard, compiled):
    """Which becomes the session's; libfuse loses the device then."""
    serve(libs[name], guard, compiled, "process", "clone")
