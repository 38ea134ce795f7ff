"""A file system of one file through ctypes, with structs laid out as fuse_version() says. Argument: the mount point."""

import ctypes
import ctypes.util
import errno
import signal
import stat
import sys
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_int, c_long, c_size_t, c_uint64, c_void_p

fuse = ctypes.CDLL(ctypes.util.find_library("fuse3"))
fuse.fuse_pkgversion.restype = c_char_p
assert fuse.fuse_version() == 314, fuse.fuse_version()
NAME = b"from-ctypes"
TEXT = b"fuse_version %d, %s\n" % (fuse.fuse_version(), fuse.fuse_pkgversion())


class Stat(Structure):
    _fields_ = [
        ("st_dev", c_uint64),
        ("st_ino", c_uint64),
        ("st_nlink", c_uint64),
        ("st_mode", ctypes.c_uint32),
        ("st_uid", ctypes.c_uint32),
        ("st_gid", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
        ("st_rdev", c_uint64),
        ("st_size", c_long),
        ("rest", c_uint64 * 11),
    ]


class Entry(Structure):
    _fields_ = [
        ("ino", c_uint64),
        ("generation", c_uint64),
        ("attr", Stat),
        ("attr_timeout", c_double),
        ("entry_timeout", c_double),
    ]


class Args(Structure):
    _fields_ = [("argc", c_int), ("argv", POINTER(c_char_p)), ("allocated", c_int)]


# Those that are absent here are null: the table is an array of pointers.
ORDER = "init destroy lookup forget getattr setattr readlink mknod mkdir unlink rmdir symlink rename link open read write"
ORDER = (ORDER + " flush release fsync opendir readdir").split()

fuse.fuse_session_new.argtypes = [POINTER(Args), c_void_p, c_size_t, c_void_p]
fuse.fuse_session_new.restype = c_void_p
for name in ("mount", "loop", "loop_mt", "unmount", "destroy"):
    getattr(fuse, f"fuse_session_{name}").argtypes = [c_void_p, c_void_p][: 2 if name in ("mount", "loop_mt") else 1]
fuse.fuse_set_signal_handlers.argtypes = fuse.fuse_remove_signal_handlers.argtypes = [c_void_p]
fuse.fuse_reply_err.argtypes = [c_void_p, c_int]
fuse.fuse_reply_entry.argtypes = [c_void_p, POINTER(Entry)]
fuse.fuse_reply_attr.argtypes = [c_void_p, POINTER(Stat), c_double]
fuse.fuse_reply_buf.argtypes = [c_void_p, c_char_p, c_size_t]
fuse.fuse_add_direntry.argtypes = [c_void_p, c_void_p, c_size_t, c_char_p, POINTER(Stat), c_long]
fuse.fuse_add_direntry.restype = c_size_t


def attributes(ino):
    if ino == 1:
        return Stat(st_ino=1, st_mode=stat.S_IFDIR | 0o755, st_nlink=2)
    return Stat(st_ino=2, st_mode=stat.S_IFREG | 0o444, st_nlink=1, st_size=len(TEXT))


def lookup(req, parent, name):
    if name != NAME:
        fuse.fuse_reply_err(req, errno.ENOENT)
        return
    fuse.fuse_reply_entry(req, Entry(ino=2, attr=attributes(2), attr_timeout=1, entry_timeout=1))


def getattr_(req, ino, fi):
    fuse.fuse_reply_attr(req, attributes(ino), 1.0)


def read(req, ino, size, off, fi):
    fuse.fuse_reply_buf(req, TEXT[off : off + size], len(TEXT[off : off + size]))


def readdir(req, ino, size, off, fi):
    if off:
        fuse.fuse_reply_buf(req, None, 0)
        return
    buffer = ctypes.create_string_buffer(size)
    used = fuse.fuse_add_direntry(req, buffer, size, NAME, attributes(2), 1)
    fuse.fuse_reply_buf(req, buffer.raw[:used], used)


callbacks = {
    "lookup": CFUNCTYPE(None, c_void_p, c_uint64, c_char_p)(lookup),
    "getattr": CFUNCTYPE(None, c_void_p, c_uint64, c_void_p)(getattr_),
    "read": CFUNCTYPE(None, c_void_p, c_uint64, c_size_t, c_long, c_void_p)(read),
    "readdir": CFUNCTYPE(None, c_void_p, c_uint64, c_size_t, c_long, c_void_p)(readdir),
}
table = (c_void_p * len(ORDER))(*[ctypes.cast(callbacks.get(name), c_void_p) for name in ORDER])
args = Args(1, (c_char_p * 2)(b"ctypes_fs", None), 0)
se = fuse.fuse_session_new(args, table, ctypes.sizeof(table), None)
signal.signal(signal.SIGINT, signal.SIG_DFL)
assert se and fuse.fuse_set_signal_handlers(se) == 0 and fuse.fuse_session_mount(se, sys.argv[1].encode()) == 0
result = fuse.fuse_session_loop_mt(se, None)
fuse.fuse_remove_signal_handlers(se)
fuse.fuse_session_unmount(se)
fuse.fuse_session_destroy(se)
sys.exit(0 if result == signal.SIGTERM else f"the loop returned {result}")
