"""Character devices: Debian's example, compiled unchanged, from its command line to its end.

Few kernels have CUSE. Where this one has not, a pseudo-terminal stands in for /dev/cuse: what the test writes to its
other side the program reads as requests.

covers: cuse_lowlevel_main cuse_lowlevel_main_319
"""

import errno
import os
import select
import signal
import struct
import subprocess
import tty
from pathlib import Path

import pytest
from harness import wait_until

CUSE = Path("/dev/cuse")
OPEN, READ, WRITE, RELEASE, IOCTL, CUSE_INIT = 14, 15, 16, 18, 39, 4096
UNRESTRICTED = 1  # in CUSE_INIT; in an ioctl the same is 2, and 4 asks to be called again
FIOC_GET_SIZE = 0x80084500

# Gives a program a /dev of its own, in which only what it needs is there.
WITH_STAND_IN = """
set -e
mount -t tmpfs none "$1"
mknod "$1/null" c 1 3
mkdir "$1/pts"
mount --bind /dev/pts "$1/pts"
ln -s "$2" "$1/cuse"
mount --rbind "$1" /dev
shift 2
exec "$@"
"""


class Kernel:
    """The kernel's side of a stand-in."""

    def __init__(self, guard, library):
        self.guard, self.library = guard, library
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.unique = 0

    def start(self, *argv):
        command = ["unshare", "--mount", "sh", "-c", WITH_STAND_IN, "sh", self.guard.folder("dev"), os.ttyname(self.slave)]
        return self.guard.start(self.library, [*command, *argv])

    def receive(self, length):
        data = b""
        while len(data) < length:
            assert select.select([self.master], [], [], 10)[0], f"no answer\n{self.guard.logs()}"
            data += os.read(self.master, length - len(data))
        return data

    def ask(self, opcode, body):
        """Sends a request; the error and the payload that are answered."""
        self.unique += 2
        head = struct.pack("=IIQQIIIHH", 40 + len(body), opcode, self.unique, 0, 0, 0, 0, 0, 0)
        os.write(self.master, head + body)
        length, error, unique = struct.unpack("=IiQ", self.receive(16))
        assert unique == self.unique
        return error, self.receive(length - 16)

    def init(self):
        error, reply = self.ask(CUSE_INIT, struct.pack("=4I", 7, 38, 0, UNRESTRICTED))
        assert error == 0
        return reply

    def close(self):
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def kernel(guard, library):
    if CUSE.exists():
        pytest.skip("there is a real /dev/cuse: test_real_device is the test of this")
    kernel = Kernel(guard, library)
    yield kernel
    kernel.close()


def use(kernel):
    """What a client of the example does."""
    error, opened = kernel.ask(OPEN, struct.pack("=II", os.O_RDWR, 0))
    assert (error, len(opened)) == (0, 16)
    write = struct.pack("=QQIIQII", 0, 3, 5, 0, 0, 0, 0) + b"bytes"
    assert kernel.ask(WRITE, write) == (0, struct.pack("=II", 5, 0))
    assert kernel.ask(READ, struct.pack("=QQIIQII", 0, 0, 100, 0, 0, 0, 0)) == (0, b"\0\0\0bytes")
    # The size goes to where the caller's argument points: the program learns that it may write there by asking.
    ioctl = struct.pack("=QIIQII", 0, 2, FIOC_GET_SIZE, 0x1000, 0, 0)
    error, retry = kernel.ask(IOCTL, ioctl)
    assert (error, retry) == (0, struct.pack("=iIIIQQ", 0, 4, 0, 1, 0x1000, 8))
    ioctl = struct.pack("=QIIQII", 0, 2, FIOC_GET_SIZE, 0x1000, 0, 8)
    assert kernel.ask(IOCTL, ioctl) == (0, struct.pack("=iIIIQ", 0, 0, 0, 0, 8))
    assert kernel.ask(RELEASE, struct.pack("=QIIQ", 0, 0, 0, 0)) == (0, b"")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("options", [(), ("-s",), ("-d",)], ids=["threads", "single", "debug"])
def test_stand_in(kernel, example, options, ending):
    daemon = kernel.start(example(kernel.library, "cuse"), "-f", *options, "-M", "240", "-m", "7", "--name=stand-in")
    reply = kernel.init()
    assert struct.unpack("=8I", reply[:32])[3:] == (UNRESTRICTED, 131072, 1 << 20, 240, 7)
    assert reply[72:] == b"DEVNAME=stand-in\0"
    kernel.library.assert_serves(daemon.pid)
    use(kernel)
    daemon.signal(ending)
    assert daemon.wait() == 0, daemon.output()


def test_stand_in_in_the_background(kernel, example):
    program = example(kernel.library, "cuse")
    daemon = kernel.start(program, "--name=stand-in")
    assert daemon.launcher.wait(timeout=10) == 0, daemon.output()

    def orphan():
        found = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(os.getpid())], capture_output=True, text=True)
        return [int(pid) for pid, name in map(str.split, found.stdout.splitlines()) if name == program.name]

    (daemon.pid,) = wait_until(orphan, "the program in the background")
    kernel.init()
    use(kernel)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0


@pytest.mark.parametrize("options, multithreaded", [((), 1), (("-s",), 0)], ids=["threads", "single"])
def test_step_by_step(kernel, compiled, options, multithreaded):
    """A program's own loop between setup and teardown; what no callback is there for is answered all the same."""
    daemon = kernel.start(compiled(kernel.library, Path(__file__).with_name("cuse_steps.c")), "-f", *options)
    assert kernel.init()[72:] == b"DEVNAME=steps\0"
    assert kernel.ask(OPEN, struct.pack("=II", os.O_RDWR, 0)) == (0, bytes(16))
    assert kernel.ask(READ, struct.pack("=QQIIQII", 0, 0, 100, 0, 0, 0, 0)) == (-errno.ENOSYS, b"")
    assert kernel.ask(RELEASE, struct.pack("=QIIQ", 0, 0, 0, 0)) == (0, b"")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == signal.SIGTERM, daemon.output()
    assert daemon.output() == f"multithreaded {multithreaded}\n"


@pytest.mark.parametrize("options", [(), ("-f",), ("-s",)], ids=["background", "foreground", "single"])
def test_missing_device(library, guard, example, options):
    if CUSE.exists():
        pytest.skip("there is a /dev/cuse")
    done = guard.run(library, [example(library, "cuse"), "--name=missing", *options])
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done.stderr
    if library.libdir:
        assert str(CUSE) in done.stderr and "modprobe cuse" in done.stderr


def test_real_device(library, guard, example, compiled, debian_examples):
    if not CUSE.exists():
        pytest.skip("no /dev/cuse: the kernel has no CUSE, or its module is not loaded")
    name = f"fusewire-test-{os.getpid()}"
    daemon = guard.start(library, [example(library, "cuse"), "-f", f"--name={name}"])
    number = wait_until(lambda: (f := Path(f"/sys/class/cuse/{name}/dev")).exists() and f.read_text(), "the device")
    node = guard.work / "node"
    os.mknod(node, 0o20600, os.makedev(*map(int, number.split(":"))))
    client = compiled(library, debian_examples / "cuse_client.c")

    def ask(*arguments, text=""):
        return subprocess.run([client, node, *arguments], input=text, capture_output=True, text=True, check=True, timeout=20)

    def session():
        ask("s", "10")
        assert ask("s").stdout == "10\n"
        ask("w", "5", "2", text="hello")
        assert ask("r", "10", "0").stdout == "\0\0hello\0\0\0"
        assert node.open("rb").read(7) == b"\0\0hello"

    guard.child(session)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.output()
