"""Real mounts: the kernel's requests for a fixed script, and the ways to end, are the same on both libraries."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from . import programs
from .compare import compare, parse
from .mounting import connections, is_mounted, mounted, normal
from .test_differential import DELIBERATE

LIBRARIES = ["libfuse3.so.3", "libfuse3.so.4"]
OPTIONS = ["-o", "allow_other,fsname=memory"]
SCRIPT = pathlib.Path(__file__).with_name("mount_script.py")


def binary_for(binaries, library):
    return binaries("m_ops", library == "libfuse3.so.4", ("memfs.c",))


def script_transcript(binary, env, folder, options):
    with mounted(binary, env, folder, options) as daemon:
        seen = parse(daemon.drive([sys.executable, SCRIPT, daemon.mountpoint]))
        subprocess.run(["umount", daemon.mountpoint], check=True, timeout=15)
        status = daemon.wait()
    found = parse(normal(daemon.output.read_text()))
    for case, lines in seen.cases.items():
        found.cases[case] += lines
    found.cases["end"].append(f"exit status {status}")
    return found


@pytest.fixture(scope="module")
def system_script(binaries, tmp_path_factory):
    env = programs.environment(ours=False)
    return script_transcript(binary_for(binaries, ""), env, tmp_path_factory.mktemp("system"), OPTIONS)


@pytest.mark.parametrize("library", LIBRARIES)
def test_script(library, binaries, system_script, tmp_path, count):
    env = programs.environment(ours=True)
    ours = script_transcript(binary_for(binaries, library), env, tmp_path, OPTIONS)
    assert pathlib.Path(ours.library).resolve() == (programs.libdir() / library).resolve()
    entries = [entry for entry in DELIBERATE if entry.concerns("m_ops", library)]
    result = compare(system_script, ours, entries)
    assert not result.differing and not result.stale, result.report()
    assert result.compared > 30
    count[f"{library} mounted"] += result.compared


def end_by(how, binary, env, folder):
    with mounted(binary, env, folder) as daemon:
        if how == "umount":
            subprocess.run(["umount", daemon.mountpoint], check=True, timeout=15)
        elif how == "abort":
            minor = os.minor(daemon.mountpoint.stat().st_dev)
            with connections(folder / "connections") as listed:
                (listed / str(minor) / "abort").write_text("1")
        else:
            daemon.process.send_signal(getattr(signal, how))
        status = daemon.wait()
        left = is_mounted(daemon.mountpoint)
    return status, left, normal(daemon.output.read_text()).splitlines()[1:]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("how", ["umount", "abort", "SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"])
def test_end(how, library, binaries, tmp_path, count):
    """Exit status, whether the mount stays, and what is called on the way out."""
    system = end_by(how, binary_for(binaries, ""), programs.environment(ours=False), tmp_path / "system")
    ours = end_by(how, binary_for(binaries, library), programs.environment(ours=True), tmp_path / "ours")
    assert ours == system
    count[f"{library} mounted"] += 1
