"""System calls on a mount of m_ops, one step each: `mount_script.py <mountpoint>`.

A step announces itself to the daemon by looking up "@<step>", and prints "<step> | <result or errno>".
"""

import ctypes
import errno
import fcntl
import mmap
import os
import select
import socket
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
EXCHANGE, NOREPLACE = 2, 1
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE = 1, 2
ROOT_DIR = -100
steps = []


def step(function):
    steps.append(function)
    return function


def outcome(call, *args, **named):
    """A call's result, or the name of its errno."""
    try:
        return call(*args, **named)
    except OSError as error:
        return errno.errorcode[error.errno]


def renameat2(old, new, flags):
    if libc.renameat2(ROOT_DIR, old.encode(), ROOT_DIR, new.encode(), flags) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def fallocate(fd, mode, offset, length):
    if libc.fallocate(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(length)) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")


def short_stat(path, **named):
    s = os.stat(path, **named)
    return oct(s.st_mode), s.st_ino, s.st_nlink, s.st_uid, s.st_gid, s.st_size, s.st_rdev, s.st_blocks


def as_nobody(call, *args):
    """The outcome of a call in a process without privileges."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        os.write(writer, repr(outcome(call, *args)).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, "rb") as answer:
        return answer.read().decode()


@step
def stat_root():
    return short_stat("."), outcome(os.stat, "missing")


@step
def statfs():
    s = os.statvfs(".")
    return s.f_bsize, s.f_frsize, s.f_blocks, s.f_bfree, s.f_bavail, s.f_files, s.f_ffree, s.f_namemax


@step
def create_exclusively():
    fd = os.open("file", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
    os.close(fd)
    return short_stat("file"), outcome(os.open, "file", os.O_CREAT | os.O_EXCL | os.O_RDWR)


@step
def create_under_umask():
    before = os.umask(0o027)
    os.close(os.open("masked", os.O_CREAT | os.O_WRONLY, 0o777))
    os.mkdir("masked-dir", 0o777)
    os.umask(before)
    return short_stat("masked"), short_stat("masked-dir")


@step
def write_and_read():
    fd = os.open("file", os.O_RDWR)
    written = os.write(fd, b"hello world"), os.pwrite(fd, b"W", 6), os.pwrite(fd, b"x" * 300000, 4096)
    found = os.pread(fd, 20, 0), len(os.pread(fd, 400000, 0)), os.pread(fd, 10, 1 << 30)
    os.close(fd)
    return written, found


@step
def read_again():
    fd = os.open("file", os.O_RDONLY)
    found = os.read(fd, 11), os.lseek(fd, 0, os.SEEK_END)
    os.close(fd)
    return found


@step
def append():
    fd = os.open("file", os.O_WRONLY | os.O_APPEND)
    written = os.write(fd, b"tail")
    os.close(fd)
    return written, short_stat("file")


@step
def direct_io():
    area = mmap.mmap(-1, 8192)
    area.write(b"d" * 8192)
    fd = os.open("direct", os.O_CREAT | os.O_RDWR | os.O_DIRECT)
    result = os.writev(fd, [area]), os.lseek(fd, 0, os.SEEK_SET), os.readv(fd, [area])
    os.close(fd)
    return result


@step
def sync_files():
    fd = os.open("file", os.O_RDWR)
    os.write(fd, b"s")
    os.fsync(fd)
    os.fdatasync(fd)
    os.close(fd)
    directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(directory)
    os.close(directory)


@step
def duplicated_descriptor():
    fd = os.open("file", os.O_RDWR)
    second = os.dup(fd)
    os.close(fd)
    os.write(second, b"dup")
    os.close(second)


@step
def truncating():
    os.truncate("file", 5000)
    fd = os.open("file", os.O_RDWR)
    os.ftruncate(fd, 10)
    os.close(fd)
    os.close(os.open("file", os.O_WRONLY | os.O_TRUNC))
    return short_stat("file"), outcome(os.truncate, "file", 1 << 40)


@step
def times():
    os.utime("file", ns=(1_000_000_001, 2_000_000_002))
    s = os.stat("file")
    os.utime("file")
    return s.st_atime_ns, s.st_mtime_ns


@step
def mode_and_owner():
    os.chmod("file", 0o4755)
    os.chown("file", 1000, -1)
    os.chown("file", -1, 1001)
    os.chown("file", 5, 6)
    fd = os.open("file", os.O_RDWR)
    os.fchmod(fd, 0o600)
    os.close(fd)
    return short_stat("file")


@step
def nodes():
    os.mknod("fifo", 0o600 | 0o010000)
    os.mknod("device", 0o600 | 0o020000, os.makedev(1, 3))
    os.mknod("regular", 0o640 | 0o100000)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket")
    return [short_stat(name) for name in ("fifo", "device", "regular", "socket")]


@step
def links():
    os.link("file", "hard")
    os.symlink("some/target", "soft")
    return short_stat("hard"), os.readlink("soft"), short_stat("soft", follow_symlinks=False), outcome(os.stat, "soft")


@step
def directories():
    os.mkdir("dir")
    os.makedirs("dir/a/b/c")
    return short_stat("dir/a/b"), outcome(os.rmdir, "dir"), outcome(os.rmdir, "dir/a/b/c"), outcome(os.mkdir, "dir")


@step
def renaming():
    os.rename("hard", "renamed")
    os.rename("renamed", "dir/moved")
    os.rename("dir/moved", "regular")
    return (
        outcome(renameat2, "file", "regular", NOREPLACE),
        outcome(renameat2, "file", "fresh", NOREPLACE),
        outcome(renameat2, "fresh", "soft", EXCHANGE),
        outcome(renameat2, "soft", "missing", EXCHANGE),
        outcome(renameat2, "soft", "file", 4),
    )


@step
def removing():
    return [outcome(os.unlink, name) for name in ("soft", "fresh", "missing", "dir")]


@step
def unlinked_but_open():
    fd = os.open("gone", os.O_CREAT | os.O_RDWR)
    os.unlink("gone")
    os.write(fd, b"still here")
    found = os.pread(fd, 20, 0), os.fstat(fd).st_nlink
    os.close(fd)
    return found


@step
def extended_attributes():
    os.setxattr("masked", "user.a", b"value\0x")
    os.setxattr("masked", "user.bb", b"", os.XATTR_CREATE)
    return (
        os.getxattr("masked", "user.a"),
        os.getxattr("masked", "user.bb"),
        os.listxattr("masked"),
        outcome(os.setxattr, "masked", "user.a", b"2", os.XATTR_CREATE),
        outcome(os.setxattr, "masked", "user.c", b"2", os.XATTR_REPLACE),
        outcome(os.setxattr, "masked", "user.long", b"2" * 1000),
        outcome(os.removexattr, "masked", "user.a"),
        outcome(os.removexattr, "masked", "user.a"),
        outcome(os.getxattr, "masked", "user.a"),
        os.listxattr("masked"),
    )


@step
def allocating():
    fd = os.open("masked", os.O_RDWR)
    result = (
        outcome(fallocate, fd, 0, 0, 20000),
        outcome(fallocate, fd, FALLOC_KEEP_SIZE, 30000, 10),
        outcome(fallocate, fd, FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE, 4096, 4096),
        os.fstat(fd).st_size,
    )
    os.close(fd)
    return result


@step
def holes():
    fd = os.open("masked", os.O_RDWR)
    result = [outcome(os.lseek, fd, at, how) for at in (0, 100, 5000, 50000) for how in (os.SEEK_DATA, os.SEEK_HOLE)]
    os.close(fd)
    return result


@step
def copying():
    source, target = os.open("masked", os.O_RDWR), os.open("copy", os.O_CREAT | os.O_RDWR)
    os.write(source, b"copied bytes")
    result = os.copy_file_range(source, target, 12, 0, 100), os.copy_file_range(source, target, 100000, 50, 0)
    found = os.pread(target, 12, 100), os.fstat(target).st_size
    os.close(source)
    os.close(target)
    return result, found


@step
def record_locks():
    fd = os.open("masked", os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)
    fcntl.lockf(fd, fcntl.LOCK_SH)
    asked = fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
    fcntl.lockf(fd, fcntl.LOCK_UN)
    os.close(fd)
    return struct.unpack("hhqqi4x", asked)[:4]


@step
def whole_file_locks():
    fd = os.open("masked", os.O_RDWR)
    for operation in (fcntl.LOCK_SH, fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN, fcntl.LOCK_EX):
        fcntl.flock(fd, operation)
    os.close(fd)


@step
def many_entries():
    os.mkdir("many")
    for i in range(300):
        os.mknod(f"many/{'entry' * (i % 5)}-{i}", 0o100644)
    listed = sorted(os.listdir("many"))
    return len(listed), listed[:3], len([entry.stat().st_ino for entry in os.scandir("many")])


@step
def seeking_in_a_directory():
    return len(os.listdir("dir")), os.listdir("dir/a/b")


@step
def mapped_memory():
    fd = os.open("mapped", os.O_CREAT | os.O_RDWR)
    os.ftruncate(fd, 10000)
    with mmap.mmap(fd, 10000) as area:
        before = area[0], area[9999]
        area[5000:5004] = b"dirt"
        area.flush()
    os.close(fd)
    fd = os.open("mapped", os.O_RDONLY)
    found = os.pread(fd, 4, 5000)
    os.close(fd)
    return before, found


@step
def control():
    fd = os.open("masked", os.O_RDWR)
    word = bytearray(struct.pack("i", 41))
    request = (3 << 30) | (4 << 16) | (ord("d") << 8) | 1
    result = fcntl.ioctl(fd, request, word), struct.unpack("i", word), outcome(fcntl.ioctl, fd, 0x6400 + 2)
    os.close(fd)
    return result


@step
def polling():
    fd = os.open("masked", os.O_RDWR)
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLPRI | select.POLLOUT)
    ready = [events for _, events in poll.poll(0)]
    os.close(fd)
    return ready


@step
def as_another_user():
    os.chmod("masked", 0o640)
    return (
        as_nobody(os.access, "masked", os.R_OK),
        as_nobody(os.access, "copy", os.R_OK),
        as_nobody(os.listdir, "dir"),
        as_nobody(os.mkdir, "dir/by-nobody"),
        short_stat("dir/by-nobody"),
        os.access("masked", os.X_OK),
    )


def main():
    os.chdir(sys.argv[1])
    os.umask(0)
    for function in steps:
        name = function.__name__.replace("_", " ")
        outcome(os.lstat, "@" + name)
        print(f"{name} | begin\n{name} | caller {outcome(function)}", flush=True)
    outcome(os.lstat, "@stopping")


main()
