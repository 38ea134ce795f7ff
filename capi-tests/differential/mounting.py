"""Real mounts of m_ops that never outlive their test."""

import contextlib
import pathlib
import re
import subprocess
import time

START_LIMIT = 15
STOP_LIMIT = 15
SCRIPT_LIMIT = 60


class NotMounted(Exception):
    def __init__(self, status: int, said: str):
        super().__init__(f"exit status {status}: {said}")
        self.status, self.said = status, said


def mountinfo(folder: pathlib.Path) -> str:
    """How the kernel lists the mount, from its options on; "" if it does not."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[4] == str(folder):
            return " ".join(field for field in fields[5:] if not field.startswith(("shared:", "master:")))
    return ""


def is_mounted(folder: pathlib.Path) -> bool:
    return mountinfo(folder) != ""


class Daemon:
    def __init__(self, binary, env, folder: pathlib.Path, options=()):
        self.mountpoint = folder / "mnt"
        self.mountpoint.mkdir(parents=True)
        self.output = folder / "transcript"
        command = [binary, self.mountpoint, *options]
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE
            )

    def wait_mounted(self):
        deadline = time.monotonic() + START_LIMIT
        while b"| init(" not in self.output.read_bytes():
            if (status := self.process.poll()) is not None:
                raise NotMounted(status, self.process.stderr.read().decode())
            assert time.monotonic() < deadline, "the daemon does not mount"
            time.sleep(0.01)
        self.drive(["stat", "-f", self.mountpoint])
        # A signal is lost on a daemon that is on its way into the next read.
        time.sleep(0.1)

    def drive(self, command) -> str:
        """Output of a program that works on the mount."""
        client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            out, _ = client.communicate(timeout=SCRIPT_LIMIT)
        except subprocess.TimeoutExpired:
            # A caller whose request was taken cannot be killed before the daemon is.
            self.stop()
            client.kill()
            raise AssertionError(f"hung: {client.communicate()[0][-500:]}\n{self.output.read_text()[-500:]}") from None
        assert client.returncode == 0, out
        return out

    def wait(self) -> int:
        return self.process.wait(timeout=STOP_LIMIT)

    def unmount(self) -> bool:
        return subprocess.run(["umount", self.mountpoint], timeout=STOP_LIMIT, capture_output=True).returncode == 0

    def stop(self):
        self.process.kill()
        self.process.communicate()
        if is_mounted(self.mountpoint):
            subprocess.run(["umount", "-l", self.mountpoint], timeout=STOP_LIMIT)


@contextlib.contextmanager
def mounted(binary, env, folder, options=()):
    daemon = Daemon(binary, env, folder, options)
    try:
        daemon.wait_mounted()
        yield daemon
    finally:
        daemon.stop()


@contextlib.contextmanager
def connections(folder: pathlib.Path):
    """The kernel's list of FUSE connections, wherever the system has it."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "fusectl", "none", folder], check=True, timeout=STOP_LIMIT)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True, timeout=STOP_LIMIT)


# What no two runs have in common, and how a library moves data in, which is its own choice.
VARYING = [
    (r"\bpid=(\d+|own)", "pid=P"),
    (r"\bowner=0x[0-9a-f]+", "owner=O"),
    (r"time=1\d{9}\.\d{9}", "time=NOW"),
    (r"\barg=0x7f[0-9a-f]+", "arg=STACK"),
    (r"kinds=\S+", "kinds=K"),
    # What INIT offers has its own cases in d_init; there the kernel's word is fixed.
    (r"init\((userdata=\S+) .*\)", r"init(\1)"),
]


def normal(text: str) -> str:
    """The kernel sends FORGET when it likes, so those lines are left out."""
    lines = [line for line in text.splitlines() if not re.search(r"\| forget(_multi)?[([]", line)]
    text = "\n".join(lines)
    for pattern, replacement in VARYING:
        text = re.sub(pattern, replacement, text)
    return text
