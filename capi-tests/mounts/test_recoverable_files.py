"""examples/recoverable.c by itself is a file system as examples/passthrough.c is: what that can do, this can."""

import fcntl
import os

import pytest
from harness import REPO
from test_passthrough_files import (  # noqa: F401 (fixtures and tests)
    STRICT,
    files,
    mode,
    test_append,
    test_concurrent_trees,
    test_direct_io,
    test_fsx,
    test_hard_links_are_one_inode,
    test_mmap,
    test_reading_and_writing,
    test_renaming_and_unlinking_while_open,
    test_temporary_files,
    test_truncation_while_open,
    test_what_users_make_is_theirs,
)

EXAMPLES = REPO / "examples"


@pytest.fixture
def serve(libs, guard, compiled):
    """As that of the passthrough example, whose options these tests give."""
    sources = sorted([*EXAMPLES.glob("recoverable_*.c"), *EXAMPLES.glob("backing_*.c")])
    program = compiled(libs["so4"], EXAMPLES / "recoverable.c", *sources, flags=STRICT)

    def serve(*options):
        folder, unlinked = guard.folder("source"), guard.folder("unlinked")
        given = ["passthrough"] * ("no_passthrough" not in options)
        given += [f"source={folder}"]
        others = [o for o in options if o not in ("-o", "no_passthrough")]
        command = [program, "-f", "-o", ",".join(given), f"--unlinked={unlinked}", *others, guard.mountpoint]
        return guard.daemon(libs["so4"], command), folder

    return serve


def test_options_that_are_wrong(libs, guard, compiled, serve):
    """Each is named by a line."""
    daemon, folder = serve()
    daemon.stop()
    program, unlinked = daemon.launcher.args[0], guard.work / "unlinked"
    holder = os.open(unlinked, os.O_RDONLY | os.O_DIRECTORY)

    def said(*options):
        done = guard.run(libs["so4"], [program, "-f", *options, guard.mountpoint])
        assert done.returncode == 1
        return done.stderr

    assert "usage:" in said()
    assert "/none cannot be opened by its file handle: No such file or directory" in said("--source=/none")
    assert "/proc cannot be opened by its file handle: Operation not supported" in said("--source=/proc")
    assert "/none: No such file or directory" in said(f"--source={folder}", "--unlinked=/none")
    fcntl.flock(holder, fcntl.LOCK_EX)
    assert f"{unlinked}: Resource temporarily unavailable" in said(f"--source={folder}", f"--unlinked={unlinked}")
    os.close(holder)
