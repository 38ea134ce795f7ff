"""The programs of this folder on so.4: each checks what it gets, and says what is not as it must be."""

import re
import subprocess
from pathlib import Path

import pytest
from harness import REPO

HERE = Path(__file__).parent
DIFFERENTIAL = REPO / "capi-tests" / "differential"
SHARED = [
    HERE / "expect.c",
    *(DIFFERENTIAL / f"{name}.c" for name in ("harness", "text", "answers", "record", "requests")),
]
FLAGS = ("-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", "-I", str(DIFFERENTIAL))


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("l_*.c")))
def test_program(name, libs, compiled):
    library = libs["so4"]
    program = compiled(library, HERE / f"{name}.c", *SHARED, flags=FLAGS)
    done = subprocess.run([program], env=library.env(), capture_output=True, text=True, timeout=60)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert re.search(r"^[1-9]\d* checks, 0 failed$", done.stdout, re.M)
    assert f"# library {library.file()}" in done.stdout


def test_portable(library, compiled):
    """One source with all libraries: their headers decide at compile time, dlsym where those are libfuse's."""
    program = compiled(library, HERE / "portable.c", *SHARED[1:], flags=FLAGS)
    done = subprocess.run([program], env=library.env(), capture_output=True, text=True, timeout=60)
    said = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    header = "fusewire's header" if library.headers else "libfuse's header"
    assert (done.returncode, said) == (0, [header, "present" if library.libdir else "absent"])
