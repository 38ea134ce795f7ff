"""What goes wrong only under load, with hostile peers or with careless daemons; also under valgrind and sanitizers."""

import os
import platform
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from harness import REPO, TARGET, Library, mounts

HERE = Path(__file__).parent


def cases_of(name):
    """The cases that a program's table lists."""
    return [line.split('"')[1] for line in (HERE / f"{name}.c").read_text().splitlines() if line.startswith('    { "')]


CASES = cases_of("bad_callers")
FLAGS = ("-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror")
VALGRIND = [
    "valgrind",
    "--quiet",
    "--fair-sched=yes",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect",
    "--errors-for-leak-kinds=definite,indirect",
    "--error-exitcode=99",
]


@pytest.fixture(params=["so4", "so3"])
def ours(request, libs):
    """Only our library: most of this crashes the system's, or never ends there."""
    return libs[request.param]


@pytest.fixture
def program(compiled):
    """program(library, name): one of the programs here."""
    return lambda library, name: compiled(library, HERE / f"{name}.c", HERE / "session.c", flags=FLAGS)


def run(library, *command, timeout=60, env=None):
    """Runs a program that does not mount; its output."""
    done = subprocess.run(
        [str(word) for word in command], env=library.env(env), capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr[-8000:]}"
    print(done.stdout, end="")
    return done.stdout + done.stderr


@pytest.fixture
def valgrind():
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    return VALGRIND


# ---- without a kernel ----


def test_threads(ours, program):
    run(ours, program(ours, "threads"))


def test_garbage(ours, program):
    run(ours, program(ours, "garbage"), 2)


@pytest.mark.parametrize("way", ["memory", "pipe", "read", "splice"])
@pytest.mark.parametrize("case", cases_of("shapes"))
def test_shapes(ours, program, case, way):
    run(ours, program(ours, "shapes"), case, way)


@pytest.mark.parametrize("case", CASES)
def test_bad_callers(ours, program, case):
    run(ours, program(ours, "bad_callers"), case)


def test_every_case_is_run(ours, program):
    assert run(ours, program(ours, "bad_callers"), "--list").split() == CASES


@pytest.mark.parametrize("which", ["one", "rest"])
def test_no_memory(ours, program, which):
    run(ours, program(ours, "nomem"), which)


@pytest.mark.parametrize("case", cases_of("workers"))
def test_workers(ours, program, case):
    run(ours, program(ours, "workers"), case)


CHECKED = [
    ("threads", 1000),
    ("garbage", 20, 7, 3000),
    ("bad_callers",),
    ("shapes",),
    ("workers", "thread_exits"),
    ("workers", "single_cancelled"),
]


@pytest.mark.parametrize("command", CHECKED, ids=lambda c: "-".join(map(str, c[:2])))
def test_valgrind(libs, program, valgrind, command):
    name, *arguments = command
    run(libs["so3"], *valgrind, program(libs["so3"], name), *arguments)


# ---- with a kernel ----


@pytest.mark.parametrize("origin", ["callback", "thread", "signal"])
@pytest.mark.parametrize("loop", ["single", "threads"])
@pytest.mark.parametrize("channel", ["mount", "pipe"])
def test_exit_is_prompt(ours, guard, program, channel, loop, origin):
    """The bound is generous, for machines under load; the figure is printed."""
    done = guard.run(ours, [program(ours, "exit"), channel, loop, origin, guard.mountpoint], timeout=25)
    assert done.returncode == 0, done.stderr
    print(f"{channel}, {loop}, from a {origin}: {done.stdout.strip()} ms until the loop returned")
    assert float(done.stdout) < 3000


@pytest.mark.parametrize("origin", ["thread", "signal"])
def test_the_session_is_there_until_an_exit_returns(ours, guard, program, origin):
    done = guard.run(ours, [program(ours, "late"), origin, guard.mountpoint], timeout=25)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("loop", ["single", "threads"])
def test_a_callback_that_never_replies(ours, guard, program, loop):
    done = guard.run(ours, [program(ours, "unanswered"), loop, guard.mountpoint], timeout=25)
    assert done.returncode == 0, done.stderr
    assert mounts(guard.mountpoint) == []


@pytest.mark.parametrize(("kind", "count"), [("memory", 1000), ("mount", 1000), ("loop", 600)])
def test_sessions_leave_nothing(ours, guard, program, kind, count):
    # The buffers of workers are given back at once, whatever malloc learned about their size.
    env = {"MALLOC_MMAP_THRESHOLD_": "131072"}
    done = guard.run(ours, [program(ours, "sessions"), kind, count, guard.mountpoint], env=env, timeout=60)
    assert done.returncode == 0, done.stderr
    print(done.stdout, end="")
    assert mounts(guard.mountpoint) == []


def mixed_operations(root, count):
    """Makes, fills, reads, renames, links, lists and deletes at random; fails if a file is not what was written."""
    numbers, files = random.Random(1), {}
    for i in range(count):
        name = os.path.join(root, f"f{numbers.randrange(60)}")
        other = os.path.join(root, f"f{numbers.randrange(60)}")
        match numbers.randrange(9):
            case 0 | 1:
                files[name] = numbers.randbytes(numbers.randrange(20000))
                Path(name).write_bytes(files[name])
            case 2 | 3 if name in files:
                assert Path(name).read_bytes() == files[name], (i, name)
            case 4 if name in files:
                os.rename(name, other)
                files[other] = files.pop(name)
            case 5 if name in files:
                os.truncate(name, 100)
                files[name] = files[name][:100].ljust(100, b"\0")
            case 6 if name in files:
                os.unlink(name)
                del files[name]
            case 7:
                folder = os.path.join(root, "folder")
                os.mkdir(folder)
                os.symlink("target", os.path.join(folder, "link"))
                assert os.readlink(os.path.join(folder, "link")) == "target"
                os.unlink(os.path.join(folder, "link"))
                os.rmdir(folder)
            case _:
                assert {os.path.join(root, found) for found in os.listdir(root)} == set(files)
                os.stat(root)
    return len(files)


def test_mixed_operations(library, guard, compiled):
    memfs = compiled(library, REPO / "examples/memfs.c", REPO / "examples/memfs_store.c", flags=("-g",))
    daemon = guard.daemon(library, [memfs, "-f", guard.mountpoint])
    guard.child(mixed_operations, str(guard.mountpoint), 10000)
    daemon.stop()


LOOPS = {"threads": (), "single": ("-s",), "clone_fd": ("-o", "clone_fd")}


@pytest.mark.parametrize(("loop", "count"), [("threads", 10000), ("single", 500), ("clone_fd", 500)])
def test_mount_under_valgrind(libs, guard, compiled, valgrind, loop, count):
    library = libs["so4"]
    memfs = compiled(library, REPO / "examples/memfs.c", REPO / "examples/memfs_store.c", flags=("-g",))
    daemon = guard.start(library, [*valgrind, memfs, "-f", *LOOPS[loop], guard.mountpoint]).wait_mounted()
    guard.child(mixed_operations, str(guard.mountpoint), count, timeout=300)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(60) == 0, daemon.output()


@pytest.mark.parametrize("loop", LOOPS)
def test_no_leaks(libs, guard, compiled, loop):
    """The leak sanitizer counts what the library allocates, too: it takes the place of malloc(3) for both."""
    library = libs["so4"]
    flags = ("-g", "-fsanitize=leak")
    memfs = compiled(library, REPO / "examples/memfs.c", REPO / "examples/memfs_store.c", flags=flags)
    daemon = guard.daemon(library, [memfs, "-f", *LOOPS[loop], guard.mountpoint])
    guard.child(mixed_operations, str(guard.mountpoint), 10000, timeout=120)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(60) == 0, daemon.output()


# ---- sanitizers ----


def sanitized(kind):
    """The library built with a sanitizer, and that sanitizer's runtime; scripts/sanitize builds it."""
    triple = f"{platform.machine()}-unknown-linux-gnu"
    libdir = (TARGET / f"sanitize-{kind}" / triple / "debug").resolve()
    if not (libdir / "libfuse3.so.4").exists():
        pytest.skip(f"no library with the {kind} sanitizer: run scripts/sanitize")
    sysroot = subprocess.run(["rustc", "+nightly", "--print", "sysroot"], check=True, capture_output=True, text=True)
    runtime = {"thread": "tsan", "address": "asan"}[kind]
    archive = Path(sysroot.stdout.strip(), "lib/rustlib", triple, f"lib/librustc-nightly_rt.{runtime}.a")
    undefined = subprocess.run(["nm", "-D", libdir / "libfuse3.so.4"], check=True, capture_output=True, text=True)
    assert f"__{runtime}_" in undefined.stdout, "the library is not instrumented"
    return Library(f"so4-{kind}", "libfuse3.so.4", libdir, str(libdir / "pkgconfig")), archive


@pytest.mark.parametrize("command", [("threads", 20000), ("garbage", 3), ("bad_callers",), ("shapes",)], ids=lambda c: c[0])
@pytest.mark.parametrize("kind", ["thread", "address"])
def test_sanitizer(build_folder, kind, command):
    """Compiled by clang and linked to the runtime of the Rust toolchain, so that both halves report to one."""
    library, archive = sanitized(kind)
    name, *arguments = command
    objects = []
    for source in (name, "session"):
        made = build_folder / f"{source}-{kind}.o"
        compile_ = ["clang", "-O1", *FLAGS, f"-fsanitize={kind}", f"-I{REPO}/include", f"-I{REPO}/include/fuse3"]
        subprocess.run([*compile_, "-c", "-o", made, HERE / f"{source}.c"], check=True)
        objects.append(made)
    whole = ["-Wl,--whole-archive", archive, "-Wl,--no-whole-archive", "-rdynamic"]
    binary = build_folder / f"{name}-{kind}"
    libs = [f"-L{library.libdir}", "-lfuse3", "-pthread", "-ldl", "-lm", "-lrt"]
    subprocess.run(["clang", "-o", binary, *objects, *whole, *libs], check=True)
    output = run(library, binary, *arguments, timeout=100)
    assert "WARNING" not in output and "ERROR" not in output, output
