"""What happens to a daemon under load: signals all the time, clients that are killed, no file descriptors, and every way
to lose the connection. It goes on without an error, or ends as it does on the system's library; nothing leaks."""

import errno
import os
import random
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness import REPO, abort, mounts, wait_until

MEMFS = (REPO / "examples/memfs.c", REPO / "examples/memfs_store.c")
LOOPS = {"threads": (), "single": ("-s",), "clone_fd": ("-o", "clone_fd")}
CLIENTS = 4
GONE = {errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENOENT, errno.EINTR}


def counts(pid):
    """File descriptors and threads."""
    folder = Path(f"/proc/{pid}")
    return len(os.listdir(folder / "fd")), len(os.listdir(folder / "task"))


def work(root, number, seconds):
    """Verified work in a folder of its own; how many rounds."""
    folder, dice, rounds = Path(root) / f"client{number}", random.Random(number), 0
    folder.mkdir(exist_ok=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        path, data = folder / f"f{dice.randrange(8)}", dice.randbytes(dice.randrange(1, 150_000))
        path.write_bytes(data)
        assert path.read_bytes() == data
        os.rename(path, folder / "moved")
        assert (folder / "moved").stat().st_size == len(data)
        assert "moved" in os.listdir(folder)
        os.unlink(folder / "moved")
        rounds += 1
    return rounds


def work_until_lost(root, number, seconds):
    """The errno that ended the work."""
    try:
        work(root, number, seconds)
    except OSError as error:
        return error.errno
    return None


OURS = [("so4", "threads"), ("so4", "single"), ("so4", "clone_fd"), ("so3", "threads")]


@pytest.fixture(params=[*OURS, ("system", "threads")], ids="-".join)
def start(request, libs, guard, compiled):
    """start(*more sources): memfs on a mount, with the library and the loop that the test's name says."""

    def start(*more):
        library, loop = request.param
        program = compiled(libs[library], *MEMFS, *more)
        return guard.start(libs[library], [program, "-f", *LOOPS[loop], guard.mountpoint]).wait_mounted()

    return start


def run_clients(guard, function, seconds, timeout=40):
    return guard.children([(function, guard.mountpoint, i, seconds) for i in range(CLIENTS)], timeout=timeout)


def test_signals_all_the_time(start, guard):
    """Every read and write of the device may be interrupted: no request is lost, none is answered twice."""
    daemon = start(REPO / "capi-tests/stress/storm.c")
    assert all(run_clients(guard, work, 1.0))
    assert daemon.is_running(), daemon.output()
    # The loops may take the handler's EINTR for what it is, or for the end: as on the system's library.
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() in (0, 1), daemon.output()


def test_clients_are_killed(start, guard):
    """Requests of processes that died end; the daemon has as many threads and fds as it would have anyway."""
    daemon = start()
    run_clients(guard, work, 0.3)
    before = counts(daemon.pid)

    def kill_some():
        dice = random.Random(3)
        for number in range(25):
            if (pid := os.fork()) == 0:
                work(guard.mountpoint, 10 + number % 3, 60)
                os._exit(0)
            time.sleep(dice.uniform(0.005, 0.04))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    guard.child(kill_some, timeout=60)
    assert all(run_clients(guard, work, 0.3))
    fds, threads = counts(daemon.pid)
    # A worker more may have come up, with its clone.
    assert fds <= before[0] + 12 and threads <= before[1] + 10, f"{before} -> {fds}, {threads}"
    daemon.stop()


def test_a_stopped_daemon_goes_on(start, guard):
    daemon = start()

    def stop_and_go():
        for _ in range(5):
            daemon.signal(signal.SIGSTOP)
            time.sleep(0.1)
            daemon.signal(signal.SIGCONT)
            time.sleep(0.1)
        return 1

    calls = [(work, guard.mountpoint, i, 1.2) for i in range(CLIENTS)]
    assert all(guard.children([*calls, (stop_and_go,)]))
    daemon.stop()


@pytest.mark.parametrize("start", OURS, ids="-".join, indirect=True)
def test_no_file_descriptors_left(start, guard):
    """Whatever the library wants one for, it does without; the mount goes away in the end all the same. The system's
    library is ended by glibc, which cannot load what cancelling its workers takes."""
    daemon = start()
    run_clients(guard, work, 0.2)
    used = max(int(fd) for fd in os.listdir(f"/proc/{daemon.pid}/fd")) + 1
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used, used))
    assert all(run_clients(guard, work, 0.8))
    daemon.stop()


def names_that_are_missing(root):
    for number in range(200):
        assert not (Path(root) / f"missing{number}").exists()


@pytest.mark.parametrize("start", [("so4", "clone_fd"), ("so3", "clone_fd")], ids="-".join, indirect=True)
def test_no_thread_can_be_started(start, guard):
    """It is said once, and nothing is left behind for each request; there are more when there can be."""
    daemon = start(REPO / "capi-tests/stress/refused.c")
    guard.child(names_that_are_missing, guard.mountpoint)
    fds = [os.readlink(fd) for fd in Path(f"/proc/{daemon.pid}/fd").iterdir()]
    assert fds.count("/dev/fuse") == 2, "the session's, and a worker's"
    assert daemon.output().count("no further worker thread") == 1
    daemon.signal(signal.SIGUSR2)
    run_clients(guard, work, 0.2)
    wait_until(lambda: counts(daemon.pid)[1] > 2, "further workers")
    daemon.stop()


LOSSES = {
    "abort": lambda mount: abort(mount.connection),
    "umount -l": lambda mount: subprocess.run(["umount", "-l", mount.point], check=True, timeout=10),
    "umount -f": lambda mount: subprocess.run(["umount", "-f", mount.point], check=False, timeout=10),
}


def ended_in_a_receive(daemon):
    """The kernel ends a read of the device with ECONNABORTED if it was just handing out a request, and with ENODEV
    otherwise. Which of them it is, is chance; both libraries tell the first as an error."""
    return daemon.wait() == 1 and daemon.output() == "fuse: reading device: Software caused connection abort\n"


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("loop", LOOPS)
def test_the_connection_is_lost_under_load(libs, guard, compiled, loop, loss):
    """What the clients see, and the daemon's exit code, are those of the system's library."""
    codes = {}
    for library in libs.values():
        command = [compiled(library, *MEMFS), "-f", *LOOPS[loop], guard.mountpoint]
        daemon = guard.start(library, command).wait_mounted()
        (mount,) = mounts(guard.mountpoint)

        def lose():
            time.sleep(0.4)
            LOSSES[loss](mount)

        # After a lazy unmount they find the folder below.
        calls = [(work_until_lost, guard.mountpoint, i, 1.0) for i in range(CLIENTS)]
        *seen, _ = guard.children([*calls, (lose,)])
        assert set(seen) <= GONE | {None}, seen
        if loss == "umount -f" and mounts(guard.mountpoint) and daemon.is_running():
            daemon.signal(signal.SIGTERM)  # it was busy
        codes[library.name] = 0 if ended_in_a_receive(daemon) else daemon.wait()
        wait_until(lambda: not os.path.exists(f"/proc/{daemon.pid}/fd/0"), "end of the daemon")
        for left in reversed(mounts(guard.mountpoint)):
            subprocess.run(["umount", "-l", left.point], check=True, timeout=10)
        for path in sorted(guard.mountpoint.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    assert codes == dict.fromkeys(libs, codes["system"])
