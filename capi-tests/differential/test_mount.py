"""Real mounts: the kernel's requests for a fixed script, and the ways to end, are the same on both libraries."""

import os
import pathlib
import signal
import sys

import pytest
from harness import LIBDIR

from . import programs
from .compare import Transcript, compare, parse
from .mounting import NotMounted, connections, is_mounted, mounted, mountinfo, normal
from .test_differential import DELIBERATE

LIBRARIES = ["libfuse3.so.3", "libfuse3.so.4"]
OPTIONS = ["-o", "allow_other,fsname=memory"]
SCRIPT = pathlib.Path(__file__).with_name("mount_script.py")


def binary_for(binaries, library):
    return binaries("m_ops", library == "libfuse3.so.4", ("memfs.c", "memfs_xattr.c"))


def script_transcript(binary, env, folder, options):
    with mounted(binary, env, folder, options) as daemon:
        seen = parse(daemon.drive([sys.executable, SCRIPT, daemon.mountpoint]))
        assert daemon.unmount()
        status = daemon.wait()
    found = parse(normal(daemon.output.read_text()))
    for case, lines in seen.cases.items():
        found.cases[case] += lines
    found.cases["end"].append(f"exit status {status}")
    return found


def check(system, ours, library, count):
    entries = [e for e in DELIBERATE if e.concerns("m_ops", library) and any(map(e.names, system.cases))]
    result = compare(system, ours, entries)
    if result.differing or result.stale:
        pytest.fail(result.report(), pytrace=False)
    count[f"{library} mounted"] += result.compared


@pytest.fixture(scope="module")
def system_script(binaries, tmp_path_factory):
    env = programs.environment(ours=False)
    return script_transcript(binary_for(binaries, ""), env, tmp_path_factory.mktemp("system"), OPTIONS)


@pytest.mark.parametrize("library", LIBRARIES)
def test_script(library, binaries, system_script, tmp_path, count):
    env = programs.environment(ours=True)
    ours = script_transcript(binary_for(binaries, library), env, tmp_path, OPTIONS)
    assert pathlib.Path(ours.library).resolve() == (LIBDIR / library).resolve()
    assert len(ours.cases) > 30
    check(system_script, ours, library, count)


@pytest.mark.parametrize("library", LIBRARIES)
def test_script_over_io_uring(library, binaries, system_script, tmp_path, count, io_uring):
    """What comes over io_uring is what comes through the device. Nobody waits for a release, which with several threads
    may come in the midst of the next case."""

    def waited_for(found):
        kept = {
            case: [line for line in lines if not line.startswith(("release(", "releasedir("))]
            for case, lines in found.cases.items()
        }
        return Transcript(found.library, kept)

    env = programs.environment(ours=True) | {"M_OPS_THREADS": "1"}
    ours = script_transcript(binary_for(binaries, library), env, tmp_path, [*OPTIONS, "-o", "io_uring"])
    check(waited_for(system_script), waited_for(ours), library, count)


def end_by(how, binary, env, folder):
    with mounted(binary, env, folder) as daemon:
        if how == "umount":
            assert daemon.unmount()
        elif how == "abort":
            minor = os.minor(daemon.mountpoint.stat().st_dev)
            with connections(folder / "connections") as listed:
                (listed / str(minor) / "abort").write_text("1")
        else:
            daemon.process.send_signal(getattr(signal, how))
        status = daemon.wait()
        left = is_mounted(daemon.mountpoint)
    seen = normal(daemon.output.read_text()).splitlines()
    lines = [f"exit status {status}", f"still mounted: {left}", *(line for line in seen if not line.startswith("#"))]
    return Transcript("", {f"end by {how}": lines})


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("how", ["umount", "abort", "SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"])
def test_end(how, library, binaries, tmp_path, count):
    """Exit status, whether the mount stays, and what is called on the way out."""
    system = end_by(how, binary_for(binaries, ""), programs.environment(ours=False), tmp_path / "system")
    ours = end_by(how, binary_for(binaries, library), programs.environment(ours=True), tmp_path / "ours")
    check(system, ours, library, count)


MOUNT_OPTIONS = [
    "",
    "ro",
    "nosuid,nodev,noexec",
    "suid,dev,exec",
    "noatime,sync,dirsync",
    "fsname=memory",
    "subtype=mem",
    "fsname=memory,subtype=mem",
    "fsname=with\\,comma",
    "allow_other",
    "allow_root",
    "default_permissions",
    "max_read=65536",
    "max_read=0",
    "rw,ro",
    "ro,rw",
    "auto_unmount",
    "debug",
    # What no library knows.
    "nonsense",
    "max_read=many",
    "allow_other,allow_root",
    "fsname",
]


def mounted_as(option, binary, env, folder):
    """The mount as the kernel lists it, or the exit status of a daemon that refused."""
    options = ["-o", option] if option else []
    try:
        with mounted(binary, env, folder, options) as daemon:
            line = mountinfo(daemon.mountpoint)
            # Some make the daemon give up by itself.
            daemon.unmount()
            lines = [line, f"exit status {daemon.wait()}"]
    except NotMounted as refusal:
        assert refusal.said, "refused without a word"
        lines = [f"refused with exit status {refusal.status}"]
    return Transcript("", {f"option {option}": lines})


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("option", MOUNT_OPTIONS)
def test_mount_option(option, library, binaries, tmp_path, count):
    system = mounted_as(option, binary_for(binaries, ""), programs.environment(ours=False), tmp_path / "system")
    ours = mounted_as(option, binary_for(binaries, library), programs.environment(ours=True), tmp_path / "ours")
    check(system, ours, library, count)
