"""Fixtures of all tests that run C programs: the libraries, the programs, and a guard over what is mounted."""

import gzip
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from harness import LIBDIR, REPO, Guard, adopt_orphans, hear_signals, isolate, libraries

DEBIAN_EXAMPLES = Path("/usr/share/doc/libfuse3-dev/examples")


@pytest.fixture(scope="session", autouse=True)
def _session():
    hear_signals()
    adopt_orphans()
    if os.geteuid() == 0:
        isolate()


@pytest.fixture(scope="session")
def libs():
    """The libraries by name: so4, so3, system. Ours is in FUSEWIRE_LIBDIR, by default the release build's folder."""
    return libraries(LIBDIR)


@pytest.fixture(params=["so4", "so3", "system"])
def library(request, libs):
    """Each library in turn; the system's is the control: a test that fails on it is wrong."""
    return libs[request.param]


@pytest.fixture(params=["so3", "system"])
def binary_library(request, libs):
    """Each library that an installed binary can run on."""
    return libs[request.param]


@pytest.fixture(scope="session")
def build_folder():
    """Programs are built here. Other users may run them."""
    path = Path(tempfile.mkdtemp(prefix="fusewire-build-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def debian_examples(build_folder):
    """The example sources of the distribution's libfuse3-dev, as they are (some packagings compress them)."""
    assert DEBIAN_EXAMPLES.is_dir(), f"{DEBIAN_EXAMPLES} is missing: run make setup"
    folder = build_folder / "debian"
    folder.mkdir()
    for path in DEBIAN_EXAMPLES.iterdir():
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        (folder / path.name.removesuffix(".gz")).write_bytes(text)
    return folder


@pytest.fixture(scope="session")
def compiled(build_folder):
    """compiled(library, source, ..., flags=()): the program, built once per library."""
    done = {}

    def compile_once(library, *sources, flags=()):
        key = (library.name, sources, flags)
        if key not in done:
            # Each in a folder of its own: the same source may be compiled with other flags.
            folder = build_folder / f"{library.name}-{len(done)}"
            folder.mkdir()
            done[key] = library.compile(folder / Path(sources[0]).stem, sources, *flags)
        return done[key]

    return compile_once


@pytest.fixture(scope="session")
def example(compiled, debian_examples):
    """example(library, name): one of the distribution's examples, built unchanged."""
    return lambda library, name: compiled(library, debian_examples / f"{name}.c")


@pytest.fixture
def newer_fusermount3(guard):
    """A stand-in for libfuse 3.19's fusermount3 in place of the system's; the file where it says how it was called."""
    program, calls = guard.work / "newer_fusermount3", guard.work / "calls"
    source = REPO / "capi-tests/mounts/newer_helper.c"
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True, timeout=60)
    program.chmod(0o4755)
    calls.touch()
    calls.chmod(0o666)
    subprocess.run(["mount", "--bind", program, "/usr/bin/fusermount3"], check=True)
    yield calls
    subprocess.run(["umount", "--lazy", "/usr/bin/fusermount3"], check=True)


URING_SWITCH = Path("/sys/module/fuse/parameters/enable_uring")


@pytest.fixture
def uring_switch():
    """The file that says whether the kernel offers io_uring; as it was afterwards."""
    if not os.access(URING_SWITCH, os.W_OK):
        pytest.skip("FUSE over io_uring: the kernel does not have it (6.14, CONFIG_FUSE_IO_URING), or run as root")
    before = URING_SWITCH.read_text()
    yield URING_SWITCH
    URING_SWITCH.write_text(before)


@pytest.fixture
def io_uring(uring_switch):
    """The kernel offers io_uring."""
    uring_switch.write_text("Y")


@pytest.fixture
def guard():
    """The test's folder with its mount point, its daemons and children; see harness.Guard."""
    if os.geteuid() != 0:
        pytest.skip("mounts as root and as another user: run as root")
    guard = Guard()
    yield guard
    guard.close()


@pytest.fixture
def open_library(library, guard):
    """The library where other users can read it."""
    return guard.readable(library)
