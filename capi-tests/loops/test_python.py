"""Programs that load the library themselves and bind its functions by their bare names, as Python's ctypes does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import mounts

HERE = Path(__file__).parent


def test_ctypes(binary_library, guard):
    """find_library() finds the soname, LD_LIBRARY_PATH whose file it is; what it says of itself is what the ABI is."""
    program = [sys.executable, HERE / "ctypes_fs.py", guard.mountpoint]
    daemon = guard.daemon(binary_library, program)
    assert guard.child(os.listdir, guard.mountpoint) == ["from-ctypes"]
    assert guard.child((guard.mountpoint / "from-ctypes").read_text) == "fuse_version 314, 3.14.0\n"
    assert daemon.stop() == 0, daemon.output()


@pytest.fixture
def pyfuse3():
    """The distribution's Python, which its package of pyfuse3 is made for."""
    python = "/usr/bin/python3"
    done = subprocess.run([python, "-c", "import pyfuse3, trio"], capture_output=True)
    if done.returncode != 0:
        pytest.skip("python3-pyfuse3 is not installed")
    return python


def test_pyfuse3(binary_library, guard, pyfuse3):
    """The distribution's pyfuse3, unmodified: an event loop of its own (trio) around a non-blocking fd."""
    daemon = guard.daemon(binary_library, [pyfuse3, HERE / "pyfuse3_fs.py", guard.mountpoint])

    def use():
        root = guard.mountpoint
        assert os.listdir(root) == ["message"]
        assert (root / "message").read_text() == "hello world\n"
        with pytest.raises(PermissionError):
            (root / "message").open("wb")
        with pytest.raises(FileNotFoundError):
            os.stat(root / "other")
        return os.stat(root / "message").st_size

    assert guard.children([(use,)] * 3) == [12] * 3
    assert daemon.stop() == 0, daemon.output()
    assert mounts(guard.mountpoint) == []
