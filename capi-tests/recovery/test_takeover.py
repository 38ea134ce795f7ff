"""A daemon dies or leaves, wherever it is, and another takes over its mount. The test holds the fds meanwhile."""

import errno
import fcntl
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from harness import wait_until

HERE = Path(__file__).parent
# Where in the state lies what.
BLOBS, BLOB, JOURNAL, RECORD, NODES = 4096, 65536, 512 << 20, 320, 1 << 30


class Mount:
    """A mount whose daemons come and go."""

    def __init__(self, guard, library, program):
        self.guard, self.library, self.program = guard, library, program
        self.source = guard.folder("source")
        self.fds = []

    def start(self, *more):
        """The first daemon; its state and device are held from then on."""
        ours, theirs = socket.socketpair()
        argv = [self.program, f"--source={self.source}", f"--hand={theirs.fileno()}", *more, self.guard.mountpoint]
        daemon = self.guard.start(self.library, argv, pass_fds=[theirs.fileno()])
        theirs.close()
        ours.settimeout(10)
        for _ in range(2):
            _, fds, _, _ = socket.recv_fds(ours, 1, 1)
            assert fds, daemon.output()
            self.fds += fds
        ours.close()
        return daemon

    def successor(self, *more, fds=None):
        """Takes over; it may still fail to."""
        fds = self.fds if fds is None else fds
        take = ",".join(map(str, fds))
        argv = [self.program, f"--source={self.source}", f"--take={take}", *more, self.guard.mountpoint]
        return self.guard.start(self.library, argv, pass_fds=fds)

    def taken_over(self, *more, fds=None):
        daemon = self.successor(*more, fds=fds)
        says(daemon, "restore: done")
        return daemon

    def close(self):
        for fd in self.fds:
            os.close(fd)


@pytest.fixture
def mount(guard, libs, compiled):
    library = libs["so4"]
    mount = Mount(guard, library, compiled(library, HERE / "again.c"))
    yield mount
    mount.close()


def says(daemon, line, limit=10):
    """Waits for a line."""
    wait_until(lambda: re.search(f"^{line}$", daemon.output(), re.M), f"`{line}` in\n{daemon.output()}", limit)


def kill(daemon):
    daemon.signal(signal.SIGKILL)
    assert daemon.wait() == -signal.SIGKILL


class Application:
    """A program on the mount, which may wait for long."""

    def __init__(self, *argv):
        self.process = subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def is_waiting(self):
        return self.process.poll() is None

    def finish(self, limit=10):
        out, _ = self.process.communicate(timeout=limit)
        return self.process.returncode, out


def read_of(path):
    return Application("dd", f"if={path}", "iflag=direct", "bs=4096", "status=none")


def test_a_read_in_flight_is_answered_by_the_successor(mount, guard):
    (mount.source / "file").write_text("contents")
    first = mount.start("--hold")
    reader = Application("cat", guard.mountpoint / "file")
    says(first, "read .*")
    kill(first)
    assert reader.is_waiting()
    second = mount.taken_over()
    assert reader.finish() == (0, "contents")
    assert re.search("read (.*)", first.output())[1] + " again" == re.search("read (.*)", second.output())[1]
    says(second, "drained 1")
    assert "classify 15\n" in second.output()
    assert second.stop() == 0
    assert "destroy\n" in second.output()


def held_read(mount, guard, *more):
    """A first daemon that is killed with a read in flight; the reader, who does not try twice."""
    (mount.source / "file").write_text("contents")
    first = mount.start("--hold", *more)
    reader = read_of(guard.mountpoint / "file")
    says(first, "read .*")
    kill(first)
    return reader


def test_signals_do_not_keep_memory_from_the_state(mount, guard):
    (mount.source / "file").touch()
    first = mount.start("--signals")
    assert guard.child(os.path.exists, guard.mountpoint / "file")
    kill(first)
    second = mount.taken_over("--signals")
    assert guard.child(os.path.exists, guard.mountpoint / "file")
    assert second.stop() == 0
    assert "no room" not in first.output() + second.output()


def test_nodeids_and_open_files_go_on(mount, guard):
    (mount.source / "deep/er").mkdir(parents=True)
    (mount.source / "deep/er/file").write_text("contents")
    first = mount.start()
    # The shell holds a file and a directory open, and looks at them when it is told to.
    script = 'cd deep/er && exec 3<file && echo ready && read line && cat <&3 && stat -c %s file'
    shell = subprocess.Popen(
        ["bash", "-c", script], cwd=guard.mountpoint, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert shell.stdout.readline() == "ready\n"
    kill(first)
    second = mount.taken_over()
    out, _ = shell.communicate("go\n", timeout=10)
    assert (shell.returncode, out) == (0, "contents8\n")
    # Every nodeid that the kernel came with was known.
    assert "nodeid" not in second.output()
    assert second.stop() == 0


@pytest.mark.parametrize("where, made_by", [("dispatch", 2), ("effect", 1), ("reply", 1)])
def test_mkdir_is_done_once(mount, guard, where, made_by):
    first = mount.start(f"--die={where}")
    maker = Application("mkdir", guard.mountpoint / "new")
    assert first.wait() == -signal.SIGKILL
    assert (mount.source / "new").exists() == (made_by == 1)
    second = mount.taken_over()
    assert maker.finish() == (0, "")
    both = first.output() + second.output()
    assert both.count("mkdir new: made") == 1, both
    # A reply that was recorded is sent without asking the daemon.
    assert ("mkdir new again" in second.output()) == (where != "reply")
    assert second.stop() == 0


def test_errors_are_recorded_too(mount, guard):
    """The first daemon could not; its successor could, and is not asked."""
    first = mount.start("--refuse", "--die=error")
    maker = Application("mkdir", guard.mountpoint / "new")
    assert first.wait() == -signal.SIGKILL
    second = mount.taken_over()
    code, out = maker.finish()
    assert code == 1 and os.strerror(errno.ENOSPC) in out
    assert not (mount.source / "new").exists() and "mkdir" not in second.output()
    assert second.stop() == 0


def test_a_kernel_that_does_not_say_which_connection_a_device_is_of(mount, guard):
    (mount.source / "file").write_text("contents")
    first = mount.start("--hold", "--old-fdinfo")
    reader = read_of(guard.mountpoint / "file")
    says(first, "read .*")
    kill(first)
    second = mount.taken_over("--old-fdinfo")
    assert "does not say which connection" in second.output()
    assert reader.finish() == (0, "contents")
    assert second.stop() == 0


def test_a_request_whose_record_is_damaged_fails(mount, guard):
    """It is not known whether it was done: it is not done again, and no wrong reply is sent."""
    first = mount.start("--die=reply")
    maker = Application("mkdir", guard.mountpoint / "new")
    first.wait()
    state = mount.fds[0]
    used = int.from_bytes(os.pread(state, 8, 24), "little")
    heads = [(at, os.pread(state, 1, at)[0]) for at in range(JOURNAL, JOURNAL + used * RECORD, RECORD)]
    # One whose reply is out already may be among them: the daemon died before it took that back.
    executed = [at for at, phase in heads if phase == 2]
    assert executed
    for record in executed:
        flip(state, record + RECORD - 64)
    second = mount.taken_over()
    code, out = maker.finish()
    assert code == 1 and os.strerror(errno.EIO) in out
    assert "is damaged: it fails" in second.output() and "mkdir" not in second.output()
    assert second.stop() == 0


@pytest.mark.parametrize("where", ["init", "init-reply"])
def test_init_in_flight(mount, guard, where):
    (mount.source / "file").touch()
    first = mount.start(f"--die={where}")
    assert first.wait() == -signal.SIGKILL
    asking = Application("stat", guard.mountpoint / "file")
    second = mount.taken_over()
    assert asking.finish()[0] == 0, second.output()
    assert second.output().count("init\n") == 1
    assert second.stop() == 0


@pytest.mark.parametrize("where", ["restore", "classify"])
def test_a_successor_dies_too(mount, guard, where):
    reader = held_read(mount, guard)
    second = mount.successor(f"--die={where}")
    assert second.wait() == -signal.SIGKILL
    assert reader.is_waiting()
    third = mount.taken_over()
    assert reader.finish() == (0, "contents")
    says(third, "drained 1")
    assert third.stop() == 0


def test_mkdir_is_done_once_by_three(mount, guard):
    """Done by the first, not answered by the second."""
    first = mount.start("--die=effect")
    maker = Application("mkdir", guard.mountpoint / "new")
    first.wait()
    assert mount.successor("--die=dispatch").wait() == -signal.SIGKILL
    third = mount.taken_over()
    assert maker.finish() == (0, "")
    assert "mkdir new again, noted: absent" in third.output()
    assert third.stop() == 0


ENTRY, OPEN = 128, 16


def leaves(daemon):
    """It left the mount while a reply was on its way."""
    assert daemon.wait() == 0, daemon.output()
    assert "detach: 0\n" in daemon.output()


def test_a_reply_that_comes_after_the_detach_is_the_successors_to_send(mount, guard):
    """And the next one's. What was done and counted for it is neither done nor counted again, nor taken back."""
    first = mount.start(f"--leave={ENTRY}")
    maker = Application("mkdir", guard.mountpoint / "new")
    leaves(first)
    leaves(mount.taken_over(f"--leave={ENTRY}"))
    assert maker.is_waiting()
    third = mount.taken_over()
    assert maker.finish() == (0, "")
    assert "mkdir new: made" in first.output() and "mkdir" not in third.output()
    Path("/proc/sys/vm/drop_caches").write_text("2")
    says(third, f"forget 1, -{errno.ESTALE} left")
    assert "not in the table" not in third.output()
    assert third.stop() == 0


@pytest.mark.parametrize("loop", [["-s"], []], ids=["single", "pool"])
def test_a_forget_that_was_read_before_the_detach_counts(mount, guard, loop):
    """Nobody sends it again."""
    (mount.source / "file").touch()
    first = mount.start("--leave-forget", *loop)
    guard.child(os.stat, guard.mountpoint / "file")
    Path("/proc/sys/vm/drop_caches").write_text("2")
    leaves(first)
    assert f"forget 1, -{errno.ESTALE} left" in first.output()
    second = mount.taken_over()
    assert guard.child(os.path.exists, guard.mountpoint / "file")
    assert second.stop() == 0


def test_forgets_that_a_takeover_reads_count_once(mount, guard):
    """Also if the successor dies before its loop; the daemon hears of those that are left when it serves."""
    files = [guard.mountpoint / f"file{n}" for n in range(3)]  # more than one comes as one message
    for file in files:
        (mount.source / file.name).touch()
    first = mount.start()
    for file in files:
        guard.child(os.stat, file)
    kill(first)
    Path("/proc/sys/vm/drop_caches").write_text("2")
    second = mount.taken_over("--die=loop")
    assert second.wait() == -signal.SIGKILL
    third = mount.taken_over()
    for file in files:
        guard.child(os.stat, file)
    kill(third)
    Path("/proc/sys/vm/drop_caches").write_text("2")
    last = mount.taken_over()
    wait_until(lambda: last.output().count("forget ") == 3, "forgets")
    assert last.output().count(f"forget 1, -{errno.ESTALE} left") == 3
    assert "not in the table" not in last.output()
    assert last.stop() == 0


def test_an_open_that_comes_after_the_detach_is_taken_back_once(mount, guard):
    """Else the id of the file that is open beside it would be closed, and the open get another: EIO."""
    (mount.source / "file").write_text("contents")
    first = mount.start("--pass")
    hold = Application("tail", "-f", guard.mountpoint / "file")
    says(first, "attach: done")
    kill(first)
    second = mount.taken_over("--pass", f"--leave={OPEN}")
    reader = Application("cat", guard.mountpoint / "file")
    leaves(second)
    third = mount.taken_over("--pass")
    assert reader.finish() == (0, "contents")
    hold.process.kill()
    assert third.stop() == 0


def test_what_was_counted_is_taken_back_once(mount, guard):
    """A lookup was counted and not answered, and is to fail now: two successors come to that, of which one dies."""
    (mount.source / "file").touch()
    kept = guard.mountpoint / "file"
    first = mount.start()
    guard.child(os.stat, kept)
    kill(first)
    second = mount.taken_over("--die=reply")
    asking = Application("stat", kept)
    assert second.wait() == -signal.SIGKILL
    fails = f"--fail={errno.ENOSPC}"
    assert mount.successor(fails, "--die=error").wait() == -signal.SIGKILL
    fourth = mount.taken_over(fails)
    assert asking.finish()[0] == 0, "the kernel looks again where it knew the name"
    Path("/proc/sys/vm/drop_caches").write_text("2")
    says(fourth, f"forget 1, -{errno.ESTALE} left")
    assert "not in the table" not in fourth.output()
    assert fourth.stop() == 0


def test_resent_requests_come_in_the_order_of_their_age(mount, guard):
    (mount.source / "file").write_bytes(bytes(4096 * 64))
    first = mount.start("--hold")
    readers = []
    for n in range(10):  # the kernel sends 12 at once
        readers.append(Application("dd", f"if={guard.mountpoint}/file", "bs=4096", "count=1", f"skip={n * 4}",
                                   "iflag=direct", "of=/dev/null", "status=none"))
        wait_until(lambda: first.output().count("read ") >= n + 1, "reads")
    kill(first)
    second = mount.taken_over("-s")
    for reader in readers:
        assert reader.finish()[0] == 0
    again = [int(number) for number in re.findall(r"read (\d+) again", second.output())]
    assert again == sorted(again) and len(again) >= 10
    assert second.stop() == 0


def test_classify_may_fail_a_request(mount, guard):
    reader = held_read(mount, guard)
    second = mount.taken_over(f"--fail={errno.ETIMEDOUT}")
    code, out = reader.finish()
    assert code == 1 and os.strerror(errno.ETIMEDOUT) in out
    assert second.stop() == 0


def test_an_interrupted_request_is_interrupted_again(mount, guard):
    reader = held_read(mount, guard)
    reader.process.send_signal(signal.SIGINT)
    assert reader.is_waiting()
    second = mount.taken_over("--hold")
    assert reader.finish()[0] == -signal.SIGINT
    number = re.search("read (.*) again", second.output())[1]
    assert f"interrupted {number}\n" in second.output()
    assert second.stop() == 0


@pytest.mark.parametrize("single", [True, False])
def test_a_kernel_that_does_not_resend(mount, guard, single):
    """What is in the journal is answered, what is not fails; nothing waits."""
    reader = held_read(mount, guard)
    second = mount.taken_over("--old-kernel", *(["-s"] if single else []))
    code, out = reader.finish()
    assert code == 1 and os.strerror(errno.EIO) in out
    assert guard.child(os.path.exists, guard.mountpoint / "file")
    says(second, "drained 0")
    assert second.stop() == 0


def test_a_kernel_that_does_not_resend_gets_the_recorded_reply(mount, guard):
    first = mount.start("--die=reply")
    maker = Application("mkdir", guard.mountpoint / "new")
    first.wait()
    second = mount.taken_over("--old-kernel")
    assert maker.finish() == (0, "")
    assert second.stop() == 0


def test_one_successor_at_a_time(mount, guard):
    first = mount.start()
    refused = mount.successor()
    assert refused.wait() == 3
    assert "another process serves from it" in refused.output()
    kill(first)
    second = mount.taken_over()
    refused = mount.successor()
    assert refused.wait() == 3
    assert guard.child(os.path.exists, guard.mountpoint / "file") is False
    assert second.stop() == 0


def test_a_planned_replacement(mount, guard):
    (mount.source / "file").write_text("contents")
    first = mount.start()
    assert guard.child(Path.read_text, guard.mountpoint / "file") == "contents"
    first.signal(signal.SIGUSR1)
    assert first.wait() == 0
    assert "pause: 0\ndetach: 0\n" in first.output() and "destroy" not in first.output()
    reader = Application("cat", guard.mountpoint / "file")
    second = mount.taken_over()
    assert reader.finish() == (0, "contents")
    assert second.stop() == 0


@pytest.mark.parametrize("loop", [["-s"], [], ["-o", "clone_fd"]], ids=["single", "pool", "clone_fd"])
def test_a_pause_ends_at_a_request_boundary(mount, guard, loop):
    (mount.source / "file").write_text("contents")
    first = mount.start(*loop)
    assert guard.child(Path.read_text, guard.mountpoint / "file") == "contents"
    for _ in range(3):
        before = first.output().count("paused: 0")
        first.signal(signal.SIGUSR2)
        wait_until(lambda: first.output().count("paused: 0") > before, "pause")
        reads = first.output().count("read ")
        reader = read_of(guard.mountpoint / "file")
        assert reader.is_waiting() and first.output().count("read ") == reads
        first.signal(signal.SIGUSR2)
        assert reader.finish() == (0, "contents")
    # An exit ends a pause as well.
    first.signal(signal.SIGUSR2)
    wait_until(lambda: first.output().count("paused: 0") > 3, "pause")
    assert first.stop() == 0


def test_a_pause_says_what_is_not_answered(mount, guard):
    (mount.source / "file").write_text("contents")
    first = mount.start("--hold")
    reader = read_of(guard.mountpoint / "file")
    says(first, "read .*")
    first.signal(signal.SIGUSR2)
    says(first, "paused: 1")
    first.signal(signal.SIGUSR1)
    assert first.wait() == 0
    second = mount.taken_over()
    assert reader.finish() == (0, "contents")
    assert second.stop() == 0


def test_a_pause_says_what_the_loops_have_not_served_yet(mount, guard):
    """What a successor read when it took over is in flight, and stays with it."""
    (mount.source / "file").write_text("contents")
    first = mount.start("--hold")
    reader = read_of(guard.mountpoint / "file")
    says(first, "read .*")
    kill(first)
    second = mount.taken_over("--early")
    assert reader.finish() == (0, "contents")
    assert f"early pause: 1\nreceived: {-errno.EAGAIN}\nresumed: 0\n" in second.output()
    assert second.stop() == 0


@pytest.mark.parametrize("loop", ["single", "pool", "clone"])
def test_pauses_of_every_length(guard, libs, compiled, loop):
    library = libs["so4"]
    done = guard.run(library, [compiled(library, HERE / "pauses.c"), loop, guard.mountpoint])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("loop", ["single", "pool", "clone"])
def test_nobody_is_forgotten_between_sessions(guard, libs, compiled, loop):
    library = libs["so4"]
    done = guard.run(library, [compiled(library, HERE / "chain.c"), loop, guard.mountpoint])
    assert done.returncode == 0, done.stdout + done.stderr


def test_calls(guard, libs, compiled):
    """What each function returns, called as it must not be, too."""
    library = libs["so4"]
    done = guard.run(library, [compiled(library, HERE / "calls.c"), guard.mountpoint])
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_daemon_that_is_killed_while_paused_leaves_nothing_behind(mount, guard):
    """Its device is non-blocking then, for whoever has it."""
    (mount.source / "file").write_text("contents")
    first = mount.start()
    guard.child(os.stat, guard.mountpoint)
    fcntl.fcntl(mount.fds[1], fcntl.F_SETFL, os.O_NONBLOCK | os.O_RDWR)
    kill(first)
    second = mount.taken_over()
    assert guard.child(Path.read_text, guard.mountpoint / "file") == "contents"
    assert not fcntl.fcntl(mount.fds[1], fcntl.F_GETFL) & os.O_NONBLOCK
    assert second.stop() == 0


def copy_of(fd):
    """A memfd with the same contents and seals, as far as they were ever written to."""
    size = os.fstat(fd).st_size
    copy = os.memfd_create("copy", os.MFD_ALLOW_SEALING)
    os.truncate(copy, size)
    at = 0
    while True:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break
        end = os.lseek(fd, at, os.SEEK_HOLE)
        os.pwrite(copy, os.pread(fd, end - at, at), at)
        at = end
    # As much memory as the original has, which is more than what was written to.
    os.posix_fallocate(copy, NODES, os.fstat(fd).st_blocks * 512)
    fcntl.fcntl(copy, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return copy


def flip(copy, offset):
    byte = os.pread(copy, 1, offset)[0]
    os.pwrite(copy, bytes([byte ^ 0x10]), offset)


@pytest.mark.parametrize(
    "what, where, line",
    [
        ("magic", 0, "never completed"),
        ("version", 8, "its version is 17"),
        ("saved bytes", BLOBS + 20, "damaged"),
        ("saved bytes, second", BLOBS + BLOB + 40, "damaged"),
        # The second node's name; a node has 6 words and two names of 256 bytes.
        ("count", 26, "counts more than is in it"),
        ("name", NODES + 2 * (48 + 512) + 48, "node 2 is damaged"),
    ],
)
def test_a_damaged_state_is_refused(mount, guard, what, where, line):
    (mount.source / "file").write_text("contents")
    first = mount.start()
    hold = Application("tail", "-f", guard.mountpoint / "file")
    says(first, "read .*")
    kill(first)
    copy = copy_of(mount.fds[0])
    flip(copy, where)
    refused = mount.successor(fds=[copy, *mount.fds[1:]])
    assert refused.wait() == 3, refused.output()
    assert line in refused.output()
    os.close(copy)
    # The connection is as it was.
    second = mount.taken_over()
    assert guard.child(os.path.exists, guard.mountpoint / "file")
    hold.process.kill()
    assert second.stop() == 0


def test_a_state_of_another_size_is_refused(mount, guard):
    kill(mount.start())
    small = os.memfd_create("small", os.MFD_ALLOW_SEALING)
    os.truncate(small, 1 << 20)
    fcntl.fcntl(small, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    null = os.open("/dev/null", os.O_RDWR)
    for fds, line in [
        ([small, mount.fds[1]], "truncated"),
        ([null, mount.fds[1]], "not that of a session's state"),
        ([mount.fds[0], null], "no FUSE device|not connected"),
    ]:
        refused = mount.successor(fds=fds)
        assert refused.wait() == 3
        assert re.search(line, refused.output()), refused.output()
    refused = mount.successor("--node-bytes=64")
    assert refused.wait() == 3
    assert "another size" in refused.output()
    assert mount.taken_over().stop() == 0
    os.close(small)
    os.close(null)


def test_a_state_of_another_mount_is_refused(mount, guard, compiled):
    other = Mount.__new__(Mount)
    other.guard, other.library, other.program, other.source, other.fds = guard, mount.library, mount.program, mount.source, []
    first = mount.start()
    mountpoint, guard.mountpoint = guard.mountpoint, guard.folder("other")
    second = other.start()
    kill(second)
    refused = mount.successor(fds=[other.fds[0], mount.fds[1]])
    assert refused.wait() == 3
    assert "the state is of connection" in refused.output()
    assert other.taken_over().stop() == 0
    guard.mountpoint = mountpoint
    assert first.stop() == 0
    other.close()


@pytest.mark.parametrize(
    "more, line",
    [
        (["--other"], "init now asks for other things: .*max_write 65536"),
        (["-o", "allow_root"], "it was mounted without allow_root"),
        (["-o", "max_read=65536"], "it was mounted with max_read=0, not max_read=65536"),
        (["--unaware"], "does not declare itself recoverable"),
    ],
)
def test_a_daemon_that_would_serve_otherwise_is_refused(mount, guard, more, line):
    first = mount.start()
    guard.child(os.stat, guard.mountpoint)
    kill(first)
    refused = mount.successor(*more)
    assert refused.wait() == 3
    assert re.search(line, refused.output()), refused.output()
    assert mount.taken_over().stop() == 0


def test_an_unmounted_connection_is_refused(mount, guard):
    first = mount.start()
    guard.child(os.stat, guard.mountpoint)
    kill(first)
    check_unmount(guard)
    refused = mount.successor()
    assert refused.wait() == 3
    assert re.search("not mounted any more|No such device", refused.output()), refused.output()


def check_unmount(guard):
    subprocess.run(["umount", "--lazy", guard.mountpoint], check=True, timeout=10)


def test_clones_are_not_used_where_nobody_keeps_them(mount, guard):
    (mount.source / "file").write_text("contents")
    first = mount.start("--hold", "-o", "clone_fd")
    readers = [read_of(guard.mountpoint / "file") for _ in range(4)]
    wait_until(lambda: first.output().count("read ") == 4, "reads")
    kill(first)
    assert "clone_fd is not used" in first.output()
    second = mount.taken_over("-o", "clone_fd")
    assert [reader.finish() for reader in readers] == [(0, "contents")] * 4
    assert second.stop() == 0


@pytest.mark.parametrize("loop", ["clone", "shared"])
def test_a_resent_request_is_failed_where_it_was_read(guard, libs, compiled, loop):
    """Under clone_fd no other end of the connection will do."""
    library = libs["so4"]
    daemon = guard.start(library, [compiled(library, HERE / "resent.c"), loop, guard.mountpoint]).wait_mounted()
    reader = Application("stat", guard.mountpoint)
    says(daemon, "held")
    daemon.signal(signal.SIGUSR1)
    code, out = reader.finish()
    assert code == 1 and "Input/output error" in out
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.output()


def test_lookups_are_counted_over_two_lives(mount, guard):
    """What the kernel looked up before and after is what it forgets in the end: nothing less, nothing more."""
    for n in range(50):
        (mount.source / f"file{n}").touch()
    first = mount.start()
    for n in range(40):
        guard.child(os.stat, guard.mountpoint / f"file{n}")
    kill(first)
    second = mount.taken_over()
    for n in range(30, 50):
        guard.child(os.stat, guard.mountpoint / f"file{n}")
    Path("/proc/sys/vm/drop_caches").write_text("2")
    says(second, "forget .*")
    wait_until(lambda: second.output().count("forget ") >= 40, "forgets")
    forgets = re.findall(r"forget (\d+), (-?\d+) left", second.output())
    assert {left for _, left in forgets} == {str(-errno.ESTALE)}, forgets
    assert "not in the table" not in second.output() and "lookups of nodeid" not in second.output()
    assert second.stop() == 0


def test_an_open_passthrough_file_keeps_its_id(mount, guard):
    (mount.source / "file").write_text("contents")
    first = mount.start("--pass")
    holder = subprocess.Popen(
        ["bash", "-c", "exec 3<file && echo open && read line && cat <&3"],
        cwd=guard.mountpoint, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    assert holder.stdout.readline() == "open\n"
    assert "attach: done" in first.output()
    kill(first)
    second = mount.taken_over("--pass")
    # Another id for the same inode would be EIO.
    assert guard.child(Path.read_text, guard.mountpoint / "file") == "contents"
    assert "attach: done" in second.output() and "read " not in second.output()
    out, _ = holder.communicate("go\n", timeout=10)
    assert out == "contents"
    wait_until(lambda: second.output().count("release") == 2, "releases")
    # The last release closed the id: a third open may have another.
    assert guard.child(Path.read_text, guard.mountpoint / "file") == "contents"
    assert second.stop() == 0
