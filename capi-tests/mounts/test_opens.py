"""Every row of the table of opens in docs/passthrough.md, on the running kernel: what it makes of each answer, and what
the library makes of it first where the daemon leaves the ids to it.

covers: fuse_session_new_versioned
"""

import errno
import mmap
import os
import threading
from pathlib import Path

import pytest
from harness import wait_until

SOURCE = Path(__file__).with_name("opens.c")
BACKING, DAEMON = b"in the backing file\n", b"served by the daemon"
LOG = "passthrough is"


@pytest.fixture
def start(libs, guard, compiled):
    """start(*options): the mount, the daemon, and the backing file."""
    backing = guard.work / "backing"
    backing.write_bytes(BACKING)
    guard.work.chmod(0o755)

    def start(*options, path=backing):
        program = compiled(libs["so4"], SOURCE, flags=("-Wall", "-Wextra", "-Werror"))
        return guard.daemon(libs["so4"], [program, "-f", *options, f"--backing={path}", guard.mountpoint])

    return start


class Use:
    """What a test does with the mount, in a process of its own."""

    def __init__(self, mountpoint):
        self.mountpoint = mountpoint
        self.files = []

    def ask(self, name):
        return int(os.getxattr(self.mountpoint, f"user.{name}").rstrip(b"\0"))

    def open(self, answer, flags=os.O_RDWR, name="file"):
        """Opens the file with that answer; the errno of a failure."""
        os.setxattr(self.mountpoint, "user.next", answer.encode())
        try:
            self.files.append(os.open(self.mountpoint / name, flags, 0o644))
        except OSError as error:
            return error.errno
        return 0

    def reader(self):
        """Who serves the newest file's reads."""
        text = os.pread(self.files[-1], 100, 0)
        assert text in (BACKING, DAEMON)
        return {BACKING: "kernel", DAEMON: "daemon"}[text]

    def mapped(self):
        with mmap.mmap(self.files[-1], 10, mmap.MAP_SHARED, mmap.PROT_READ) as memory:
            return memory[:10]

    def close(self):
        """Closes all, and waits until the daemon knows. Releases are sent on their own time."""
        for file in self.files:
            os.close(file)
        self.files = []
        wait_until(lambda: self.ask("opens") == 0, "releases")


def use(guard, function, *args):
    return guard.child(lambda: function(Use(guard.mountpoint), *args))


# The state of the inode, the answer, what the kernel makes of it, and who reads then.
MATRIX = [
    ("first", "same", 0, "kernel"),
    ("first", "other", errno.EIO, None),
    ("first", "", errno.EIO, None),
    ("first", "direct", errno.EIO, None),
    ("first", "same direct", 0, "daemon"),
    ("first", "same keep", errno.EIO, None),
    ("first", "same noflush parallel", 0, "kernel"),
    ("first", "close same", errno.EIO, None),
    ("", "first", errno.EIO, None),
    ("", "direct", 0, "daemon"),
    ("direct", "first", 0, "kernel"),
]


@pytest.mark.parametrize(("state", "answer", "error", "reader"), MATRIX)
def test_matrix_by_hand(start, guard, state, answer, error, reader):
    """The kernel's own rules, with ids that the daemon keeps."""
    daemon = start("--by-hand")

    def rows(use):
        assert use.open(state) == 0
        first = use.reader()
        assert first == ("kernel" if state == "first" else "daemon")
        assert use.open(answer) == error
        if error == 0:
            assert use.reader() == reader
            if "same" in answer:
                assert use.mapped() == BACKING[:10]
        # Whatever became of the second one, the first works as before.
        assert os.pread(use.files[0], 100, 0) == (BACKING if first == "kernel" else DAEMON)
        use.close()

    use(guard, rows)
    assert daemon.stop() == 0


# With the library's ids: what attach returns, and who reads. No row is an error for the application.
ATTACHED = [
    ("attach", "attach", 0, "kernel"),
    ("attach", "attach again wrong", 0, "kernel"),
    ("attach", "other", None, "kernel"),
    ("attach", "", None, "kernel"),
    ("attach", "keep", None, "kernel"),
    ("attach", "direct", None, "daemon"),
    ("attach", "attach direct", 0, "daemon"),
    ("attach", "attach keep", 0, "kernel"),
    ("attach", "attach noflush parallel", 0, "kernel"),
    ("attach", "attach detach", 0, "kernel"),
    ("", "attach", -errno.EBUSY, "daemon"),
    ("", "direct", None, "daemon"),
    ("direct", "attach", 0, "kernel"),
    ("keep", "attach keep", -errno.EBUSY, "daemon"),
]


@pytest.mark.parametrize(("state", "answer", "attached", "reader"), ATTACHED)
def test_matrix_attached(start, guard, state, answer, attached, reader):
    daemon = start()

    def rows(use):
        assert (use.ask("enabled"), use.ask("status")) == (0, 0)
        assert use.open(state) == 0
        assert use.open(answer) == 0
        assert attached is None or use.ask("result") == attached
        assert use.reader() == reader
        if state == "attach":
            assert use.mapped() == BACKING[:10]
        one = use.ask("id")
        use.close()
        assert use.ask("result") == 0
        # It is closed already, and the next open gets one that is not.
        assert one == 0 or use.ask("close") == errno.ENOENT
        assert use.open("attach") == 0 and use.reader() == "kernel"
        use.close()

    use(guard, rows)
    assert daemon.stop() == 0
    assert daemon.output().count(f"{LOG} on") == 1


def test_create_and_hard_links(start, guard):
    """Two names of one inode, one of them just made, are one file with one id."""
    start()

    def rows(use):
        assert use.open("attach", os.O_RDWR | os.O_CREAT, "file") == 0
        one = use.ask("id")
        assert use.open("attach", os.O_RDWR, "file-too") == 0
        assert use.ask("id") == one and use.reader() == "kernel"
        os.pwrite(use.files[0], b"IN", 0)
        assert os.pread(use.files[1], 6, 0) == b"IN the"
        use.close()
        assert use.ask("close") == errno.ENOENT

    use(guard, rows)


@pytest.mark.parametrize("answer", ["attach fail", "attach detach"])
def test_an_open_that_is_not_made_gives_its_id_back(start, guard, answer):
    start()

    def rows(use):
        assert use.open(answer) == (errno.EDOM if "fail" in answer else 0)
        assert use.ask("id") > 0 and use.ask("close") == errno.ENOENT
        if use.files:
            assert use.reader() == "daemon"
            use.close()
        assert use.open("attach") == 0 and use.reader() == "kernel"

    use(guard, rows)


def test_a_reply_that_is_not_wanted_gives_its_id_back(start, guard):
    """The application was interrupted: the reply is ENOENT, and no release will come."""
    daemon = start("--own-io")

    def rows(use):
        assert use.open("attach unwanted") == errno.ENXIO
        assert use.ask("result") == -errno.ENOENT
        assert use.ask("id") > 0 and use.ask("close") == errno.ENOENT
        # A cached open that was lost does not count either.
        assert use.open("unwanted") == errno.ENXIO
        assert use.open("attach") == 0 and use.ask("result") == 0
        # And one that is lost beside another leaves that alone.
        assert use.open("attach unwanted") == errno.ENXIO
        assert use.reader() == "kernel"
        use.close()
        assert use.ask("close") == errno.ENOENT

    use(guard, rows)
    assert daemon.stop() == 0


def test_a_daemon_without_release(start, guard):
    """The library counts by itself."""
    start("--no-release")

    def rows(use):
        for _ in range(3):
            assert use.open("attach") == 0 and use.reader() == "kernel"
        one = use.ask("id")
        for file in use.files:
            os.close(file)
        wait_until(lambda: use.ask("close") == errno.ENOENT and use.ask("id") == one, "the id's end")

    use(guard, rows)


def test_a_direct_open_that_may_be_mapped_is_a_cached_one(start, guard):
    """FUSE_CAP_DIRECT_IO_ALLOW_MMAP: the daemon is not told of the map, which would make the open below fail."""
    start("--allow-mmap")

    def rows(use):
        assert use.open("direct") == 0
        assert use.mapped() == DAEMON[:10]
        assert use.open("attach") == 0
        assert (use.ask("result"), use.reader()) == (-errno.EBUSY, "daemon")

    use(guard, rows)


def test_threads_open_and_close_one_inode(start, guard):
    """First opens at once, and opens while the last release is under way: never an error, never the daemon's data."""
    start()

    def rows(use):
        os.setxattr(use.mountpoint, "user.next", b"attach")
        failures = []

        def work():
            for _ in range(400):
                try:
                    file = os.open(use.mountpoint / "file", os.O_RDONLY)
                    if os.pread(file, 100, 0) != BACKING:
                        failures.append("read by the daemon")
                    os.close(file)
                except OSError as error:
                    failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert use.ask("reads") == 0
        use.close()
        assert use.ask("close") == errno.ENOENT

    use(guard, rows)


def test_session_forms_and_their_errors(start, guard):
    daemon = start("--by-hand")

    def rows(use):
        assert use.ask("status") == -errno.ENOTCONN
        assert use.ask("close") == errno.EINVAL  # no id yet: 0
        assert use.open("first") == 0
        assert use.ask("close") == 0
        assert use.ask("close") == errno.ENOENT
        # Files that are open with it stay so.
        assert use.reader() == "kernel"

    use(guard, rows)
    assert daemon.stop() == 0
    assert "fuse_session_passthrough_close: backing id 0: " in daemon.output()


@pytest.mark.parametrize(("options", "call"), [(("--by-hand",), "libfuse"), ((), "attach")])
def test_what_can_be_registered(start, guard, options, call):
    """The kernel's errnos as they are, by libfuse's call and by ours; the open goes on."""
    daemon = start(*options)
    errors = {"folder": errno.EISDIR, "device": errno.EINVAL, "none": errno.EBADF, "path": 0}

    def rows(use):
        for what, error in errors.items():
            for _ in range(2):
                assert use.open(f"{call} {what}") == 0
                assert (what, use.ask("result"), use.reader()) == (what, -error, "daemon" if error else "kernel")
                use.close()

    use(guard, rows)
    assert daemon.stop() == 0
    # libfuse's says each failure, ours each kind once.
    lines = [line for line in daemon.output().splitlines() if "file descriptor" in line]
    assert len(lines) == (6 if call == "libfuse" else 3)


@pytest.mark.parametrize(
    ("options", "answer", "kept"), [((), "attach", 0), (("--by-hand",), "first", 0), (("--by-hand",), "libfuse", 0o6000)]
)
def test_who_writes_to_a_set_id_file(start, guard, options, answer, kept):
    """The kernel writes as the thread that registered the file. This daemon has CAP_FSETID, with which the bits stay:
    libfuse's call is what it is, ours registers without."""
    start("-o", "allow_other", *options)
    backing = guard.work / "backing"
    os.chmod(backing, 0o6777)

    def rows(use):
        assert use.open(answer, os.O_RDONLY) == 0 and use.reader() == "kernel"
        os.setxattr(use.mountpoint, "user.next", answer.encode() if answer == "attach" else b"same")
        os.setresgid(1000, 1000, 1000)
        os.setresuid(1000, 1000, 1000)
        fd = os.open(use.mountpoint / "file", os.O_WRONLY)
        os.write(fd, b"x")
        os.close(fd)

    use(guard, rows)
    assert backing.read_bytes()[:1] == b"x"
    assert backing.stat().st_mode & 0o7777 == kept | 0o777


# ---- negotiation ----


def test_a_privilege_that_goes_later(start, guard):
    """The daemon serves by itself from then on, and says so once."""
    daemon = start()

    def rows(use):
        assert use.ask("status") == 0
        for _ in range(3):
            assert use.open("drop attach") == 0
            assert (use.ask("result"), use.reader()) == (-errno.EPERM, "daemon")
            use.close()

    use(guard, rows)
    assert daemon.stop() == 0
    assert daemon.output().count("no CAP_SYS_ADMIN") == 1


@pytest.mark.parametrize(
    ("options", "enabled", "status", "line"),
    [
        (["--writeback=1"], 0, 0, f"{LOG} on"),
        (["--writeback=2"], 0, -errno.EBUSY, f"{LOG} off, files are read and written by the daemon: FUSE_CAP_WRITEBACK"),
        (["--depth=3"], -errno.EINVAL, -errno.ENOTCONN, "stack depth is 3"),
        (["--by-hand", "--writeback=1"], 1, -errno.ENOTCONN, "FUSE_CAP_WRITEBACK_CACHE is wanted together"),
    ],
)
def test_negotiation(start, guard, options, enabled, status, line):
    daemon = start(*options)

    def rows(use):
        assert (use.ask("enabled"), use.ask("status")) == (enabled, status)
        assert use.open("attach") == 0
        assert use.reader() == ("kernel" if status == 0 else "daemon")
        assert use.ask("result") == status

    use(guard, rows)
    assert daemon.stop() == 0
    assert daemon.output().count(line) == 1
