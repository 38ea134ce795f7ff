"""Once per session: binaries, the system's transcripts and the count of what was compared."""

import collections
import functools

import pytest
from harness import LIBDIR

from . import programs
from .compare import parse

compared: collections.Counter[str] = collections.Counter()


@pytest.fixture(scope="session")
def binaries(tmp_path_factory):
    """binaries(program, our_headers): the program's path, compiled on first use."""
    folder = tmp_path_factory.mktemp("differential")

    @functools.cache
    def binary(name, our_headers=False, extra=()):
        return programs.build(name, folder, our_headers, extra)

    return binary


@pytest.fixture(scope="session")
def on_system(binaries):
    """on_system(program): its transcript on the system's library."""

    @functools.cache
    def transcript(name):
        out, status, errors = programs.run(binaries(name), programs.environment(ours=False))
        assert status == 0, f"{name} failed on the system's own library ({status}): {errors}"
        found = parse(out)
        assert not found.library.startswith(str(LIBDIR)), "the system's run loaded our library"
        assert found.cases, f"{name} has no cases"
        return found

    return transcript


@pytest.fixture(scope="session")
def count():
    return compared


def pytest_terminal_summary(terminalreporter):
    for name, cases in sorted(compared.items()):
        terminalreporter.write_line(f"differential {name}: {cases} cases compared")
