"""A device that somebody else opened and mounted: its fd is inherited as /dev/fd/N, and no capability is needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import mounts, wait_until

# Opens the device, mounts it, drops every privilege there is, and becomes the daemon.
LAUNCH = """
import ctypes, os, sys
folder, *command = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fd},rootmode=40000,user_id=65534,group_id=65534,allow_other"
if libc.mount(b"inherited", folder.encode(), b"fuse.inherited", 6, options.encode()) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
os.set_inheritable(fd, True)
drop = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
os.execvp("setpriv", ["setpriv", *drop, *command, f"/dev/fd/{fd}"])
"""


@pytest.mark.parametrize("options", [(), ("-s",)], ids=["threads", "single"])
def test_inherited_fd(library, open_library, guard, example, options):
    program = example(library, "hello_ll")
    command = [sys.executable, "-c", LAUNCH, guard.mountpoint, program, "-f", *options]
    daemon = guard.start(open_library, command).wait_mounted()
    assert guard.child((guard.mountpoint / "hello").read_text) == "Hello World!\n"
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status and "Uid:\t65534" in status
    # The mount is somebody else's, too: it is taken away from outside.
    subprocess.run(["umount", guard.mountpoint], check=True, timeout=10)
    assert daemon.wait() == 0, daemon.output()


def test_the_mount_stays(library, open_library, guard, example):
    """A daemon that ends leaves the mount to whoever made it."""
    program = example(library, "hello_ll")
    daemon = guard.start(open_library, [sys.executable, "-c", LAUNCH, guard.mountpoint, program, "-f"])
    daemon.wait_mounted()
    assert guard.child(os.listdir, guard.mountpoint) == ["hello"]
    daemon.signal(15)
    daemon.wait()
    assert len(mounts(guard.mountpoint)) == 1
    subprocess.run(["umount", guard.mountpoint], check=True, timeout=10)
    wait_until(lambda: mounts(guard.mountpoint) == [], "unmount")
