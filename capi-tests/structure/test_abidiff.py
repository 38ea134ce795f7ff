"""abidiff's verdict against the system's libfuse: on the symbols of the library, and on what a compiler makes of the
headers, down to the last member of each struct that a function takes.

The library itself is no help for the second: stripped as it is, it has names only."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from surface import INCLUDE, exported, library, listed, run

SYSTEM_HEADERS = Path("/usr/include/fuse3")
pytestmark = pytest.mark.skipif(shutil.which("abidiff") is None, reason="abidiff is not installed")

# What became different between 3.14 and 3.19, the version of our headers: where abidiff meets it first.
CHANGED = {
    "s_fuse_lowlevel_ops": "tmpfile, statx and syncfs at the end",
    "f_fuse_apply_conn_info_opts": "fuse_conn_info: members in what was reserved",
    "f_fuse_buf_copy": "fuse_buf: mem_size at the end",
    "f_fuse_reply_create": "fuse_file_info: parallel_direct_writes in the padding, backing_id and more at the end",
    "f_fuse_session_custom_io": "fuse_custom_io: clone_fd at the end",
    "f_fuse_lowlevel_notify_expire_entry": "3.13 to 3.15 had a fifth argument, flags",
}


def abidiff(theirs, ours):
    """What abidiff reports; bits 0 and 1 of its exit code are failures of its own."""
    command = ["abidiff", "--no-show-locs", theirs, ours]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=100)
    assert done.returncode & 3 == 0, done.stdout + done.stderr
    return done.stdout


def entries(report, mark):
    """The lines of a report that begin with [C] for changed, [A] for added, [D] for removed."""
    return re.findall(rf"^\s*\[{mark}\] (.*)$", report, re.M)


def symbols(report, mark):
    """The symbols of such lines, with those of the same address: `name@@version, aliases name@version, ...`."""
    return {symbol for line in entries(report, mark) for symbol in re.findall(r"\w+@@?[\w.]+", line)}


def test_symbols():
    """Nothing changed or added, and nothing removed but what the matrix says is not there."""
    path = library("3")
    installed = re.search(r"libfuse3\.so\.3 .*=> (\S+)", run("/sbin/ldconfig", "-p"))
    if not installed:
        pytest.skip("the system has no libfuse3.so.3")
    system = Path(installed[1])
    if exported(system) != listed("symbols-so3-3.14.0.txt"):
        pytest.skip("the system's libfuse3.so.3 has other symbols than 3.14.0")
    report = abidiff(system, path)
    assert entries(report, "C") == []
    assert symbols(report, "A") == exported(path) - exported(system)
    assert symbols(report, "D") == exported(system) - exported(path)


def preprocessed(folder, version):
    include = f"#define FUSE_USE_VERSION {version}\n#include <cuse_lowlevel.h>\n"
    return run("gcc", "-E", "-P", "-I", folder, "-x", "c", "-", input=include)


def names(text):
    """The functions, structs and enums that a preprocessed header declares."""
    found = {("f", name) for name in re.findall(r"^[a-z][\w *]*?\b([cf]use_\w+)\(", text, re.M)}
    found |= {("s", name) for name in re.findall(r"^struct (\w+) \{", text, re.M)}
    return found | {("e", name) for name in re.findall(r"^enum (\w+) \{", text, re.M)}


def compiled(folder, version, common, output):
    """A library of one variable per name: a pointer to the function or the struct, so that all its types are in the
    debug information."""
    forms = {"f": "__typeof__({0}) *f_{0};", "s": "struct {0} *s_{0};", "e": "enum {0} e_{0};"}
    variables = "\n".join(forms[kind].format(name) for kind, name in sorted(common))
    source = f"#define FUSE_USE_VERSION {version}\n#include <cuse_lowlevel.h>\n{variables}\n"
    run("gcc", "-g", "-w", "-shared", "-fPIC", "-I", folder, "-x", "c", "-", "-o", output, input=source)
    return output


@pytest.mark.parametrize("version", [30, 32, 35, 312])
def test_headers(version, tmp_path):
    if not (SYSTEM_HEADERS / "fuse_lowlevel.h").exists():
        pytest.skip("libfuse3-dev is not installed")
    if not run("pkg-config", "--modversion", "fuse3", env={"PATH": "/usr/bin"}).startswith("3.14."):
        pytest.skip("the list of what changed is for libfuse 3.14")
    folders = {"theirs": SYSTEM_HEADERS, "ours": INCLUDE / "fuse3"}
    common = set.intersection(*(names(preprocessed(folder, version)) for folder in folders.values()))
    assert len(common) > 80
    theirs, ours = (compiled(folder, version, common, tmp_path / f"{side}.so") for side, folder in folders.items())
    report = abidiff(theirs, ours)
    assert entries(report, "A") == entries(report, "D") == []
    changed = {re.search(r"\b([fse]_\w+)'", line)[1] for line in entries(report, "C")}
    assert changed == set(CHANGED), report
