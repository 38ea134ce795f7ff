"""The libraries as built: sonames, symbols and versions, nothing else exported, nothing left unresolved."""

import re

import pytest
from surface import REPO, exported, in_source, library, name_and_version, run, wanted

SONAMES = pytest.mark.parametrize("so", ["3", "4"])


@SONAMES
def test_soname(so):
    dynamic = run("readelf", "-W", "-d", library(so))
    assert re.search(r"\(SONAME\).*\[(.*)\]", dynamic)[1] == f"libfuse3.so.{so}"


@SONAMES
def test_no_stray_export(so):
    assert sorted(exported(library(so)) - wanted(so)) == []


@SONAMES
def test_what_the_source_has_is_exported(so):
    """With exactly the version, default or not, that libfuse's library of that soname gives it."""
    written = in_source()
    assert written, "no symver! line found"
    expected = {symbol for symbol in wanted(so) if name_and_version(symbol) in written}
    assert sorted(expected - exported(library(so))) == []


def test_the_source_has_no_other_version():
    known = {name_and_version(symbol) for so in "34" for symbol in wanted(so)}
    assert sorted(in_source() - known) == []


@SONAMES
def test_everything_resolves(so):
    report = run("ldd", "-r", library(so))
    assert "undefined symbol" not in report and "not found" not in report, report


@SONAMES
def test_few_dependencies(so):
    """What every system has; nothing of Rust's own, and no libfuse."""
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-W", "-d", library(so))))
    assert needed <= {"libc.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "ld-linux-x86-64.so.2"}, needed


@SONAMES
def test_hardened(so):
    segments = run("readelf", "-W", "-l", "-d", library(so))
    assert "GNU_RELRO" in segments and "BIND_NOW" in segments and "TEXTREL" not in segments
    assert "RWE" not in segments, "a segment is writable and executable"


def test_matrix_says_what_is_exported():
    """docs/compatibility.md claims no symbol that is not there, and hides none that is."""
    rows = re.findall(r"^\| (\w+) \| (FUSE\S+) \| [^|]* \| ([^|]*) \| ([^|]*) \|", (REPO / "docs/compatibility.md").read_text(), re.M)
    for column, so in ((2, "3"), (3, "4")):
        claimed = {f"{row[0]}{row[column][4:]}{row[1]}" for row in rows if row[column].startswith("yes ")}
        assert claimed == exported(library(so))
