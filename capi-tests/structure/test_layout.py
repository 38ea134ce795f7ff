"""Struct layouts, seen by a C program that is compiled against our headers, against the table measured from libfuse's.
The Rust side has the same test in src/abi/c/layout.rs."""

import re

import pytest
from surface import INCLUDE, layout, run

# Structs of headers that are not written yet. A struct that is there must leave this list.
NOT_DECLARED = {
    "fuse_context": "fuse.h",
    "fuse_config": "fuse.h",
    "fuse_operations": "fuse.h",
}


def declared():
    text = "".join(path.read_text() for path in (INCLUDE / "fuse3").glob("*.h"))
    return set(re.findall(r"^struct (\w+) \{", text, re.M))


def test_every_struct_is_compared_or_on_the_list():
    in_table = {line[0] for line in layout("4")}
    assert in_table - declared() == set(NOT_DECLARED)
    # The last is our own, and says its size itself.
    without = {"fuse_loop_config", "libfuse_version", "fuse_resend_ops"}
    assert declared() - in_table - without == set(), "structs without a table"


def probe(name, field, offset, bit, width):
    """C statements that find where a bit-field is by setting all its bits."""
    return f"""
    {{ struct {name} probe; memset(&probe, 0, sizeof(probe)); probe.{field} = ~0u;
       unsigned char want[sizeof(probe)] = {{0}}; uint32_t mask = {width} == 32 ? ~0u : ((1u << {width}) - 1) << {bit};
       memcpy(want + {offset}, &mask, 4);
       if (memcmp(want, &probe, sizeof(probe))) {{ puts("{name}.{field}"); bad++; }} }}"""


@pytest.mark.parametrize("compiler", [("gcc", "-std=gnu17"), ("clang", "-std=gnu17"), ("g++", "-std=c++17")], ids=lambda c: c[0])
@pytest.mark.parametrize("version", [312, 319])
def test_layout(compiler, version, tmp_path):
    asserts, probes = set(), []
    for name, size, field, offset, bit, width in layout("4"):
        if name in NOT_DECLARED:
            continue
        asserts.add(f'static_assert(sizeof(struct {name}) == {size}, "size of {name}");')
        if bit is None:
            asserts.add(f'static_assert(offsetof(struct {name}, {field}) == {offset}, "{name}.{field}");')
        else:
            probes.append(probe(name, field, offset, bit, width))
    assert len(asserts) > 100 and len(probes) == 15
    source = tmp_path / "layout.c"
    source.write_text(
        f"#define FUSE_USE_VERSION {version}\n#include <cuse_lowlevel.h>\n#include <stdio.h>\n#include <string.h>\n"
        + "\n".join(sorted(asserts))
        + "\nint main(void) { int bad = 0;"
        + "".join(probes)
        + "\n return bad; }\n"
    )
    command = [*compiler, "-x", "c++" if "++" in compiler[0] else "c", "-I", INCLUDE / "fuse3"]
    run(*command, source, "-o", tmp_path / "layout")
    run(tmp_path / "layout")


def test_libfuse_version(tmp_path):
    """It has no line in the table: four 32-bit numbers."""
    source = tmp_path / "version.c"
    source.write_text(
        "#define FUSE_USE_VERSION 317\n#include <fuse_lowlevel.h>\n"
        '_Static_assert(sizeof(struct libfuse_version) == 16 && offsetof(struct libfuse_version, hotfix) == 8, "");\n'
    )
    run("gcc", "-fsyntax-only", "-I", INCLUDE / "fuse3", source)
