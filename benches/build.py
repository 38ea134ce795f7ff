"""The libraries that are compared, the programs, and the line of versions that the page begins with."""

import contextlib
import datetime
import os
import platform
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from context import ROOT, Bench, harness
from report import Table

HERE = Path(__file__).resolve().parent


def libraries():
    """Both run the same binary, which is linked with the system's: libfuse3.so.3."""
    ours = harness.Library("ours", "libfuse3.so.3", harness.LIBDIR)
    if not (ours.libdir / ours.soname).exists():
        # Otherwise the system's would be measured twice.
        sys.exit(f"{ours.libdir}/{ours.soname} is not there: run `cargo build --release` first")
    return {"system": harness.Library("system", "libfuse3.so.3"), "ours": ours}


def compile_all(folder, programs="*"):
    flags = output("pkg-config", "--cflags", "--libs", "fuse3").split()
    for source in HERE.glob(f"{programs}.c"):
        libfuse = flags if "fuse_lowlevel.h" in source.read_text() else []
        command = ["cc", "-O2", "-w", "-o", folder / source.stem, source, *libfuse, "-pthread"]
        subprocess.run(command, check=True, timeout=120)


def compile_stand_in(name, library):
    """A libfuse3.so.3 of ours in the place of a real one."""
    flags = output("pkg-config", "--cflags", "fuse3").split()
    command = ["cc", "-O2", "-w", "-shared", "-fPIC", f"-Wl,-soname,{library.name}", "-o", library]
    subprocess.run([*command, HERE / f"stand_in/{name}.c", *flags], check=True, timeout=120)


@contextlib.contextmanager
def bench(rounds, seconds, programs="*"):
    """What the cases are given; its programs are gone afterwards."""
    harness.hear_signals()
    harness.adopt_orphans()
    if os.geteuid() == 0:
        harness.isolate()
    with tempfile.TemporaryDirectory(prefix="fusewire-bench-") as folder:
        compile_all(Path(folder), programs)
        yield Bench(Path(folder), rounds, seconds, libraries(), min(os.sched_getaffinity(0)))


def output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=ROOT)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def processors():
    text = Path("/proc/cpuinfo").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    kind = "virtual machine" if "hypervisor" in fields.get("flags", "").split() else "no hypervisor seen"
    return f"{fields.get('model name', platform.machine())}, {os.cpu_count()} processors, {kind}"


def first_line(*command):
    return output(*command).partition("\n")[0]


def machine():
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    sources = ("src", "so3", "build.rs", "Cargo.toml")
    commit = output("git", "log", "-1", "--format=%h", "--", *sources)
    changed = ", changed" if output("git", "status", "--porcelain", "--untracked-files=no", *sources) else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    rows = [
        ["date", datetime.datetime.now(datetime.timezone.utc).date().isoformat()],
        ["machine", f"{processors()}, {memory:.0f} GiB"],
        ["kernel", f"Linux {platform.release().split('-')[0]} {platform.machine()}"],
        ["this library", f"fusewire {version}" + (f" at {commit}{changed}" if commit else "")],
        ["system's libfuse", output("pkg-config", "--modversion", "fuse3") or "not installed"],
        ["compilers", f"{first_line('rustc', '--version')}; {first_line('cc', '--version')}"],
        ["C library", first_line("ldd", "--version")],
    ]
    return Table("", ["measured on", ""], rows)
