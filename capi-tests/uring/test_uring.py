"""Requests over io_uring on real mounts: that they come that way, every way to answer them, and every way to end."""

import fcntl
import hashlib
import os
import random
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest
from harness import REPO, abort, mounts, wait_until

SOURCE = Path(__file__).with_name("rings.c")
ON = "io_uring is on"
OFF = "io_uring is not used, requests come through /dev/fuse: "


@pytest.fixture(params=["so4", "so3"])
def library(request, libs):
    return libs[request.param]


@pytest.fixture
def so4(libs):
    return libs["so4"]


@pytest.fixture
def start(guard, compiled):
    """start(library, *options, env=): mounts rings.c and waits until its first request was served."""

    def start(library, *options, env=None):
        program = compiled(library, SOURCE, flags=("-Wall", "-Wextra", "-Werror"))
        daemon = guard.daemon(library, [program, "-f", *options, guard.mountpoint], env=env)
        guard.child(os.stat, guard.mountpoint)
        return daemon

    return start


@pytest.fixture
def rings(start, io_uring, guard):
    """rings(library, *options): the same over io_uring; nothing is wrong at the end, and the daemon ends well."""
    daemons = []

    def rings(library, *options):
        daemon = start(library, "-o", "io_uring", *options)
        wait_until(lambda: ON in daemon.output(), "io_uring")
        daemons.append(daemon)
        return daemon

    yield rings
    for daemon in daemons:
        if daemon.is_running():
            assert guard.child(count, guard.mountpoint, "wrong") == 0
            assert daemon.stop() == 0, daemon.output()


def count(mountpoint, name):
    return int(os.getxattr(mountpoint, f"user.{name}"))


def read(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def timed(path):
    begun = time.monotonic()
    text = read(path)
    return text, time.monotonic() - begun


def test_requests_come_over_the_ring(rings, so4, guard):
    rings(so4)
    before = guard.child(count, guard.mountpoint, "ring")
    assert guard.child(read, guard.mountpoint / "plain") == b"ring"
    assert guard.child(count, guard.mountpoint, "ring") >= before + 3
    assert guard.child(count, guard.mountpoint, "device") == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("joined", b"another thread"),
        ("later", b"another thread"),
        ("tell", b"told"),
        ("place", b"made in place"),
        ("ending", b"another thread"),
    ],
)
def test_ways_to_answer(rings, so4, guard, name, text):
    rings(so4)
    # More often than there are places at the queues.
    for _ in range(20):
        # A page of the cache ends with zeros.
        assert guard.child(read, guard.mountpoint / name).rstrip(b"\0") == text


@pytest.mark.parametrize("depth", [1, 2])
def test_many_answers_from_other_threads(rings, library, guard, depth):
    rings(library, "-o", f"io_uring_q_depth={depth}")
    calls = [(read, guard.mountpoint / name) for name in ("later", "joined", "ending") for _ in range(6)]
    assert set(guard.children(calls)) == {b"another thread"}


def test_a_reply_does_not_wait_for_the_callback(rings, so4, guard):
    """It sleeps for 1.5 s afterwards."""
    rings(so4, "-o", "io_uring_q_depth=1")
    text, took = guard.child(timed, guard.mountpoint / "early")
    assert (text, took < 1.0) == (b"early", True), took
    # Others are served meanwhile, at the same place.
    for _ in range(3):
        text, took = guard.child(timed, guard.mountpoint / "early")
        assert (text, took < 1.0) == (b"early", True), took


@pytest.mark.parametrize("name", ["parting", "rushed"])
def test_a_callback_goes_on_after_its_reply_and_ends_its_thread(rings, so4, guard, name):
    """Its seat was given to another thread by then: one of them only is to have it."""
    rings(so4, "-o", "io_uring_q_depth=1")
    cpu = min(os.sched_getaffinity(0))
    for _ in range(5):
        assert guard.child(read_on, cpu, guard.mountpoint / name) == b"parted"
        # The thread ends meanwhile.
        time.sleep(0.06)
        assert guard.child(read_on, cpu, guard.mountpoint / "plain") == b"ring"


def test_pause(rings, so4, guard):
    """All threads wait, those at the queues too, and nothing is served before the session is resumed."""
    rings(so4)
    for n in range(3):
        assert guard.child(read, guard.mountpoint / "pause") == b"pausing"
        assert set(guard.children([(read_often, guard.mountpoint / "plain") for _ in range(4)])) == {b"ring"}
        wait_until(lambda: guard.child(count, guard.mountpoint, "pauses") == n + 1, "end of the pause")


def read_often(path):
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        text = read(path)
    return text


@pytest.mark.parametrize("missing", [1, 9])
def test_threads_that_cannot_be_started(start, io_uring, so4, guard, missing):
    """One is for the device, and some of those for the queues are missing: then the device has all requests."""
    daemon = start(so4, "-o", "io_uring", env={"RINGS_THREADS": str(1 + queues() * 8 - missing)})
    wait_until(lambda: OFF in daemon.output(), "io_uring")
    calls = [(read_on, cpu, guard.mountpoint / "plain") for cpu in os.sched_getaffinity(0)]
    assert set(guard.children(calls)) == {b"device"}
    assert ON not in daemon.output() and daemon.stop() == 0


def test_handlers_that_sleep_do_not_stop_the_queue(rings, library, guard):
    """32 times 0.1 s, at 2 queues or more of 8: one after the other it would take 1.6 s at two queues."""
    rings(library)
    calls = [(read_again, guard.mountpoint / "slow") for _ in range(16)]
    begun = time.monotonic()
    assert set(guard.children(calls)) == {b"slept"}
    assert time.monotonic() - begun < 0.9


def read_again(path):
    read(path)
    return read(path)


def read_on(cpu, path):
    os.sched_setaffinity(0, {cpu})
    return read(path)


def test_handlers_that_wait_for_each_other(rings, library, guard):
    """At one queue, as those that take a lock and wait for its release: no thread may have two requests."""
    rings(library, "-o", "io_uring_q_depth=2")
    cpu = min(os.sched_getaffinity(0))
    for _ in range(20):
        calls = [(read_on, cpu, guard.mountpoint / "meet") for _ in range(2)]
        assert guard.children(calls) == [b"met", b"met"]


def checksums_of_writes(path, seed):
    """Writes and reads pieces of all sizes through one descriptor; whether what is read is what was written."""
    dice = random.Random(seed)
    whole = bytearray(dice.randbytes(8 << 20))
    fd = os.open(path, os.O_RDWR)
    for at in range(0, len(whole), 1 << 20):
        assert os.pwrite(fd, whole[at : at + (1 << 20)], at) == 1 << 20
    for _ in range(300):
        size, at = dice.choice([1, 100, 2000, 2048, 2049, 4096, 5000, 70_000]), dice.randrange(8 << 20)
        piece = dice.randbytes(min(size, len(whole) - at))
        assert os.pwrite(fd, piece, at) == len(piece)
        whole[at : at + len(piece)] = piece
        assert os.pread(fd, size, at) == piece
    found = b"".join(os.pread(fd, 1 << 20, at) for at in range(0, len(whole), 1 << 20))
    os.close(fd)
    return hashlib.sha256(found).digest() == hashlib.sha256(whole).digest()


def test_data(rings, library, guard):
    rings(library)
    assert guard.child(checksums_of_writes, guard.mountpoint / "store", 1)


def numbers_of_file(path):
    fd = os.open(path, os.O_RDONLY)
    found = b"".join(os.pread(fd, 1 << 20, at) for at in range(0, 8 << 20, 1 << 20))
    odd = os.pread(fd, 5000, 12)
    os.close(fd)
    return found == struct.pack(f"={2 << 20}I", *range(0, 8 << 20, 4)) and odd == found[12:5012]


def test_data_from_a_file(rings, library, guard):
    rings(library)
    assert guard.child(numbers_of_file, guard.mountpoint / "filed")


def echoed(path, size):
    fd = os.open(path, os.O_RDONLY)
    data = bytearray(random.Random(size).randbytes(size))
    sent = bytes(data)
    # Read and write, so many bytes, 'U' 1.
    fcntl.ioctl(fd, 0xC0000000 | size << 16 | ord("U") << 8 | 1, data, True)
    os.close(fd)
    return data == sent


@pytest.mark.parametrize("size", [16, 2000, 4096, 16000])
def test_a_reply_made_of_the_request(rings, so4, guard, size):
    rings(so4)
    assert guard.child(echoed, guard.mountpoint / "plain", size)


def test_a_payload_that_is_too_large_for_small_writes(rings, so4, guard):
    rings(so4, "-o", "io_uring_q_depth=1024")
    assert guard.child(checksums_of_writes, guard.mountpoint / "store", 2)


def huge_pages(pid):
    """Kilobytes of a process's memory that huge pages back."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.partition("AnonHugePages:")[2].split()[0])


def test_large_data_makes_huge_pages(rings, so4, guard):
    """Small requests do not, and much data takes no more than the entries have: 8.06 MiB for each queue."""
    if "[madvise]" not in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text():
        pytest.skip("the system's huge pages are not for those who ask")
    daemon = rings(so4)
    guard.child(small_reads, guard.mountpoint / "store")
    assert huge_pages(daemon.pid) == 0
    assert guard.child(checksums_of_writes, guard.mountpoint / "store", 3)
    assert 0 < huge_pages(daemon.pid) <= os.cpu_count() * 8 << 10


def small_reads(path):
    fd = os.open(path, os.O_RDONLY)
    assert all(len(os.pread(fd, 4096, at << 12)) == 4096 for at in range(256))
    os.close(fd)


def test_interrupt(rings, library, guard):
    rings(library)
    for n in range(3):
        assert guard.child(interrupted_by_kill, guard.mountpoint / "never") == -signal.SIGKILL
        assert guard.child(count, guard.mountpoint, "interrupts") == n + 1


def interrupted_by_kill(path):
    """The kernel sends an interrupt for a fatal signal too; the process ends once the request is answered."""
    child = subprocess.Popen(["cat", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: count(path.parent, "waiting") == 1, "request")
    child.send_signal(signal.SIGKILL)
    return child.wait(10)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL", "umount", "abort"])
def test_ends_with_requests_in_flight(rings, so4, guard, how):
    """Whoever waits gets an error, and the daemon ends."""
    daemon = rings(so4)
    waiting = [
        subprocess.Popen(["cat", guard.mountpoint / "never"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(5)
    ]
    wait_until(lambda: guard.child(count, guard.mountpoint, "waiting") == 5, "requests")
    if how == "umount":
        subprocess.run(["umount", "--force", "--lazy", guard.mountpoint], check=True)
    elif how == "abort":
        abort(mounts(guard.mountpoint)[0].connection)
    else:
        daemon.signal(getattr(signal, how))
    assert daemon.wait() == {"SIGKILL": -9}.get(how, 0), daemon.output()
    for one in waiting:
        assert one.wait(10) == 1 and b"abort" in one.stderr.read()


def test_switch_is_off(start, uring_switch, so4, guard):
    uring_switch.write_text("N")
    daemon = start(so4, "-o", "io_uring")
    assert guard.child(read, guard.mountpoint / "plain") == b"device"
    assert f"{OFF}{uring_switch} is N\n" in daemon.output()
    assert daemon.output().count("io_uring") == 1


@pytest.mark.parametrize(
    ("options", "env", "on"),
    [
        ([], {}, False),
        ([], {"FUSE_URING_ENABLE": "1"}, True),
        (["-o", "io_uring"], {"FUSE_URING_ENABLE": "0"}, True),
        ([], {"FUSE_URING_ENABLE": "0"}, False),
        (["-o", "io_uring_q_depth=4"], {}, False),
    ],
)
def test_who_asks(start, io_uring, library, guard, options, env, on):
    daemon = start(library, *options, env=env)
    guard.child(read, guard.mountpoint / "plain")
    assert (ON in daemon.output()) == on
    assert OFF not in daemon.output()


@pytest.mark.parametrize(("options", "env"), [(["-o", "io_uring_q_depth=3"], {}), ([], {"FUSE_URING_QUEUE_DEPTH": "3"})])
def test_depth(start, io_uring, so4, guard, options, env):
    daemon = start(so4, "-o", "io_uring", *options, env=env)
    wait_until(lambda: "queues of 3 requests" in daemon.output(), "depth")


def test_depth_that_open_files_allow(io_uring, guard, compiled, library):
    """On a machine with many CPUs the usual limit is not enough for so many at each."""
    depth = 3
    files = 2 * 2 * queues() * depth
    program = compiled(library, SOURCE, flags=("-Wall", "-Wextra", "-Werror"))
    daemon = guard.daemon(library, ["prlimit", f"--nofile={files}", program, "-f", "-o", "io_uring", guard.mountpoint])
    guard.child(os.stat, guard.mountpoint)
    wait_until(lambda: f"queues of {depth} requests" in daemon.output(), "depth")
    assert f"{depth} requests of a queue at once and not 8" in daemon.output()
    assert guard.child(read, guard.mountpoint / "plain").rstrip(b"\0") in (b"ring", b"device")
    assert daemon.stop() == 0


def queues():
    """One for each CPU that there can be."""
    last = Path("/sys/devices/system/cpu/possible").read_text().strip().rpartition("-")[2]
    return int(last.rpartition(",")[2]) + 1


@pytest.mark.parametrize("depth", ["0", "1025", "-1", "x", ""])
def test_bad_depth(guard, compiled, library, depth):
    program = compiled(library, SOURCE, flags=("-Wall", "-Wextra", "-Werror"))
    done = guard.run(library, [program, "-f", "-o", f"io_uring_q_depth={depth}", guard.mountpoint])
    assert done.returncode != 0
    assert f"option 'io_uring_q_depth={depth}'" in done.stderr


def test_bad_environment(start, io_uring, so4):
    daemon = start(so4, env={"FUSE_URING_ENABLE": "yes", "FUSE_URING_QUEUE_DEPTH": "many"})
    assert "FUSE_URING_ENABLE in the environment is no number" in daemon.output()
    assert "FUSE_URING_QUEUE_DEPTH in the environment is no number" in daemon.output()
    assert ON not in daemon.output()


def test_single_threaded(start, io_uring, library, guard):
    daemon = start(library, "-s", "-o", "io_uring")
    guard.child(read, guard.mountpoint / "plain")
    assert f"{OFF}a single-threaded loop serves the session\n" in daemon.output()


def test_auto_unmount(start, io_uring, so4, guard):
    """The mount would stay when the daemon is killed."""
    daemon = start(so4, "-o", "io_uring,auto_unmount")
    guard.child(read, guard.mountpoint / "plain")
    assert daemon.output().count(f"{OFF}auto_unmount would look") == 1 and ON not in daemon.output()


def test_recoverable(guard, compiled, so4, io_uring):
    """The kernel would not send its requests again."""
    examples = REPO / "examples"
    sources = sorted([*examples.glob("recoverable_*.c"), *examples.glob("backing_*.c")])
    source = guard.folder("source")
    program = compiled(so4, examples / "recoverable.c", *sources)
    daemon = guard.daemon(so4, [program, "-f", "-o", "io_uring", f"--source={source}", guard.mountpoint])
    guard.child(os.listdir, guard.mountpoint)
    assert daemon.output().count("the session is recoverable") == 1 and ON not in daemon.output()


def test_no_ring_can_be_made(start, io_uring, so4, guard):
    """kernel.io_uring_disabled for everybody, while INIT is answered."""
    control = Path("/proc/sys/kernel/io_uring_disabled")
    before = control.read_text()
    control.write_text("2")
    try:
        daemon = start(so4, "-o", "io_uring")
        assert guard.child(read, guard.mountpoint / "plain") == b"device"
    finally:
        control.write_text(before)
    assert f"{OFF}no ring can be made: " in daemon.output()
