"""Option parsing: one binary, built against the system's headers, gives the same output on both libraries."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from harness import LIBDIR

HERE = Path(__file__).resolve().parent

# Where we differ on purpose: what the case's line looks like, and why.
DELIBERATE = [
    (
        r"cmdline/\S+ \[p\|/dev/fd/(-3|2147483648)\]",
        "no fd has such a number: refused where it is read, not at the mount, which is what libfuse 3.19 does too",
    ),
    (
        r"loop/idle_threads \[\]: 4294967295",
        "UINT_MAX is the documented default: no complaint, which is what libfuse 3.19 does too",
    ),
]


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    output = tmp_path_factory.mktemp("opt") / "opt_cases"
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "fuse3"], text=True, env=system_env())
    sources = [str(source) for source in sorted(HERE.glob("*.c"))]
    command = ["cc", "-Wall", "-Wextra", "-Werror", "-g", *sources, "-o", str(output)]
    subprocess.run(command + flags.split(), check=True, timeout=60)
    return output


def system_env():
    """The environment without anything that would pick our library."""
    return {k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "PKG_CONFIG_PATH")}


def run(binary, directory, libdir=None):
    directory.mkdir(exist_ok=True)
    env = system_env()
    if libdir:
        env["LD_LIBRARY_PATH"] = str(libdir)
    done = subprocess.run(
        [str(binary), str(directory)], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def loaded(binary, libdir):
    env = system_env() | {"LD_LIBRARY_PATH": str(libdir)}
    return subprocess.check_output(["ldd", str(binary)], env=env, text=True)


def test_it_is_our_library_that_is_compared(binary):
    assert (LIBDIR / "libfuse3.so.3").exists(), f"no libfuse3.so.3 in {LIBDIR}: build it, or set FUSEWIRE_LIBDIR"
    assert f"{LIBDIR}/libfuse3.so.3" in loaded(binary, LIBDIR)


def test_same_output(binary, tmp_path):
    theirs = run(binary, tmp_path / "cwd")
    ours = run(binary, tmp_path / "cwd", LIBDIR)
    assert len(theirs) > 3000
    assert len(theirs) == len(ours)
    differing = [(a, b) for a, b in zip(theirs, ours) if a != b]
    unexpected = [pair for pair in differing if not any(re.search(p, pair[0]) for p, _ in DELIBERATE)]
    report = "\n".join(f"- {a}\n+ {b}" for a, b in unexpected[:20])
    assert not unexpected, f"{len(unexpected)} lines differ:\n{report}"


def test_deliberate_differences_are_still_there(binary, tmp_path):
    """A difference that is gone must leave the list."""
    theirs = run(binary, tmp_path / "cwd")
    ours = run(binary, tmp_path / "cwd", LIBDIR)
    for pattern, reason in DELIBERATE:
        matching = [(a, b) for a, b in zip(theirs, ours) if re.search(pattern, a)]
        assert any(a != b for a, b in matching), f"no difference any more: {reason}"


def test_daemonizing_survives_closed_streams(binary):
    """Not compared: libfuse 3.14 hangs here, as the pipe that its parent waits on takes a stream's number."""
    env = system_env() | {"LD_LIBRARY_PATH": str(LIBDIR)}
    line = subprocess.check_output([str(binary), "closed-streams"], env=env, text=True, timeout=20)
    streams = " ".join(f"fd{fd}=/dev/null" for fd in range(3))
    assert f"res=0 forked=1 leader=1 cwd=/ {streams} status=0 line=no" in line


def help_of(libdir, tmp_path):
    """The option names in the help and version texts: the wording is ours, the options are not."""
    source = tmp_path / "help.c"
    source.write_text(
        "#define FUSE_USE_VERSION 312\n#include <fuse_lowlevel.h>\n#include <stdio.h>\n"
        'int main(void) { puts("first"); fuse_cmdline_help(); fuse_lowlevel_help(); puts("last"); '
        "fuse_lowlevel_version(); return 0; }\n"
    )
    binary = tmp_path / "help"
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "fuse3"], text=True, env=system_env())
    subprocess.run(["cc", str(source), "-o", str(binary)] + flags.split(), check=True, timeout=60)
    env = system_env() | ({"LD_LIBRARY_PATH": str(libdir)} if libdir else {})
    return subprocess.check_output([str(binary)], env=env, text=True, timeout=60)


def test_help_names_the_same_options(tmp_path):
    def options(text):
        lines = [line for line in text.splitlines() if re.match(r" {4}-", line)]
        return sorted(o for line in lines for o in re.findall(r"-o \w+|--\w+|-[a-np-zA-Z]\b", line[:28]))

    theirs, ours = help_of(None, tmp_path), help_of(LIBDIR, tmp_path)
    assert options(ours) == options(theirs)
    # In order with what the program prints, into a pipe too; fusermount3 comes last.
    lines = ours.splitlines()
    assert lines[0] == "first"
    assert lines.index("last") < len(lines) - 2
    assert lines[-1].startswith("fusermount3 version")
