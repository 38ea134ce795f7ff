"""Who may do what, and whose it becomes: what INIT agrees on about that, seen on the running kernel."""

import errno
import os
import stat
import struct

import pytest
from telling import (
    CREATE_SUPP_GROUP,
    DONT_MASK,
    GROUP,
    KILLPRIV,
    KILLPRIV_V2,
    POSIX_ACL,
    SECURITY_CTX,
    SETXATTR_EXT,
    SHARED_GROUP,
    USER,
    as_user,
    last,
    lines,
    skip_without,
    write_to,
)


def make_set_uid(path, owner=USER):
    path.write_bytes(b"program")
    os.chown(path, owner, GROUP)
    path.chmod(0o6777)


# ---- clearing set-uid bits ----


def test_kill_suidgid(told, guard):
    """The kernel marks what an unprivileged user does to a set-uid file, and nothing that root does."""
    daemon = told(caps=KILLPRIV_V2)
    skip_without(daemon, KILLPRIV_V2)
    path = guard.mountpoint / "program"
    guard.child(make_set_uid, path)
    # A change of the owner clears whoever makes it.
    assert "KILL_SUIDGID" in lines(daemon, "setattr ")[0]
    before = len(lines(daemon))
    guard.child(write_to, path, b"x", os.O_WRONLY | os.O_TRUNC)
    assert not [line for line in lines(daemon)[before:] if "KILL_SUIDGID" in line]
    guard.child(as_user, write_to, path)
    assert "KILL_SUIDGID" in last(daemon, "write of 1") and f"uid={USER}" in last(daemon, "write of 1")
    assert "KILL_SUIDGID" not in last(daemon, "open")
    guard.child(as_user, write_to, path, b"", os.O_WRONLY | os.O_TRUNC)
    assert "KILL_SUIDGID" in last(daemon, "open")
    guard.child(as_user, os.truncate, path, 3)
    assert "KILL_SUIDGID" in last(daemon, "setattr")
    guard.child(as_user, write_to, guard.mountpoint / "new", b"", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    assert "KILL_SUIDGID" in last(daemon, "create")
    # The file system clears, the kernel asks for no change of the mode.
    assert len(lines(daemon, "setattr mode")) == 1
    daemon.stop()


def modes_asked_for(guard, daemon):
    path = guard.mountpoint / "program"
    guard.child(make_set_uid, path)
    before = len(lines(daemon, "setattr mode"))
    guard.child(as_user, write_to, path)
    return len(lines(daemon, "setattr mode")) - before


def test_killpriv(library, told, guard):
    """Without it the kernel clears the bits itself; 3.14 asks for it and never tells the kernel."""
    daemon = told(library=library)
    assert modes_asked_for(guard, daemon) == 1
    daemon.stop()
    daemon = told(library=library, caps=KILLPRIV)
    assert modes_asked_for(guard, daemon) == (0 if library.headers else 1)
    daemon.stop()


# ---- groups, masks, labels of what is made ----


def make_one_of_each(folder):
    os.mkdir(folder / "directory")
    os.mknod(folder / "pipe", stat.S_IFIFO | 0o600)
    os.symlink("target", folder / "link")
    write_to(folder / "file", flags=os.O_CREAT | os.O_WRONLY)


def test_create_supp_group(told, guard):
    """The group of the parent directory, where it is one of the caller's supplementary groups."""
    daemon = told(init_flags=CREATE_SUPP_GROUP)
    skip_without(daemon, flags=CREATE_SUPP_GROUP)

    def prepare(folder, group):
        folder.mkdir()
        os.chown(folder, USER, group)
        folder.chmod(0o2775)

    for name, group, groups in (("shared", SHARED_GROUP, [SHARED_GROUP, 3000]), ("own", GROUP, [SHARED_GROUP]),
                                ("foreign", SHARED_GROUP, [3000])):
        folder = guard.mountpoint / name
        guard.child(prepare, folder, group)
        before = len(lines(daemon))
        guard.child(lambda: as_user(make_one_of_each, folder, groups=groups))
        made = [line for line in lines(daemon)[before:] if line.startswith(("mkdir", "mknod", "symlink", "create"))]
        expected = f"groups=1,{SHARED_GROUP}" if name == "shared" else f"groups={-errno.ENOENT}"
        assert len(made) == 4 and all(line.endswith(expected) for line in made), made
    daemon.stop()


def test_security_contexts_beside_groups(told, guard):
    """Without a security module the kernel sends an empty list of contexts, in front of the groups."""
    daemon = told(caps=SECURITY_CTX, init_flags=CREATE_SUPP_GROUP)
    skip_without(daemon, SECURITY_CTX, flags=CREATE_SUPP_GROUP)

    def prepare(folder):
        folder.mkdir()
        os.chown(folder, USER, SHARED_GROUP)

    guard.child(prepare, guard.mountpoint / "shared")
    guard.child(lambda: as_user(make_one_of_each, guard.mountpoint / "shared", groups=[SHARED_GROUP]))
    assert lines(daemon, "symlink")[0].endswith(f"groups=1,{SHARED_GROUP}")
    daemon.stop()


def test_dont_mask(library, told, guard):
    def make(name):
        os.umask(0o077)
        write_to(guard.mountpoint / name, flags=os.O_CREAT | os.O_WRONLY)

    for caps, mode in ((0, "mode=0100600 umask=077"), (DONT_MASK, "mode=0100644 umask=077")):
        daemon = told(library=library, caps=caps)
        guard.child(make, "file")
        assert mode in last(daemon, "create")
        daemon.stop()


def acl(*entries):
    """A POSIX ACL as an extended attribute: tag, permissions, id."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xFFFFFFFF
LOCKED = acl((1, 6, NOBODY), (2, 0, USER), (4, 4, NOBODY), (16, 6, NOBODY), (32, 4, NOBODY))


def test_posix_acl(library, told, guard):
    """The kernel checks permissions against the ACL that the file system keeps."""

    def set_acl(path, value):
        path.write_text("text")
        os.chown(path, 0, 0)
        os.setxattr(path, "system.posix_acl_access", value)

    path = guard.mountpoint / "file"
    daemon = told(library=library, caps=POSIX_ACL)
    guard.child(lambda: (os.chmod(guard.mountpoint, 0o777), set_acl(path, LOCKED)))
    with pytest.raises(AssertionError, match="PermissionError"):
        guard.child(as_user, path.read_text)
    daemon.stop()


@pytest.mark.parametrize("ext", [0, SETXATTR_EXT])
def test_acl_kill_sgid(told, guard, ext):
    """The owner sets an ACL and is not in the file's group."""
    daemon = told(caps=POSIX_ACL | ext)
    skip_without(daemon, POSIX_ACL, *filter(None, [ext]))
    path = guard.mountpoint / "file"

    def prepare():
        path.write_text("text")
        os.chown(path, USER, SHARED_GROUP)
        path.chmod(0o2755)

    guard.child(prepare)
    guard.child(as_user, os.setxattr, path, "system.posix_acl_access", LOCKED)
    assert ("ACL_KILL_SGID" in last(daemon, "setxattr")) == bool(ext)
    guard.child(os.setxattr, path, "system.posix_acl_access", LOCKED)
    assert "ACL_KILL_SGID" not in last(daemon, "setxattr")
    daemon.stop()
