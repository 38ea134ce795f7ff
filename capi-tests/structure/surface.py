"""What the libraries, the lists and the source say of the C surface."""

import csv
import re
import subprocess

from harness import LIBDIR, REPO

ABI = REPO / "capi-tests" / "abi"
INCLUDE = REPO / "include"
SYMBOLS = {"3": "symbols-so3-3.14.0.txt", "4": "symbols-so4-3.19.txt"}
LAYOUTS = {"3": "layout-so3-3.14.0.csv", "4": "layout-so4-3.19.csv"}
HEADERS = sorted(path.name for path in (INCLUDE / "fuse3").glob("*.h"))


def run(*command, timeout=200, **options):
    """Runs a command; a failure shows what it printed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def library(so):
    path = LIBDIR / f"libfuse3.so.{so}"
    assert path.exists(), f"{path} is missing: cargo build --release, or set FUSEWIRE_LIBDIR"
    return path


def exported(path):
    """The dynamic symbols that a library defines, as name@@version or name@version; a bare name has no version."""
    symbols = set()
    for line in run("readelf", "-W", "--dyn-syms", path).splitlines():
        columns = line.split()
        if len(columns) >= 8 and columns[0].rstrip(":").isdigit() and columns[6] not in ("UND", "ABS"):
            if columns[4] in ("GLOBAL", "WEAK"):
                symbols.add(columns[7])
    return symbols


def listed(name):
    """The symbols of a list in capi-tests/abi."""
    return {line for line in (ABI / name).read_text().split("\n") if line and not line.startswith("#")}


def wanted(so):
    """What a library may export: what libfuse's does, and our own."""
    return listed(SYMBOLS[so]) | listed("symbols-fusewire.txt")


SYMVER = re.compile(r'symver!\(\s*(\w+)(?:\s+as\s+(\w+)\s*(@@?))?\s*,?\s*"([^"]+)"\s*,?\s*\)')


def in_source():
    """The pairs of name and version that the source gives a symver! line."""
    pairs = set()
    for path in (REPO / "src" / "capi").rglob("*.rs"):
        code = re.sub(r"//[^\n]*", "", path.read_text())
        pairs |= {(alias or function, version) for function, alias, _, version in SYMVER.findall(code)}
    return pairs


def name_and_version(symbol):
    name, _, version = symbol.partition("@")
    return name, version.lstrip("@")


def layout(so):
    """The lines of a layout table: struct, size, field, offset, first bit, number of bits (or None, None)."""
    lines = [line for line in (ABI / LAYOUTS[so]).read_text().splitlines() if not line.startswith("#")]
    for name, size, field, offset, bit, width in csv.reader(lines):
        yield name, int(size), field, int(offset), int(bit) if bit else None, int(width) if width else None
