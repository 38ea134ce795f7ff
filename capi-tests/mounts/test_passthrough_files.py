"""examples/passthrough.c: all that files can do, read and written by the kernel or by the daemon.

What must be the kernel's is shown by the daemon's debug output, which has no READ and no WRITE then.
"""

import mmap
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import FSX, LIBC, REPO, check
from trees import checksums, copy_rename_delete, differences, make_tree

STRICT = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pedantic")
EXAMPLES = REPO / "examples"
MODES = {"kernel": (), "daemon": ("-o", "no_passthrough")}
PAGE = 4096


@pytest.fixture
def program(libs, compiled):
    first, *others = sorted(EXAMPLES.glob("passthrough*.c"))
    return compiled(libs["so4"], first, *others, *sorted(EXAMPLES.glob("backing*.c")), flags=STRICT)


@pytest.fixture
def serve(libs, guard, program):
    """serve(*options): the example on the folder `source`, or another; and that folder."""

    def serve(*options, source=None):
        folder = source or guard.folder("source")
        return guard.daemon(libs["so4"], [program, "-f", "-o", f"source={folder}", *options, guard.mountpoint]), folder

    return serve


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


def transferred(daemon):
    """How many requests to read or write the daemon got."""
    return sum(daemon.output().count(f"opcode: {name} ") for name in ("READ", "WRITE"))


@pytest.fixture
def files(serve, guard, mode):
    """files(function): calls it with the mountpoint and the source; afterwards the daemon was asked to read and write
    only where it should be."""
    daemon, source = serve("-d", *MODES[mode])

    def files(function):
        guard.child(function, guard.mountpoint, source)
        assert daemon.stop() == 0
        assert (transferred(daemon) > 0) == (mode == "daemon")

    return files


def test_groups_of_who_started_it(libs, guard, program):
    """The daemon does not keep them: what it checks in a caller's name they would allow."""
    command = ["setpriv", "--groups", "0,4", program, "-f", "-o", f"source={guard.folder('source')}", guard.mountpoint]
    daemon = guard.daemon(libs["so4"], command)
    guard.child(os.stat, guard.mountpoint)
    for thread in Path(f"/proc/{daemon.pid}/task").iterdir():
        assert "\nGroups:\t \n" in (thread / "status").read_text()


def test_reading_and_writing(files):
    def use(mnt, source):
        text = os.urandom(3 * PAGE + 5)
        (mnt / "file").write_bytes(text)
        assert (source / "file").read_bytes() == (mnt / "file").read_bytes() == text
        with (mnt / "file").open("r+b") as file:
            file.seek(PAGE)
            file.write(b"x" * PAGE)
            file.flush()
            assert (source / "file").read_bytes()[PAGE : 2 * PAGE] == b"x" * PAGE
        # By its source: no cache that a file had before shows through.
        (source / "file").write_bytes(b"short")
        assert (mnt / "file").read_bytes() == b"short"
        shutil.copyfile(mnt / "file", mnt / "copy")
        assert (source / "copy").read_bytes() == b"short"

    files(use)


def test_mmap(files):
    def use(mnt, source):
        (mnt / "file").write_bytes(b"a" * 2 * PAGE)
        with (mnt / "file").open("r+b") as one, (mnt / "file").open("r+b") as two:
            with mmap.mmap(one.fileno(), 2 * PAGE) as memory, mmap.mmap(two.fileno(), 2 * PAGE) as other:
                memory[10:14] = b"MMAP"
                assert other[10:14] == b"MMAP"
                memory.flush()
                assert (source / "file").read_bytes()[10:14] == b"MMAP"
                two.seek(PAGE)
                two.write(b"WRITE")
                two.flush()
                assert memory[PAGE : PAGE + 5] == b"WRITE"
        with (mnt / "file").open("rb") as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ) as memory:
            assert memory[10:14] == b"MMAP"

    files(use)


def test_direct_io(files):
    def use(mnt, source):
        fd = os.open(mnt / "file", os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o644)
        with mmap.mmap(-1, 4 * PAGE) as aligned:  # anonymous memory begins at a page
            aligned[:] = bytes(range(256)) * (4 * PAGE // 256)
            assert os.pwritev(fd, [aligned], 0) == 4 * PAGE
            assert (source / "file").read_bytes() == aligned[:]
            expected = aligned[:]
            aligned[:] = bytes(4 * PAGE)
            assert os.preadv(fd, [aligned], 0) == 4 * PAGE
            assert aligned[:] == expected
        os.close(fd)

    files(use)


def test_append(files):
    def use(mnt, source):
        fds = [os.open(mnt / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) for _ in range(2)]
        for i in range(100):
            os.write(fds[i % 2], b"%03d\n" % i)
        lines = [b"%03d" % i for i in range(100)]
        assert (source / "log").read_bytes().split() == lines
        for fd in fds:
            os.close(fd)

    files(use)


def test_truncation_while_open(files):
    def use(mnt, source):
        (mnt / "file").write_bytes(b"x" * 10_000)
        with (mnt / "file").open("r+b", buffering=0) as one, (mnt / "file").open("rb", buffering=0) as two:
            assert two.read(4) == b"xxxx"
            os.truncate(mnt / "file", 100)
            assert os.fstat(two.fileno()).st_size == 100 and len(two.read(1000)) == 96
            one.truncate(8000)
            assert os.pread(two.fileno(), 8000, 100) == bytes(7900)
            with (mnt / "file").open("wb"):
                pass
            assert os.fstat(one.fileno()).st_size == 0 and os.pread(two.fileno(), 10, 0) == b""
            os.posix_fallocate(one.fileno(), 0, 5000)
            assert (source / "file").stat().st_size == os.fstat(two.fileno()).st_size == 5000
            one.write(b"end")
            assert (source / "file").read_bytes()[:4] == b"end\0"

    files(use)


def test_renaming_and_unlinking_while_open(files):
    def use(mnt, source):
        (mnt / "other").write_bytes(b"other")
        with (mnt / "a").open("w+b", buffering=0) as file, (mnt / "other").open("rb", buffering=0) as replaced:
            os.rename(mnt / "a", mnt / "other")
            file.write(b"moved")
            assert (source / "other").read_bytes() == b"moved"
            assert os.pread(replaced.fileno(), 10, 0) == b"other"
            os.unlink(mnt / "other")
            file.write(b" and gone")
            assert os.pread(file.fileno(), 100, 0) == b"moved and gone"
            assert os.fstat(file.fileno()).st_nlink == 0
            assert os.listdir(source) == []

    files(use)


def test_hard_links_are_one_inode(files):
    def use(mnt, source):
        (mnt / "a").write_bytes(b"0123456789")
        os.link(mnt / "a", mnt / "b")
        assert (mnt / "a").stat().st_ino == (mnt / "b").stat().st_ino and (mnt / "b").stat().st_nlink == 2
        with (mnt / "a").open("r+b", buffering=0) as a, (mnt / "b").open("r+b", buffering=0) as b:
            a.write(b"A")
            assert b.read(3) == b"A12"
            os.unlink(mnt / "a")
            with (mnt / "b").open("rb") as c:
                b.write(b"B")
                assert c.read() == b"A12B456789"

    files(use)


def test_temporary_files(files):
    def use(mnt, source):
        with os.fdopen(os.open(mnt, os.O_RDWR | os.O_TMPFILE, 0o600), "w+b", buffering=0) as file:
            file.write(b"unnamed")
            assert os.listdir(mnt) == []
            # By linkat(2), which alone follows: link(2) is taken where no folder is given.
            os.link(f"/proc/self/fd/{file.fileno()}", mnt / "named", src_dir_fd=file.fileno(), follow_symlinks=True)
            assert os.pread(file.fileno(), 10, 0) == (source / "named").read_bytes() == b"unnamed"

    files(use)


@pytest.mark.parametrize(("name", "count"), [("kernel", 10_000), ("daemon", 4_000)])
def test_many_open_files(serve, guard, name, count):
    """Each takes one descriptor of the daemon's, and another one where the daemon reads it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 1000:
        pytest.skip(f"no more than {hard} open files are allowed")
    _, source = serve(*MODES[name])
    for i in range(count):
        (source / str(i)).write_text(str(i))

    def use(mnt):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        fds = [os.open(mnt / str(i), os.O_RDWR) for i in range(count)]
        assert all(os.pread(fd, 10, 0) == b"%d" % i for i, fd in enumerate(fds))
        for fd in fds:
            os.close(fd)

    guard.child(use, guard.mountpoint, timeout=60)


def test_concurrent_trees(serve, guard, build_folder, mode):
    daemon, source = serve(*MODES[mode])
    original = guard.folder("original")
    make_tree(original, 300)
    calls = [(copy_rename_delete, original, guard.mountpoint / f"copy{i}") for i in range(4)]
    assert guard.children([*calls, (shutil.copytree, original, guard.mountpoint / "kept", True)], timeout=60)[:4] == [[]] * 4
    assert differences(checksums(original), guard.child(checksums, guard.mountpoint / "kept")) == []
    assert daemon.stop() == 0
    assert differences(checksums(original), checksums(source / "kept")) == []


def test_fsx(serve, guard, mode):
    """Random work on one file: reads, writes, truncation, mappings, holes, copies within it."""
    if not FSX.exists():
        pytest.skip(f"{FSX} is missing: run make setup")
    serve(*MODES[mode])

    def use(mnt):
        command = [FSX, "-q", "-N", "5000", "-S", "7", mnt / "file"]
        done = subprocess.run(command, cwd=mnt, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stdout + done.stderr

    guard.child(use, guard.mountpoint, timeout=120)


def test_what_users_make_is_theirs(serve, guard, mode):
    _, source = serve(*MODES[mode])
    source.chmod(0o777)
    shared = source / "shared"
    shared.mkdir()
    os.chown(shared, 0, 4321)
    shared.chmod(0o2775)

    def use(mnt):
        os.setgroups([4321])
        os.setresgid(1001, 1001, 1001)
        os.setresuid(1000, 1000, 1000)
        (mnt / "file").touch()
        (mnt / "dir").mkdir()
        os.symlink("file", mnt / "link")
        os.mkfifo(mnt / "fifo")
        # By a supplementary group, which the daemon does not have.
        (mnt / "shared" / "file").touch()
        with pytest.raises(PermissionError):
            os.mknod(mnt / "null", 0o20666, os.makedev(1, 3))

    guard.child(use, guard.mountpoint)
    assert {os.lstat(path).st_uid for path in source.rglob("*") if path != shared} == {1000}
    assert (source / "file").stat().st_gid == 1001 and (shared / "file").stat().st_gid == 4321


# ---- where the kernel cannot ----


def overlay(guard):
    """An overlay in memory; its folder."""
    base = guard.folder("overlay")
    check(LIBC.mount(b"none", os.fsencode(base), b"tmpfs", 0, None))
    for name in ("lower", "upper", "work", "merged"):
        (base / name).mkdir()
    (base / "lower" / "below").write_bytes(b"from below")
    data = ",".join(f"{name}dir={base / name}" for name in ("lower", "upper", "work"))
    check(LIBC.mount(b"none", os.fsencode(base / "merged"), b"overlay", 0, data.encode()))
    return base / "merged"


@pytest.mark.parametrize("depth", [1, 2])
def test_on_overlayfs(serve, guard, depth):
    """Backing files on a stacked file system need depth 2; with 1 the daemon serves, and says so once."""
    daemon, source = serve("-d", "-o", f"stack_depth={depth}", source=overlay(guard))

    def use(mnt):
        for i in range(5):
            (mnt / f"file{i}").write_bytes(b"%d" % i)
            assert (mnt / f"file{i}").read_bytes() == (source / f"file{i}").read_bytes() == b"%d" % i
        with (mnt / "below").open("r+b", buffering=0) as file:
            assert file.read() == b"from below"
            file.write(b", and up")
        assert (mnt / "below").read_bytes() == (source / "below").read_bytes() == b"from below, and up"

    guard.child(use, guard.mountpoint)
    assert daemon.stop() == 0
    assert (transferred(daemon) == 0) == (depth == 2)
    assert daemon.output().count("stacked too deep") == (1 if depth == 1 else 0)


# Mounts, then gives the device to the daemon that the other arguments say, without CAP_SYS_ADMIN.
WITHOUT_PRIVILEGE = """
import ctypes, os, sys
mountpoint, *command = sys.argv[1:]
fd = os.open("/dev/fuse", os.O_RDWR)
data = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions".encode()
assert ctypes.CDLL(None).mount(b"passthrough", mountpoint.encode(), b"fuse.passthrough", 0, data) == 0
os.set_inheritable(fd, True)
drop = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
os.execvp("setpriv", [*drop, *command, f"/dev/fd/{fd}"])
"""


def test_without_privilege(libs, guard, program):
    source = guard.folder("source")
    (source / "file").write_bytes(b"text")
    command = [program, "-f", "-d", "-o", f"source={source}"]
    daemon = guard.start(libs["so4"], [sys.executable, "-c", WITHOUT_PRIVILEGE, guard.mountpoint, *command])
    daemon.wait_mounted()

    def use(mnt):
        for _ in range(3):
            assert (mnt / "file").read_bytes() == b"text"
        (mnt / "made").write_bytes(b"made")
        assert (source / "made").read_bytes() == b"made"

    guard.child(use, guard.mountpoint)
    daemon.signal(15)
    daemon.wait()
    assert transferred(daemon) > 0
    assert daemon.output().count("passthrough is off") == 1
    assert daemon.output().count("CAP_SYS_ADMIN") == 1
