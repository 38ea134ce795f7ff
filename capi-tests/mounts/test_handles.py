"""File handles and idmapped mounts, seen on the running kernel."""

import ctypes
import errno
import os
import struct
from pathlib import Path

import pytest
from harness import LIBC, check, wait_until
from telling import ALLOW_IDMAP, EXPORT, FLAGS, NO_EXPORT, SOURCES, USER, as_user, last, lines, skip_without


class FileHandle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]


def handle_of(path, flags=0):
    handle, mount_id = FileHandle(128), ctypes.c_int()
    check(LIBC.name_to_handle_at(-100, os.fsencode(path), ctypes.byref(handle), ctypes.byref(mount_id), flags))
    return handle


def open_handle(mountpoint, handle):
    """0 or an errno."""
    where = os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY)
    fd = LIBC.open_by_handle_at(where, ctypes.byref(handle), os.O_RDONLY)
    return 0 if fd >= 0 else ctypes.get_errno()


def test_export(told, guard):
    """A handle of an inode that the kernel does not know: only with EXPORT_SUPPORT the file system is asked."""

    def use(unknown):
        path = guard.mountpoint / "file"
        path.write_text("by handle")
        handle = handle_of(path)
        known = open_handle(guard.mountpoint, handle)
        inode = struct.unpack_from("=II", bytes(handle.data[:8]))
        assert inode == (0, path.stat().st_ino)
        struct.pack_into("=I", handle.data, 4, unknown)
        return known, open_handle(guard.mountpoint, handle)

    daemon = told()
    assert guard.child(use, 77) == (0, errno.ESTALE)
    daemon.stop()
    daemon = told(caps=EXPORT)
    assert guard.child(use, 77) == (0, 0)
    assert lines(daemon, "lookup of . ino=77")
    daemon.stop()


def test_no_export(told, guard):
    daemon = told(caps=NO_EXPORT)
    skip_without(daemon, NO_EXPORT)

    def use():
        (guard.mountpoint / "file").write_text("text")
        with pytest.raises(OSError) as refused:
            handle_of(guard.mountpoint / "file")
        return refused.value.errno

    assert guard.child(use) == errno.EOPNOTSUPP
    daemon.stop()


# ---- idmapped mounts ----


class MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns_fd")]


OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR, CLONE_NEWUSER = 428, 429, 442, 0x10000000


def user_namespace(uid_map):
    """An fd of a new user namespace."""
    ready, done = os.pipe(), os.pipe()
    if (child := os.fork()) == 0:
        os.close(done[1])
        os.write(ready[1], b"x" if LIBC.unshare(CLONE_NEWUSER) == 0 else b"-")
        os.read(done[0], 1)
        os._exit(0)
    assert os.read(ready[0], 1) == b"x", "no user namespaces"
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{child}/{name}").write_text(uid_map)
    fd = os.open(f"/proc/{child}/ns/user", os.O_RDONLY)
    os.close(done[1])
    os.waitpid(child, 0)
    return fd


def map_mount(mountpoint, where):
    """The mount a second time, with the file system's user 0 as USER."""
    tree = LIBC.syscall(OPEN_TREE, -100, os.fsencode(mountpoint), 1 | os.O_CLOEXEC)
    check(min(tree, 0))
    attr = MountAttr(set=0x100000, userns_fd=user_namespace(f"0 {USER} 1"))
    check(LIBC.syscall(MOUNT_SETATTR, tree, b"", 0x1000, ctypes.byref(attr), ctypes.sizeof(attr)))
    check(LIBC.syscall(MOVE_MOUNT, tree, b"", -100, os.fsencode(where), 4))


def test_idmapped_mount(told, guard):
    """What a user makes through it belongs to user 0 of the file system, and is shown as the user's."""
    daemon = told("-o", "default_permissions", caps=ALLOW_IDMAP)
    skip_without(daemon, ALLOW_IDMAP)
    mapped = guard.folder("mapped")
    guard.child(map_mount, guard.mountpoint, mapped)

    def use():
        (mapped / "folder").mkdir()
        seen = (mapped / "folder").stat()
        return seen.st_uid, seen.st_gid

    assert guard.child(as_user, use) == (USER, USER)
    made = guard.child(os.stat, guard.mountpoint / "folder")
    assert (made.st_uid, made.st_gid) == (0, 0)
    assert last(daemon, "mkdir").startswith("mkdir ino=1 uid=0 gid=0")
    check(LIBC.umount2(os.fsencode(mapped), 2))
    daemon.stop()


def test_idmapped_mount_is_refused_without(told, guard):
    daemon = told("-o", "default_permissions")
    skip_without(daemon, ALLOW_IDMAP)
    mapped = guard.folder("mapped")
    with pytest.raises(AssertionError, match=rf"\[Errno {errno.EINVAL}\]"):
        guard.child(map_mount, guard.mountpoint, mapped)
    daemon.stop()


def test_idmap_needs_default_permissions(libs, guard, compiled):
    """The kernel breaks such a connection off; the library says why."""
    program = compiled(libs["so4"], *SOURCES, flags=FLAGS)
    daemon = guard.start(libs["so4"], [program, "-f", f"--caps={ALLOW_IDMAP:x}", guard.mountpoint])
    skip_without(daemon, ALLOW_IDMAP)
    wait_until(lambda: "default_permissions" in daemon.output(), "a line that says why")
