"""Debug output (`-d`): every line of the system's library has its counterpart, which may say more."""

import os
import re
import signal
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def use(root):
    os.listdir(root)
    (root / "file").write_text("some text")
    with (root / "file").open("r+b") as file:
        file.seek(3)
        file.read(4)
        os.ftruncate(file.fileno(), 5)
        os.fsync(file.fileno())
    os.mkdir(root / "folder", 0o700)
    os.rename(root / "file", root / "folder" / "moved")
    os.symlink("some where", root / "link")
    os.readlink(root / "link")
    os.chmod(root / "folder" / "moved", 0o640)
    os.unlink(root / "folder" / "moved")
    os.rmdir(root / "folder")
    os.path.lexists(root / "none\n")
    os.statvfs(root)


def common(line):
    """A line of the system's as ours must begin, too; what differs between runs is left open."""
    if re.match(r" *flags=|FUSE library version| *INIT: | *max_(readahead|write)=", line):
        return re.escape(line.split("=")[0].split(":")[0])
    line = re.escape(line)
    line = re.sub(r"pid:\\ \d+", r"pid: \\d+", line)
    return re.sub(r"(unique|nodeid|insize):\\ \d+", r"\1: \\d+", line)


@pytest.fixture
def output(guard, compiled):
    def output(library):
        memfs = compiled(library, *(HERE.parents[1] / "examples" / f"{name}.c" for name in ("memfs", "memfs_store")))
        daemon = guard.daemon(library, [memfs, "-d", "-s", guard.mountpoint])
        guard.child(use, guard.mountpoint)
        daemon.signal(signal.SIGTERM)
        daemon.wait()
        # When the kernel forgets and releases is its own business.
        skip = re.compile(r"opcode: (FORGET|BATCH_FORGET|RELEASE|RELEASEDIR|DESTROY|ACCESS) ")
        lines = [line for line in daemon.output().splitlines() if line]
        requests = {line.split(",")[0].strip() for line in lines if skip.search(line)}
        return [line for line in lines if line.split(",")[0].strip() not in requests]

    return output


def test_says_what_the_system_says(libs, output):
    ours, expected = output(libs["so3"]), output(libs["system"])
    rest = iter(ours)
    for line in expected:
        assert any(re.match(common(line), other) for other in rest), f"missing: {line}\n" + "\n".join(ours)


def test_names_what_is_asked_for(libs, output):
    text = "\n".join(output(libs["so4"]))
    for pattern in (
        r'LOOKUP \(1\), nodeid: 1, .*, name: "file"',
        r'LOOKUP \(1\), .*, name: "none\\n"',
        r'CREATE \(35\), .*, name: "file", flags: 0x[0-9a-f]+, mode: 0o100644, umask: 0o22',
        r"WRITE \(16\), .*, fh: \d+, offset: 0, size: 9, flags: 0x",
        r"READ \(15\), .*, offset: 0, size: \d+, flags: 0x",
        r"SETATTR \(4\), .*, valid: 0x[0-9a-f]+, size: 5",
        r"SETATTR \(4\), .*, mode: 0o100640",
        r"FSYNC \(20\), .*, fsync_flags: 0",
        r'MKDIR \(9\), .*, name: "folder", mode: 0o700, umask: 0o',
        r'RENAME2? \(\d+\), .*, name: "file", newdir: \d+, newname: "moved", flags: 0x0',
        r'SYMLINK \(6\), .*, name: "link", target: "some where"',
        r"READDIR(PLUS)? \(\d+\), .*, offset: 0, size: \d+",
        r"uid: 0, gid: 0",
        r"INIT: 7\.45\nflags=0x[0-9a-f]+ ASYNC_READ \| ",
        r"error: -2 \(No such file or directory\), outsize: 16",
    ):
        assert re.search(pattern, text), f"{pattern}\n{text}"
