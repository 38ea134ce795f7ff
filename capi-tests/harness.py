"""Runs C programs on a chosen libfuse3, and keeps what they mount from hanging the tests or outliving them.

Whoever makes a system call on a mount whose daemon does not answer sleeps uninterruptibly, and SIGKILL does not help.
So the test process itself never touches a mount: `Guard.child` does it in a child, and when the child's time is up,
aborts the connections, which wakes everything that sleeps on them.
"""

import ctypes
import multiprocessing
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import traceback
from dataclasses import dataclass, replace
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or REPO / "target").resolve()
LIBDIR = Path(os.environ.get("FUSEWIRE_LIBDIR") or TARGET / "release").resolve()
FSX = TARGET / "tools/bin/fsx"
LIBC = ctypes.CDLL(None, use_errno=True)
MNT_DETACH, UMOUNT_NOFOLLOW, PR_SET_CHILD_SUBREAPER = 2, 8, 36
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
CONNECTIONS = Path("/sys/fs/fuse/connections")


def check(result):
    """Raises OSError if a libc call failed."""
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def hear_signals():
    """Children inherit which signals are ignored, and a daemon leaves those alone: a script's background job would
    hand on that it ignores SIGINT, nohup that it ignores SIGHUP."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def adopt_orphans():
    """Makes daemons that go to the background children of this process, so that their exit codes can be had."""
    check(LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


# ---- libraries ----


@dataclass(frozen=True)
class Library:
    """A libfuse3 that programs are built against and run on."""

    name: str
    soname: str
    libdir: Path | None = None  # None: the system's
    headers: str | None = None  # PKG_CONFIG_PATH; None: the system's

    def env(self, extra=None):
        env = {k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "PKG_CONFIG_PATH")}
        if self.libdir:
            env["LD_LIBRARY_PATH"] = str(self.libdir)
        if self.headers:
            env["PKG_CONFIG_PATH"] = self.headers
        return env | (extra or {})

    def compile(self, output, sources, *flags):
        """Compiles C sources the way a user would: with what pkg-config says."""
        tools_env = {k: v for k, v in self.env().items() if k != "LD_LIBRARY_PATH"}  # for compilers
        # pkg-config would go on to the system's without a word
        assert not self.headers or Path(self.headers, "fuse3.pc").exists(), f"no fuse3.pc in {self.headers}"
        config = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "fuse3"], env=tools_env, check=True, capture_output=True, text=True
        ).stdout.split()
        command = ["cc", "-O2", *flags, "-o", str(output), *map(str, sources), "-pthread", *config]
        done = subprocess.run(command, env=tools_env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
        dynamic = subprocess.run(["readelf", "--dynamic", output], check=True, capture_output=True, text=True).stdout
        assert f"[{self.soname}]" in dynamic, dynamic
        return output

    def file(self):
        """The file that the dynamic linker should load."""
        assert self.libdir, "the system's library is found by its name"
        return (self.libdir / self.soname).resolve(strict=True)

    def assert_serves(self, pid):
        """The process has this library mapped, and no other libfuse3."""
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        files = {line.split(maxsplit=5)[5] for line in maps if "libfuse3" in line}
        if self.libdir:
            assert files == {str(self.file())}
        else:
            assert len(files) == 1 and files.pop().startswith(("/lib/", "/usr/lib/"))


def libraries(libdir):
    """Ours as a source sees it, ours as a binary that was built against the system's sees it, and the system's."""
    return {
        library.name: library
        for library in (
            Library("so4", "libfuse3.so.4", libdir, str(libdir / "pkgconfig")),
            Library("so3", "libfuse3.so.3", libdir),
            Library("system", "libfuse3.so.3"),
        )
    }


# ---- mounts ----


@dataclass(frozen=True)
class Mount:
    point: str
    connection: str  # the number that names it in fusectl
    fstype: str
    source: str


def mounts(below):
    """What is mounted on a folder and below it, innermost last."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, tail = (part.split() for part in line.split(" - ", 1))
        point = fields[4].encode().decode("unicode_escape")
        if point == str(below) or point.startswith(f"{below}/"):
            found.append(Mount(point, fields[2].split(":")[1], tail[0], tail[1]))
    return found


def wait_until(condition, what, limit=10.0):
    """Polls until a condition gives something true, and returns that."""
    end = time.monotonic() + limit
    while not (result := condition()):
        assert time.monotonic() < end, f"{what}: not within {limit} s"
        time.sleep(0.01)
    return result


def isolate():
    """Moves this process into a mount namespace of its own: what it mounts ends with it, whatever happens.

    Makes there what a full system has and a container may lack: the kernel's control files of its FUSE connections,
    and a /dev/fuse that every user may open.
    """
    check(LIBC.unshare(CLONE_NEWNS))
    check(LIBC.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    if not any(m.fstype == "fusectl" for m in mounts(CONNECTIONS)):
        subprocess.run(["mount", "-t", "fusectl", "fusectl", CONNECTIONS], check=True)
    device = os.stat("/dev/fuse")
    if device.st_mode & 0o666 != 0o666:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
            node = os.path.join(folder, "fuse")
            os.mknod(node, stat.S_IFCHR, device.st_rdev)
            os.chmod(node, 0o666)
            subprocess.run(["mount", "--bind", node, "/dev/fuse"], check=True)
            subprocess.run(["umount", "--lazy", folder], check=True)


def abort(connection):
    """Every request on a connection fails from now on; whoever waits for one wakes."""
    try:
        (CONNECTIONS / connection / "abort").write_text("1")
    except OSError:
        pass  # the connection is gone, which is what was wanted


# ---- daemons ----


class Daemon:
    """A file system daemon that a test started, in the foreground or not."""

    def __init__(self, guard, argv, mountpoint, env, pass_fds=()):
        self.mountpoint = mountpoint
        self.guard = guard
        self.exit_code = None
        self._log = guard.work / f"daemon-{len(guard.daemons)}.log"
        with self._log.open("wb") as log:
            self.launcher = subprocess.Popen(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=pass_fds
            )
        self.pid = self.launcher.pid

    def output(self):
        return self._log.read_text(errors="replace")

    def wait_mounted(self):
        """Waits for the mount; a daemon that goes to the background is followed there."""

        def is_mounted():
            found = mounts(self.mountpoint)
            assert found or self.launcher.poll() in (None, 0), f"exit {self.launcher.returncode}: {self.output()}"
            return found

        wait_until(is_mounted, f"mount of {self.launcher.args}")
        return self

    def follow(self):
        """After the launcher has exited: the process that it left behind."""
        assert self.launcher.wait(timeout=10) == 0, self.output()
        program = os.path.basename(self.launcher.args[0])

        def child():
            for file in Path("/proc").glob("[0-9]*/stat"):
                try:
                    name, rest = file.read_text().split("(", 1)[1].rsplit(")", 1)
                    command = (file.parent / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue  # it ended meanwhile
                ours = rest.split()[1] == str(os.getpid()) and os.fsencode(self.mountpoint) in command
                if ours and name == program[:15]:
                    return int(file.parent.name)
            return None

        self.pid = wait_until(child, "daemon in the background")
        return self

    def wait(self, limit=10.0):
        """Its exit code, negative for a signal."""
        if self.pid == self.launcher.pid:
            self.exit_code = self.launcher.wait(timeout=limit)
        elif self.exit_code is None:
            status = wait_until(lambda: (w := os.waitpid(self.pid, os.WNOHANG))[0] and [w[1]], "exit of daemon", limit)
            self.exit_code = os.waitstatus_to_exitcode(status[0])
        return self.exit_code

    def is_running(self):
        if self.pid == self.launcher.pid:
            return self.launcher.poll() is None
        return self.exit_code is None

    def signal(self, number):
        os.kill(self.pid, number)

    def stop(self):
        """Ends it with SIGTERM; its exit code."""
        self.signal(signal.SIGTERM)
        code = self.wait()
        assert mounts(self.mountpoint) == [], self.output()
        return code


class Hung(AssertionError):
    """A child did not finish in time."""


class Guard:
    """A folder of one test, and everything that the test starts and mounts in it."""

    def __init__(self):
        # Not pytest's tmp_path: that one is closed to other users, whom some tests run daemons as.
        self.work = Path(tempfile.mkdtemp(prefix="fusewire-"))
        self.work.chmod(0o755)
        self.mountpoint = self.folder("mnt")
        self.daemons = []

    def folder(self, name):
        path = self.work / name
        path.mkdir(parents=True)
        return path

    def readable(self, library):
        """The library where other users can read it: the build folder may be in someone's home."""
        if not library.libdir:
            return library
        libdir = self.folder("lib")
        shutil.copy(library.file(), libdir / library.soname)
        return replace(library, libdir=libdir)

    def start(self, library, argv, *, mountpoint=None, env=None, pass_fds=()):
        """Starts a daemon without waiting for its mount."""
        daemon = Daemon(self, [str(a) for a in argv], mountpoint or self.mountpoint, library.env(env), pass_fds)
        self.daemons.append(daemon)
        return daemon

    def daemon(self, library, argv, **more):
        """Starts a daemon, waits for its mount, and makes sure of who serves it."""
        daemon = self.start(library, argv, **more).wait_mounted()
        if daemon.launcher.poll() is None:
            library.assert_serves(daemon.pid)
        return daemon

    def run(self, library, argv, *, env=None, timeout=20):
        """Runs a program that should end by itself."""
        child = subprocess.Popen(
            [str(a) for a in argv],
            env=library.env(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.break_mounts()
            child.kill()
            out, err = child.communicate()
            raise Hung(f"{argv} took longer than {timeout} s\n{out}{err}") from None
        return subprocess.CompletedProcess(argv, child.returncode, out, err)

    def child(self, function, *args, timeout=30):
        """Calls a function in a child process; its result, or the exception that it raised."""
        return self.children([(function, *args)], timeout=timeout)[0]

    def children(self, calls, timeout=30):
        """Calls functions at the same time, each in a process of its own; their results."""
        context = multiprocessing.get_context("fork")
        running = []
        for function, *args in calls:
            receive, send = context.Pipe(duplex=False)
            process = context.Process(target=_report, args=(send, function, args))
            process.start()
            send.close()
            running.append((process, receive))
        end = time.monotonic() + timeout
        pending = [receive for _, receive in running]
        outcomes = {}
        while pending and (ready := wait_for_any(pending, max(0, end - time.monotonic()))):
            for receive in ready:
                try:
                    outcomes[receive] = receive.recv()
                except EOFError:
                    outcomes[receive] = (False, "the child died")
                pending.remove(receive)
        if pending:
            self.break_mounts()
            for process, _ in running:
                process.kill()
        for process, _ in running:
            process.join(5)
        if pending:
            raise Hung(f"{len(pending)} of {len(running)} calls took longer than {timeout} s\n{self.logs()}")
        results = [outcomes[receive] for _, receive in running]
        failures = [value for fine, value in results if not fine]
        assert not failures, f"{failures[0]}\n{self.logs()}"
        return [value for _, value in results]

    def logs(self):
        return "\n".join(f"--- {d.launcher.args}\n{d.output()[-4000:]}" for d in self.daemons)

    def break_mounts(self):
        """Wakes everything that waits for a mount of this test.

        Only what is mounted now: the kernel gives a connection's number to the next one as soon as it is free, and
        that may be a stranger's. What was unmounted lazily ends with its daemon, which is killed.
        """
        for mount in self.fuse_mounts():
            abort(mount.connection)

    def fuse_mounts(self):
        return [m for m in mounts(self.work) if m.fstype.startswith("fuse")]

    def close(self):
        """Ends the daemons and takes the mounts away, whatever state they are in."""
        for daemon in self.daemons:
            if daemon.is_running():
                daemon.signal(signal.SIGTERM)
        for daemon in self.daemons:
            if daemon.is_running():
                try:
                    daemon.wait(2)
                except (AssertionError, subprocess.TimeoutExpired):
                    self.break_mounts()
                    daemon.signal(signal.SIGKILL)
                    daemon.wait()
        left = mounts(self.work)
        self.break_mounts()
        for mount in reversed(left):
            check(LIBC.umount2(os.fsencode(mount.point), MNT_DETACH | UMOUNT_NOFOLLOW))
        assert mounts(self.work) == []
        shutil.rmtree(self.work)


def _report(send, function, args):
    signal.alarm(0)
    try:
        send.send((True, function(*args)))
    except BaseException:  # all of it belongs to the parent
        send.send((False, traceback.format_exc()))
