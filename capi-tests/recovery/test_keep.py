"""fusewire-keep on real mounts: daemons die, hang, leave, are upgraded, and so does the keeper itself."""

import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import LIBDIR, abort, mounts, wait_until

from .manager import Manager

HERE = Path(__file__).parent
PROGRAM = LIBDIR / "fusewire-keep"


def children(pid):
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


class Kept:
    """A keeper over a mount, and whoever serves it."""

    def __init__(self, guard, library, program):
        self.guard, self.library = guard, library
        self.source = guard.folder("source")
        (self.source / "file").write_text("contents")
        # By this name, so that there can be another program under it.
        self.program = guard.work / "daemon"
        self.program.symlink_to(program)
        self.names = 0
        self.left = []

    def start(self, *options, args=(), before=(), env=None):
        """Starts the keeper, and waits for the mount."""
        command = [*before, self.program, f"--source={self.source}", *args, self.guard.mountpoint]
        self.keeper = self.guard.start(self.library, [PROGRAM, *options, "--", *command], env=env)
        self.keeper.wait_mounted()
        self.look()
        return self.keeper

    def serving(self):
        """The daemon's pid: the keeper's only child."""
        return wait_until(lambda: (found := children(self.keeper.pid)) and len(found) == 1 and found[0], "one daemon")

    def look(self):
        """Asks the daemon for a name that nobody has asked for: somebody serves."""
        self.names += 1
        assert not self.guard.child(os.path.exists, self.guard.mountpoint / f"name-{self.names}")
        assert self.guard.child(Path.read_text, self.guard.mountpoint / "file") == "contents"

    def kill(self, number=signal.SIGKILL):
        """Kills the daemon; another serves then."""
        pid = self.serving()
        os.kill(pid, number)
        self.look()
        assert self.serving() != pid
        return self.serving()

    def says(self, text, count=1):
        wait_until(lambda: self.keeper.output().count(text) == count, f"`{text}` in\n{self.keeper.output()}")

    def ends(self, status):
        assert self.keeper.wait() == status, self.keeper.output()

    def close(self):
        for pid in self.left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


@pytest.fixture
def kept(guard, libs, compiled):
    library = libs["so4"]
    kept = Kept(guard, library, compiled(library, HERE / "again.c"))
    yield kept
    kept.close()


class Reader:
    """Reads a file of the mount, and may wait for long."""

    def __init__(self, path):
        self.process = subprocess.Popen(
            ["dd", f"if={path}", "iflag=direct", "bs=4096", "status=none"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def finish(self):
        out, _ = self.process.communicate(timeout=10)
        return self.process.returncode, out


def is_stopped(pid):
    return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] == "T"


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: is_stopped(pid), "stopped daemon")


def devices(pid):
    """How often a process has the device of a FUSE mount open."""
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    return links.count("/dev/fuse")


# ---- a daemon that dies ----


def test_generations_of_daemons(kept, guard):
    """With clones of the device, a file that stays open, and a request in flight."""
    keeper = kept.start(args=["-o", "clone_fd"])
    shell = subprocess.Popen(
        ["bash", "-c", "exec 3<file && echo ready && read line && cat <&3"],
        cwd=guard.mountpoint,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shell.stdout.readline() == "ready\n"
    for _ in range(3):
        held = devices(keeper.pid)
        assert held >= 2
        pid = kept.serving()
        stop(pid)
        reader = Reader(guard.mountpoint / "file")
        os.kill(pid, signal.SIGKILL)
        assert reader.finish() == (0, "contents"), keeper.output()
        assert kept.serving() != pid
        # The successor was given them all.
        assert devices(kept.serving()) >= held and devices(keeper.pid) >= held
    assert shell.communicate("go\n", timeout=10)[0] == "contents"
    assert keeper.output().count("was killed by SIGKILL; it is restarted") == 3
    assert keeper.stop() == 0
    assert keeper.output().count("restore") == 0 and "destroy" in keeper.output()


def test_who_dies_at_once_is_restarted_ever_later(kept, guard):
    kept.start("--well-after", "60", "--max-delay", "0.1")
    for _ in range(5):
        kept.kill()
    delays = re.findall(r"it is restarted(?: in (\d+) ms)?\n", kept.keeper.output())
    assert delays == ["", "50", "100", "100", "100"]
    # And who is given time is not.
    assert kept.keeper.stop() == 0


def test_the_mount_goes_while_no_daemon_runs(kept, guard):
    kept.start("--well-after", "60")
    for _ in range(5):
        kept.kill()
    connection = mounts(guard.mountpoint)[0].connection
    os.kill(kept.serving(), signal.SIGKILL)
    kept.says("it is restarted in 800 ms")
    abort(connection)
    kept.ends(0)
    assert "the mount is gone" in kept.keeper.output()


def test_giving_up(kept, guard):
    """Its successors die before they serve: programs get an error, and do not hang."""
    keeper = kept.start("--attempts", "3", "--max-delay", "0.05", args=["--die=restore"])
    stop(kept.serving())
    reader = Reader(guard.mountpoint / "file")
    os.kill(kept.serving(), signal.SIGKILL)
    kept.ends(1)
    assert "3 in a row never served: the mount is given up" in keeper.output()
    code, out = reader.finish()
    assert code != 0 and ("not connected" in out or "aborted" in out), out


def test_what_a_daemon_leaves_behind_is_killed(kept, guard):
    """A child of it has the keeper's socket, and could serve on."""
    note = guard.work / "pid"
    kept.start(before=["sh", "-c", f'sleep 1000 & echo $! >{note}; exec "$@"', "sh"])
    left = int(note.read_text())
    os.kill(wait_until(lambda: [pid for pid in children(kept.keeper.pid) if pid != left], "daemon")[0], signal.SIGKILL)
    wait_until(lambda: int(note.read_text() or left) != left, "another child")
    wait_until(lambda: not Path(f"/proc/{left}").exists(), "end of the first child")
    kept.look()
    kept.left.append(int(note.read_text()))
    assert kept.keeper.stop() == 0


def test_a_daemon_that_goes_to_the_background_is_followed(kept):
    keeper = kept.start(before=["sh", "-c", 'setsid "$@" & sleep 0.2', "sh"])
    # The shell ends with status 0, and nothing is restarted.
    in_background = lambda: os.getsid(kept.serving()) != os.getsid(keeper.pid)
    wait_until(in_background, "daemon in the background")
    kept.look()
    assert "restarted" not in keeper.output()
    os.kill(kept.serving(), signal.SIGKILL)
    kept.look()
    assert "was killed by SIGKILL; it is restarted" in keeper.output()
    wait_until(in_background, "daemon in the background")
    assert keeper.stop() == 0


def test_a_full_table_of_files_has_room_for_a_successor(kept):
    """What was open for the daemon that is gone is enough: clones of the device may have taken all the rest."""
    keeper = kept.start("--well-after", "0.001", before=["prlimit", "--nofile=1024"])
    used = os.listdir(f"/proc/{keeper.pid}/fd")
    free = next(fd for fd in range(len(used) + 1) if str(fd) not in used)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(keeper.pid, resource.RLIMIT_NOFILE, (free, hard))
    for _ in range(3):
        kept.kill()
    assert "cannot be started" not in keeper.output()
    assert keeper.stop() == 0


def test_a_daemon_that_cannot_be_watched_does_not_run(guard):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    note = guard.work / "note"
    trace = ["strace", "-qqq", "-o", "/dev/null", "-e", "trace=pidfd_open", "-e", "inject=pidfd_open:error=ENFILE"]
    command = [*trace, PROGRAM, "--", "sh", "-c", f"sleep 0.5; echo >{note}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert done.returncode == 127 and "sh cannot be started: " in done.stderr
    time.sleep(1)
    assert not note.exists()


def test_an_unaware_daemon_is_not_restarted(kept, guard):
    argv = [PROGRAM, "--", kept.program, "--unaware", guard.mountpoint]
    keeper = kept.keeper = guard.start(kept.library, argv).wait_mounted()
    kept.says(f"{kept.program} does not declare itself recoverable (fuse_session_set_recoverable)")
    os.kill(kept.serving(), signal.SIGKILL)
    kept.ends(128 + signal.SIGKILL)
    assert "is not restarted" in keeper.output()


# ---- ends ----


def test_unmounted_from_outside(kept, guard):
    keeper = kept.start()
    subprocess.run(["umount", guard.mountpoint], check=True, timeout=10)
    kept.ends(0)
    assert "restarted" not in keeper.output()


def test_a_daemon_that_cannot_begin(kept, guard):
    keeper = guard.start(kept.library, [PROGRAM, "--", kept.program, "--source=x", "-o", "nonsense", guard.mountpoint])
    assert keeper.wait() == 2 and "nonsense" in keeper.output() and "had no mount kept" in keeper.output()
    keeper = guard.start(kept.library, [PROGRAM, "--", guard.work / "missing"])
    assert keeper.wait() == 127 and "missing cannot be started: No such file" in keeper.output()


@pytest.mark.parametrize(
    "arguments, named",
    [
        ("--dedline 3 -- true", "'--dedline'"),
        ("-x -- true", "'-x'"),
        ("--deadline soon -- true", "--deadline soon: it has to be a number of seconds"),
        ("--deadline 0 -- true", "--deadline 0: it has to be"),
        ("--grace=NaN -- true", "--grace NaN"),
        ("--attempts 0 -- true", "--attempts 0"),
        ("--upgrade-signal KILL -- true", "KILL: no signal that a daemon can take"),
        ("--deadline", "--deadline"),
        ("--", "no daemon to start"),
    ],
)
def test_what_is_wrong_in_the_command_line_is_named(arguments, named):
    done = subprocess.run([PROGRAM, *arguments.split()], capture_output=True, text=True, timeout=10)
    assert done.returncode == 2 and done.stderr.startswith("fusewire-keep: ") and done.stderr.count("\n") == 1
    assert named in done.stderr, done.stderr


def test_who_starts_it_may_ignore_how_children_end():
    """That lasts through exec. The daemon's status is known all the same, and it can have statuses of its own children."""
    script = "grep SigIgn /proc/self/status; exit 7"
    command = ["env", "--ignore-signal=CHLD", PROGRAM, "--", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert done.returncode == 7, done.stderr
    ignored = int(done.stdout.split()[1], 16)
    assert not ignored & 1 << (signal.SIGCHLD - 1)


def test_who_starts_it_may_ignore_what_ends_programs():
    """As shells have their background do. What the keeper passes on ends the daemon all the same."""
    command = ["env", "--ignore-signal=INT", PROGRAM, "--", "sh", "-c", "echo started; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as keeper:
        try:
            assert keeper.stdout.readline() == "started\n"
            keeper.send_signal(signal.SIGINT)
            assert keeper.wait(5) == 128 + signal.SIGINT
        finally:
            keeper.kill()


def test_help_and_version():
    for option, text in [("--help", "--upgrade-signal SIGNAL"), ("-V", "fusewire-keep 0")]:
        done = subprocess.run([PROGRAM, option], capture_output=True, text=True, timeout=10)
        assert done.returncode == 0 and text in done.stdout and done.stderr == ""


# ---- signals ----


def test_what_is_passed_on(kept):
    """USR1 makes this daemon leave its mount to another; INT is one that it knows nothing of."""
    keeper = kept.start()
    pid = kept.serving()
    keeper.signal(signal.SIGUSR1)
    kept.says("detach: 0")
    kept.look()
    assert kept.serving() != pid
    assert "ended with status 0; it is restarted\n" in keeper.output()
    keeper.signal(signal.SIGINT)
    kept.ends(128 + signal.SIGINT)
    assert "left its mount" in keeper.output()


def test_a_daemon_that_does_not_end_is_killed(kept):
    keeper = kept.start("--grace", "0.3")
    stop(kept.serving())
    keeper.signal(signal.SIGTERM)
    kept.ends(128 + signal.SIGKILL)
    assert "took longer than 300ms: it is killed" in keeper.output()


# ---- a daemon that hangs ----


def test_a_hung_daemon_is_replaced(kept, guard):
    keeper = kept.start("--deadline", "0.3")
    pid = kept.serving()
    stop(pid)
    # Nothing waits, so nothing is wrong.
    assert wait_until(lambda: Path(f"/proc/{pid}").exists(), "daemon")
    threading.Event().wait(0.6)
    assert is_stopped(pid) and "killed" not in keeper.output()
    assert Reader(guard.mountpoint / "file").finish() == (0, "contents")
    assert "nothing has moved for 300ms although requests wait: it is killed" in keeper.output()
    assert kept.serving() != pid
    assert keeper.stop() == 0


def test_a_request_that_nobody_answers(kept, guard):
    """Every daemon reads it and is silent."""
    keeper = kept.guard.start(
        kept.library,
        [PROGRAM, "--deadline", "0.2", "--attempts", "3", "--well-after", "60", "--max-delay", "0.05", "--"]
        + [kept.program, f"--source={kept.source}", "--hold", guard.mountpoint],
    ).wait_mounted()
    reader = Reader(guard.mountpoint / "file")
    assert keeper.wait() == 1, keeper.output()
    assert reader.finish()[0] != 0
    assert len(re.findall("^read .* again$", keeper.output(), re.M)) >= 2
    assert "never served: the mount is given up" in keeper.output()


# ---- upgrade ----


def test_a_planned_upgrade(kept, guard):
    keeper = kept.start()
    for _ in range(2):
        pid = kept.serving()
        reader = Reader(guard.mountpoint / "file")
        keeper.signal(signal.SIGHUP)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "end of the old daemon")
        assert reader.finish() == (0, "contents")
        kept.look()
    assert keeper.output().count("detach: 0") == 2 and keeper.output().count("takes over") == 2
    assert keeper.stop() == 0


def test_a_program_that_does_not_start_replaces_nobody(kept, guard):
    keeper = kept.start("--grace", "0.3")
    pid = kept.serving()
    program = kept.program.readlink()
    note = guard.work / "pid"
    for new, said in [
        ("exit 3", "ended with status 3 before it served"),
        (f"sleep 1000 & echo $! >{note}; wait", "was killed by SIGKILL before it served"),
    ]:
        kept.program.unlink()
        kept.program.write_text(f"#!/bin/sh\n{new}\n")
        kept.program.chmod(0o755)
        keeper.signal(signal.SIGHUP)
        kept.says(said)
        kept.look()
        assert pid in children(keeper.pid)
    wait_until(lambda: not Path(f"/proc/{note.read_text().strip()}").exists(), "end of what it left behind")
    kept.program.write_text(f"#!/bin/sh\nexec {program} --unaware \"$@\"\n")
    keeper.signal(signal.SIGHUP)
    kept.says("a mount is kept for this daemon, which does not declare itself recoverable")
    kept.says("ended with status 3 before it served", count=2)
    kept.look()
    assert pid in children(keeper.pid)
    kept.program.unlink()
    keeper.signal(signal.SIGHUP)
    kept.says("is started: No such file or directory")
    kept.program.symlink_to(program)
    assert keeper.stop() == 0


def test_who_does_not_leave_is_killed(kept):
    """It knows nothing of the signal."""
    keeper = kept.start("--grace", "0.3", "--upgrade-signal", "WINCH")
    pid = kept.serving()
    keeper.signal(signal.SIGHUP)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "end of the old daemon")
    kept.look()
    assert "was killed by SIGKILL; process" in keeper.output()
    assert keeper.stop() == 0


# ---- the keeper ends, or is replaced ----


def test_a_killed_keeper_leaves_its_daemon(kept, guard):
    """Nothing is kept any more, and the daemon serves on."""
    keeper = kept.start(args=["-o", "clone_fd"])
    pid = kept.serving()
    kept.left.append(pid)
    keeper.signal(signal.SIGKILL)
    keeper.wait()
    kept.look()
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: mounts(guard.mountpoint) == [], "unmount")
    kept.says("the keeper is gone: there will be no successor")


@pytest.fixture(params=["path", "abstract"])
def manager(request, guard):
    path = str(guard.work / "notify") if request.param == "path" else f"@fusewire-test-{os.getpid()}"
    manager = Manager(path)
    yield manager
    manager.close()


def starts_ready(kept, manager):
    first = kept.start(env=manager.env())
    wait_until(lambda: "READY" in manager.said, "READY=1")
    kept.left.append(kept.serving())
    return first


def dies(keeper):
    keeper.signal(signal.SIGKILL)
    keeper.wait()


def comes_back(kept, manager, *options):
    """Another keeper is given what was kept of one that was killed."""
    argv, fds = manager.passing([PROGRAM, *options, "--", kept.program, f"--source={kept.source}", kept.guard.mountpoint])
    kept.keeper = kept.guard.start(kept.library, argv, env=manager.env(), pass_fds=fds)
    kept.says(f"goes on with {kept.program}, process {kept.left[-1]}")
    return kept.keeper


def test_a_keeper_is_replaced_under_its_daemon(kept, manager):
    first = starts_ready(kept, manager)
    pid = kept.serving()
    dies(first)
    kept.look()
    expected = {"fusewire-device", "fusewire-state", "fusewire-keep-process", "fusewire-keep-socket"}
    assert expected <= set(manager.names())
    second = comes_back(kept, manager)
    kept.look()
    assert children(second.pid) == []
    # It is not this keeper's child: it is seen to end all the same, and replaced.
    os.kill(pid, signal.SIGKILL)
    kept.look()
    assert kept.serving() != pid and "ended; it is restarted" in second.output()
    kept.kill()
    assert second.stop() == 0
    wait_until(lambda: not [name for name in manager.names() if "keep" not in name], "a store without the mount")


def test_a_keeper_that_came_back_has_its_deadline(kept, guard, manager):
    first = starts_ready(kept, manager)
    stop(kept.serving())
    dies(first)
    second = comes_back(kept, manager, "--deadline", "0.3")
    assert Reader(guard.mountpoint / "file").finish() == (0, "contents")
    assert "nothing has moved for 300ms although requests wait: it is killed" in second.output()
    assert second.stop() == 0


def test_a_keeper_that_came_back_knows_who_asks(kept, manager):
    """The one before was killed while systemd was to keep the successor's process, and had not told it of the mount."""
    first = starts_ready(kept, manager)
    pid = kept.serving()
    manager.last_name = "fusewire-keep-socket"
    first.signal(signal.SIGHUP)
    assert manager.is_deaf.wait(10)
    kept.left.append(kept.serving())
    dies(first)
    manager.goes_on.set()
    second = comes_back(kept, manager)
    kept.look()
    assert kept.left[-1] != pid and children(second.pid) == []
    assert second.stop() == 0


def test_a_daemon_of_systemds(kept, guard, manager):
    """Without a keeper: the daemon itself has its mount kept, and its successor finds it."""
    command = [kept.program, f"--source={kept.source}", "-o", "clone_fd", guard.mountpoint]
    kept.keeper = first = guard.start(kept.library, command, env=manager.env()).wait_mounted()
    kept.look()
    assert {"fusewire-clone", "fusewire-device", "fusewire-state"} == set(manager.names())
    first.signal(signal.SIGKILL)
    first.wait()
    argv, fds = manager.passing(command)
    second = guard.start(kept.library, argv, env=manager.env(), pass_fds=fds)
    kept.look()
    assert second.stop() == 0
    wait_until(lambda: manager.names() == [], "an empty store")


@pytest.mark.parametrize(
    ("what", "said", "logged"),
    [
        ("second", ["predecessor: mounted", "first: mounted", "second: mounted", "the first's device: the same"], []),
        ("retry", ["predecessor: mounted", "first: EPROTO", "second: EBUSY"], ["nothing is mounted over it"]),
    ],
)
def test_the_other_mounts_of_systemds_daemon(compiled, guard, libs, what, said, logged):
    """What was passed is taken over once, and if that fails not mounted over."""
    program = compiled(libs["so4"], HERE / "mounts.c")
    env = {"NOTIFY_SOCKET": "@fusewire-test-nobody"}
    done = guard.run(libs["so4"], [program, what, guard.mountpoint, guard.folder("other")], env=env)
    assert done.stdout.splitlines() == said, done.stderr
    assert all(line in done.stderr for line in logged) and "in the journal" not in done.stderr


@pytest.mark.parametrize("path", ["@fusewire-test-nobody", "vsock:2:99", "nonsense"])
def test_the_mounts_of_an_ordinary_service(compiled, guard, libs, path):
    """The service manager has no part in them."""
    program = compiled(libs["so4"], HERE / "mounts.c")
    env = {"NOTIFY_SOCKET": path}
    done = guard.run(libs["so4"], [program, "plain", guard.mountpoint, guard.folder("other")], env=env)
    assert done.stdout.splitlines() == ["first: mounted", "second: mounted", "the first's device: the same"]
    assert done.stderr == ""


def asks(path, seconds):
    """Asks again and again; how often."""
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        os.stat(path)
        count += 1
    return count


def test_a_daemon_leaves_at_once(kept, guard, manager):
    """With clones of the device, and requests that are just being read: all of them are the successor's."""
    command = [kept.program, f"--source={kept.source}", "-o", "clone_fd", guard.mountpoint]
    daemon = guard.start(kept.library, command, env=manager.env()).wait_mounted()
    with ThreadPoolExecutor() as threads:
        load = threads.submit(guard.children, [(asks, guard.mountpoint, 1.5)] * 4)
        while not load.done():
            time.sleep(0.2)
            daemon.signal(signal.SIGALRM)
            assert daemon.wait() == 0 and "detach: 0" in daemon.output()
            argv, fds = manager.passing(command)
            daemon = guard.start(kept.library, argv, env=manager.env(), pass_fds=fds)
            wait_until(lambda: "init" in daemon.output(), "successor")
        assert all(load.result())
    # When it serves it hears signals.
    assert guard.child(os.stat, guard.mountpoint)
    assert daemon.stop() == 0
