"""A program with more rights than whoever starts it: the environment is not followed."""

import os
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import pytest

USER, OTHER = 12345, 12346
AS_USER = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
CAP_NET_BIND_SERVICE = 1 << 10
# Revision 2 of struct vfs_cap_data, with the flag that makes it effective.
FILE_CAPABILITY = struct.pack("<5I", 0x0200_0001, CAP_NET_BIND_SERVICE, 0, 0, 0)
# What the library says about values that it cannot use.
ENVIRONMENT = {"FUSE_THREAD_STACK": "much", "FUSE_KERN_DEVICE": "/etc/passwd"}


def plain(program):
    os.chmod(program, 0o755)


def set_user_id(program):
    os.chown(program, OTHER, OTHER)
    os.chmod(program, 0o4755)


def set_group_id(program):
    os.chown(program, 0, OTHER)
    os.chmod(program, 0o2755)


def file_capability(program):
    os.setxattr(program, "security.capability", FILE_CAPABILITY)


@pytest.mark.parametrize(
    "raise_, followed", [(plain, True), (set_user_id, False), (set_group_id, False), (file_capability, False)]
)
@pytest.mark.parametrize("name", ["so4", "so3"])
def test_environment(libs, guard, name, raise_, followed):
    library = libs[name]
    # The loader does not follow LD_LIBRARY_PATH either: the program names the folder itself.
    libdir = guard.folder("lib")
    shutil.copy(library.file(), libdir / library.soname)
    program = library.compile(
        guard.work / "raised", [Path(__file__).with_name("raised.c")], f"-Wl,-rpath,{libdir},--enable-new-dtags"
    )
    if os.statvfs(program).f_flag & os.ST_NOSUID:
        pytest.skip(f"{program} is on a file system that is mounted with nosuid")
    raise_(program)
    done = guard.run(replace(library, libdir=libdir), [*AS_USER, program, guard.mountpoint], env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert "cannot mount" in done.stderr
    for variable in ENVIRONMENT:
        assert (variable in done.stderr) == followed, done.stderr
