"""The same programs on the system's library and on ours: callbacks' arguments and reply bytes must be identical."""

import pathlib

import pytest
from harness import LIBDIR

from . import programs
from .compare import compare, load_deliberate, parse

DELIBERATE = load_deliberate(pathlib.Path(__file__).with_name("deliberate.toml"))


@pytest.mark.parametrize("program", programs.PROGRAMS)
@pytest.mark.parametrize("library", ["libfuse3.so.3", "libfuse3.so.4"])
def test_same_as_system(program, library, binaries, on_system, count):
    """so.3: one binary on both libraries. so.4: the same source, compiled against our headers."""
    system = on_system(program)
    binary = binaries(program, library.endswith("4"))
    out, status, errors = programs.run(binary, programs.environment(ours=True))
    ours = parse(out)
    wanted = (LIBDIR / library).resolve()
    assert pathlib.Path(ours.library).resolve() == wanted, f"loaded {ours.library!r} instead of ours"
    entries = [entry for entry in DELIBERATE if entry.concerns(program, library)]
    result = compare(system, ours, entries)
    if status != 0:
        pytest.fail(f"exit status {status}: {errors}\n\n{result.report()}", pytrace=False)
    if result.differing or result.stale:
        pytest.fail(result.report(), pytrace=False)
    assert result.compared == len(system.cases) == len(ours.cases) > 0
    count[library] += result.compared
    print(f"{program}: {result.compared} cases")


def test_deliberate_entries_name_something():
    for entry in DELIBERATE:
        unknown = set(entry.programs) - {*programs.PROGRAMS, "m_ops"}
        assert not unknown and entry.reason.strip(), f"deliberate.toml: {entry}"
