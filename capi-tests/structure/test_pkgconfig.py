"""fuse3.pc as the build leaves it: programs compile and link against the library in place, shared and static."""

import os
import subprocess

import pytest
from surface import LIBDIR, REPO, run

PROGRAM = """
#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>
#include <fuse3/fuse_log.h>
#ifndef FUSEWIRE_VERSION
#error not our headers
#endif
int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        fuse_log(FUSE_LOG_INFO, "%d %d %s\\n", FUSE_VERSION, fuse_version(), fuse_pkgversion());
        return 0;
    }
    fuse_log(FUSE_LOG_INFO, "%s %d %.1f\\n", "linked", 7, 0.5);
    return 0;
}
"""


def pkg_config(*arguments):
    environment = {**os.environ, "PKG_CONFIG_PATH": str(LIBDIR / "pkgconfig")}
    return run("pkg-config", *arguments, "fuse3", env=environment).split()


def build(folder, *flags):
    source, program = folder / "program.c", folder / "program"
    source.write_text(PROGRAM)
    run("cc", "-Wall", "-Werror", source, *flags, "-o", program)
    return program


def output(program, **environment):
    done = subprocess.run(program, env={**os.environ, **environment}, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_version():
    assert pkg_config("--modversion") == ["3.19.0"]
    assert not any("@" in line for line in (LIBDIR / "pkgconfig" / "fuse3.pc").read_text().splitlines())


def test_the_template_has_what_the_build_fills_in():
    text = (REPO / "pkgconfig" / "fuse3.pc.in").read_text()
    assert all(f"@{name}@" in text for name in ("prefix", "libdir", "includedir"))


@pytest.mark.parametrize("so", ["3", "4"])
def test_shared(so, tmp_path):
    """A new link takes so.4. With so.3 the same program runs too, since every symbol it uses is in both."""
    program = build(tmp_path, *pkg_config("--cflags", "--libs"))
    needed = run("readelf", "-d", program)
    assert "libfuse3.so.4" in needed
    folder = LIBDIR
    if so == "3":
        folder = tmp_path / "so3"
        folder.mkdir()
        (folder / "libfuse3.so.4").symlink_to(LIBDIR / "libfuse3.so.3")
    assert output(program, LD_LIBRARY_PATH=str(folder)) == "linked 7 0.5\n"


def test_versions_agree(tmp_path):
    """Headers, library and fuse3.pc; so.3 is the library of 3.14."""
    program = build(tmp_path, *pkg_config("--cflags", "--libs"))
    assert output([program, "versions"], LD_LIBRARY_PATH=str(LIBDIR)) == "319 319 3.19.0\n"
    (tmp_path / "libfuse3.so.4").symlink_to(LIBDIR / "libfuse3.so.3")
    assert output([program, "versions"], LD_LIBRARY_PATH=str(tmp_path)) == "319 314 3.14.0\n"


def test_static(tmp_path):
    program = build(tmp_path, "-static", *pkg_config("--static", "--cflags", "--libs"))
    assert "NEEDED" not in run("readelf", "-d", program)
    assert output(program) == "linked 7 0.5\n"


def test_static_library_in_a_dynamic_program(tmp_path):
    flags = pkg_config("--static", "--cflags", "--libs")
    program = build(tmp_path, *("-l:libfuse3.a" if flag == "-lfuse3" else flag for flag in flags))
    assert "libfuse3" not in run("readelf", "-d", program)
    assert output(program) == "linked 7 0.5\n"
