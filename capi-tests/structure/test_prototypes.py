"""Types of functions, struct members and constants, as a C++ compiler sees them in our headers and in the system's.

The system's libfuse3-dev is a peer of another version: what differs on purpose is listed with its reason."""

import json
import re
from pathlib import Path

import pytest
from surface import INCLUDE, layout, run

SYSTEM = Path("/usr/include/fuse3")

# What differs from 3.14, which Debian 12 has; 3.19 has it as ours does.
DIFFERENT = {
    "fuse_lowlevel_notify_expire_entry": "3.13 to 3.15 had a fifth argument, flags",
    "fuse_session_fd": "takes a const session since 3.17",
    "fuse_remove_signal_handlers": "takes a const session since 3.17",
    "fuse_apply_conn_info_opts": "takes const options since 3.17",
    "fuse_loop_cfg_convert": "takes a const old configuration since 3.17",
    "FUSE_MINOR_VERSION": "the version",
    "FUSE_HOTFIX_VERSION": "the version",
    "FUSE_VERSION": "the version",
}

PROGRAM = """
#define FUSE_USE_VERSION {version}
#include <cuse_lowlevel.h>
#include <cstdio>
template <class T> const char *type() {{ return __PRETTY_FUNCTION__; }}
#define TYPE(what) std::printf("  \\"%s\\": \\"%s\\",\\n", #what, type<decltype(what)>())
#define VALUE(what) std::printf("  \\"%s\\": \\"%lld\\",\\n", #what, (long long)(what))
int main() {{
    std::puts("{{");
{lines}
    std::puts("  \\"\\": \\"\\" }}");
}}
"""


def preprocessed(folder, version, *flags):
    """What a program for an API version sees of a folder's headers."""
    include = f"#define FUSE_USE_VERSION {version}\n#include <cuse_lowlevel.h>\n"
    return run("g++", "-std=c++17", "-E", "-P", *flags, "-I", folder, "-x", "c++", "-", input=include)


def described(folder, version, lines, where):
    source = where / f"{folder.parent.name}.cc"
    source.write_text(PROGRAM.format(version=version, lines="\n".join(lines)))
    # decltype names functions without using them: no library is needed.
    run("g++", "-std=c++17", "-w", "-I", folder, source, "-o", source.with_suffix(""))
    return json.loads(run(source.with_suffix("")))


@pytest.mark.parametrize("version", [30, 32, 35, 312])
def test_as_the_systems_headers(version, tmp_path):
    if not (SYSTEM / "fuse_lowlevel.h").exists():
        pytest.skip("libfuse3-dev is not installed")
    ours, theirs = (preprocessed(folder, version) for folder in (INCLUDE / "fuse3", SYSTEM))
    defines = [preprocessed(folder, version, "-dM") for folder in (INCLUDE / "fuse3", SYSTEM)]
    macros = set(re.findall(r"#define (\w+)\(", "".join(defines)))
    words = set(re.findall(r"\w+", theirs)) - macros
    functions = set(re.findall(r"^[a-z][\w *]*?\b([cf]use_\w+)\(", ours, re.M)) & words
    values = [set(re.findall(r"#define (C?FUSE_\w+) \(?-?\d", text)) for text in defines]
    enumerators = set(re.findall(r"\b(FUSE_[A-Z_0-9]+) =", ours)) & words
    constants = (values[0] & values[1]) | enumerators
    fields = {(name, field) for name, _, field, _, bit, _ in layout("3") if bit is None and field != "reserved"}
    fields &= {(name, field) for name, _, field, _, bit, _ in layout("4") if bit is None and f"struct {name} {{" in ours}
    if version < 312:
        fields = {(name, field) for name, field in fields if name != "fuse_loop_config_v1"}
    lines = [f"    TYPE({name});" for name in sorted(functions)]
    lines += [f"    TYPE({name}::{field});" for name, field in sorted(fields)]
    lines += [f"    VALUE({name});" for name in sorted(constants)]
    assert len(fields) > 80 and len(constants) > 60
    system, mine = described(SYSTEM, version, lines, tmp_path), described(INCLUDE / "fuse3", version, lines, tmp_path)
    unequal = {name: (system[name], mine[name]) for name in system if system[name] != mine[name]}
    assert {name: types for name, types in unequal.items() if name not in DIFFERENT} == {}
    if "3.14" in run("pkg-config", "--modversion", "fuse3", env={"PATH": "/usr/bin"}):
        assert {name for name in DIFFERENT if name in system} - set(unequal) == set(), "no longer different"
