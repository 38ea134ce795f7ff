#!/usr/bin/env python3
"""Finds out which functions of the library a daemon runs from its start to its first requests, and writes their names to
src/capi/first.ld: the linker puts them next to each other, in front of the rest.

The kernel maps 16 pages around each one that is touched. Functions in the order of the source are spread over the whole
text, so that an idle daemon would have nearly all of it in memory. A name that is not in the file, or no longer in the
library, costs nothing but some of that. usage: benches/order.py     (as root, after `cargo build --release`)
"""

import re
from pathlib import Path

import build
import counting
from context import ROOT

SCRIPT = ROOT / "src/capi/first.ld"
HEAD = """\
/* What a daemon runs from its start to its first requests, in front of the rest of the text. Made by benches/order.py. */
SECTIONS {
  .plt : { *(.plt) }
  .text : {
    *libc_nonshared.a:*(.text)
"""
# Valgrind knows neither fsopen(2) nor what else the mount begins with.
BESIDE = ["*fuse3*5mount5early*", "*fuse3*5mount6kernel*"]
TAIL = """\
  }
} INSERT AFTER .init;
"""


def functions(profile):
    """The names of the library's functions, as the linker knows them, that a callgrind profile has."""
    names, objects, inside, found = {}, {}, False, set()
    for line in profile.read_text().splitlines():
        if not (match := re.match(r"(c?)(ob|fn)=(\(\d+\))(?: (.*))?", line)):
            continue
        called, kind, number, name = match.groups()
        known = objects if kind == "ob" else names
        if name:
            known[number] = name
        if called:
            continue
        if kind == "ob":
            inside = "libfuse3" in objects[number]
        elif inside:
            found.add(names[number])
    return found


def pattern(name):
    """The name without what differs between the two libraries, and from build to build: hashes, the crate's name and the
    lengths of what that is a part of."""
    name = re.sub(r"'\d+$|@.*$", "", name)  # recursion, symbol version
    if name.startswith("fuse_"):
        return name + "*"  # and the functions of its older versions
    name = re.sub(r"\.\d+$", "*", name)
    name = re.sub(r"17h[0-9a-f]{16}E.*$", "17h*", name)
    name = re.sub(r"\d+fuse3(_so3)?(?=\d)", "*fuse3*", name)
    name = re.sub(r"\d+(_?\$[\w.$]*?)fuse3_so3", r"*\1fuse3*", name)
    name = re.sub(r"\d+([a-z_]+\$[\w.$]*?)fuse3_so3", r"*\1fuse3*", name).replace("fuse3_so3", "fuse3*")
    return re.sub(r"Cs[0-9A-Za-z]+_(?=\d)", "C*", name)


def profiled(bench, options):
    """The functions that the daemon runs before it unmounts."""
    profile = bench.programs / "profile"
    valgrind = ["valgrind", "--tool=callgrind", "--demangle=no", "--dump-before=fuse_session_unmount"]
    command = [*valgrind, f"--callgrind-out-file={profile}", bench.program("bench_ll"), "-f", *options, "{}"]
    with bench.mounted(command, "ours") as mount:
        for case in ("stat", "lookup", "read4k", "write4k", "readdir"):
            bench.load(mount, case, requests=1)
        bench.load(mount, "stat", clients=16, requests=10)
    return functions(Path(f"{profile}.1"))


def main():
    counting.needs("valgrind")
    with build.bench(1, 1, "[bl]*") as bench:
        # Several times: some are only run when threads happen to meet.
        found = set().union(*(profiled(bench, options) for options in 4 * ([], ["-s"])))
    names = {pattern(name) for name in found if not name.startswith("0x")}
    SCRIPT.write_text(HEAD + "".join(f"    *(.text*.{one})\n" for one in sorted(names.union(BESIDE))) + TAIL)
    print(f"{SCRIPT}: {len(names)} functions")


if __name__ == "__main__":
    main()
