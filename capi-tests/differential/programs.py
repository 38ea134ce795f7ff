"""Builds the C programs and runs them on either library."""

import os
import pathlib
import subprocess

from harness import LIBDIR

HERE = pathlib.Path(__file__).parent
SHARED = ["harness.c", "text.c", "answers.c", "record.c", "requests.c"]
PROGRAMS = sorted(path.stem for path in HERE.glob("d_*.c"))
TIME_LIMIT = 120


def environment(ours: bool) -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if key not in ("LD_LIBRARY_PATH", "LD_PRELOAD")}
    if ours:
        env["LD_LIBRARY_PATH"] = str(LIBDIR)
    return env


def flags(our_headers: bool) -> list[str]:
    env = dict(os.environ)
    env.pop("PKG_CONFIG_PATH", None)
    if our_headers:
        env["PKG_CONFIG_PATH"] = str(LIBDIR / "pkgconfig")
    found = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "fuse3"], env=env, check=True, capture_output=True, text=True
    )
    return found.stdout.split()


def build(name: str, into: pathlib.Path, our_headers: bool = False, extra: tuple[str, ...] = ()) -> pathlib.Path:
    binary = into / (name + ("-so4" if our_headers else ""))
    sources = [str(HERE / source) for source in [f"{name}.c", *SHARED, *extra]]
    command = ["cc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-o", str(binary), *sources]
    done = subprocess.run(command + flags(our_headers), capture_output=True, text=True, timeout=TIME_LIMIT)
    assert done.returncode == 0, f"{name} does not compile:\n{done.stderr}"
    return binary


def run(binary: pathlib.Path, env: dict[str, str]) -> tuple[str, int, str]:
    """Transcript, exit status and the end of stderr."""
    done = subprocess.run(
        [binary], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIME_LIMIT, errors="replace"
    )
    return done.stdout, done.returncode, "\n".join(done.stderr.splitlines()[-5:])
