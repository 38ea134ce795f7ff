"""The libraries for aarch64, where a cross compiler and qemu-user are there: they link, export what those for x86_64
export, pass the unit tests, and answer as they do."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import harness
import pytest
from surface import INCLUDE, REPO, exported, library, run

TARGET = "aarch64-unknown-linux-gnu"
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
SYSTEM_ROOT = "/usr/aarch64-linux-gnu"
HERE = Path(__file__).parent
DIFFERENTIAL = REPO / "capi-tests" / "differential"
# The first start themselves anew, the second needs fsopen(2): the emulator can do neither for them. The others fork while
# other threads run, and a forked emulator then waits for a lock of theirs now and then.
NOT_EMULATED = (
    "mount::tests::alone",
    "mount::tests::both_ways_to_mount_look_the_same",
    "mount::tests::auto_unmount_follows_the_device",
    "transport::pipe::outgoing::tests::no_page_is_older_than_a_fork",
)
LIMIT = 600

pytestmark = pytest.mark.timeout(2 * LIMIT)


def missing():
    if platform.machine() != "x86_64":
        return f"this machine is {platform.machine()}, whose libraries the other tests are about"
    for program in (COMPILER, EMULATOR):
        if not shutil.which(program):
            return f"{program} is not installed"
    sysroot = Path(run("rustc", "--print", "sysroot", cwd=REPO).strip())
    if not (sysroot / "lib" / "rustlib" / TARGET / "lib").is_dir():
        return f"Rust's standard library for it is not installed: rustup target add {TARGET}"
    return None


REASON = missing()
if REASON:
    pytest.skip(f"aarch64: {REASON}", allow_module_level=True)


def cargo(command, *arguments):
    name = f"CARGO_TARGET_{TARGET.upper().replace('-', '_')}"
    env = os.environ | {
        f"{name}_LINKER": COMPILER,
        f"{name}_RUNNER": f"{EMULATOR} -L {SYSTEM_ROOT}",
        "CARGO_PROFILE_DEV_DEBUG": "0",  # nobody debugs these, and they are made sooner
    }
    return run("cargo", command, "--target", TARGET, *arguments, cwd=REPO, env=env, timeout=LIMIT)


@pytest.fixture(scope="module")
def libdir():
    """Where the libraries are once they are built."""
    cargo("build")
    return harness.TARGET / TARGET / "debug"


@pytest.mark.parametrize("so", ["3", "4"])
def test_exports(libdir, so):
    path = libdir / f"libfuse3.so.{so}"
    assert "AArch64" in run("readelf", "-h", path)
    assert exported(path) == exported(library(so))


def test_units(libdir):
    """Of both packages."""
    skipped = [argument for name in NOT_EMULATED for argument in ("--skip", name)]
    out = cargo("test", "-p", "fusewire", "-p", "fusewire-so3", "--", *skipped)
    results = re.findall(r"^test result: ok\. (\d+) passed; 0 failed", out, re.M)
    assert len(results) == 2 and all(int(passed) > 50 for passed in results), out


def emulated(libdir, program, sources, flags=()):
    """Compiles a program for aarch64 and for this machine, and gives what it prints on each."""
    shared = ["-std=gnu11", "-O1", "-w", "-I", INCLUDE / "fuse3", "-I", DIFFERENTIAL, *sources, *flags, "-lfuse3", "-pthread"]
    run(COMPILER, *shared, "-L", libdir, "-o", f"{program}-aarch64")
    run("gcc", *shared, "-L", library("4").parent, "-o", f"{program}-x86_64")
    env = {"LD_LIBRARY_PATH": str(library("4").parent), "PATH": os.environ["PATH"]}
    here = subprocess.run([f"{program}-x86_64"], env=env, capture_output=True, text=True, timeout=100)
    command = [EMULATOR, "-L", SYSTEM_ROOT, "-E", f"LD_LIBRARY_PATH={libdir}", f"{program}-aarch64"]
    there = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=LIMIT)
    assert (there.returncode, here.returncode) == (0, 0), here.stderr + there.stderr
    return here.stdout, there.stdout


def test_variadic_log(libdir, tmp_path):
    """fuse_log() builds its va_list by hand, in the form of each architecture."""
    here, there = emulated(libdir, tmp_path / "log", [HERE / "log_arguments.c"])
    assert here == there and len(there.splitlines()) == 4


@pytest.mark.parametrize("name", ["d_buf", "d_locks", "d_names"])
def test_same_answers(libdir, tmp_path, name):
    """What callbacks get and what the kernel is sent, byte by byte."""
    shared = [DIFFERENTIAL / f"{source}.c" for source in (name, "harness", "text", "answers", "record", "requests")]
    here, there = emulated(libdir, tmp_path / name, shared)
    transcripts = [re.sub(r"^# library .*$", "", text, flags=re.M).splitlines() for text in (here, there)]
    assert len(transcripts[0]) > 100
    assert transcripts[0] == transcripts[1]
