"""The daemon that says what the kernel tells it, see telling.py."""

import os
import subprocess

import pytest
from harness import Guard
from telling import FLAGS, SOURCES


@pytest.fixture
def told(libs, guard, compiled, unanswered):
    """told(option, ...): the daemon on the mountpoint; lines(daemon) is what it said."""
    assert unanswered

    def start(*arguments, library=libs["so4"], **values):
        program = compiled(library, *SOURCES, flags=FLAGS)
        given = [f"--{name.replace('_', '-')}={value:x}" for name, value in values.items()]
        options = ["-f", "-o", "allow_other", *given, *arguments]
        return guard.daemon(library, [program, *options, guard.mountpoint])

    return start


@pytest.fixture(scope="session")
def unanswered(libs, compiled):
    """A request that the daemon leaves unanswered. The kernel takes its time with that: it begins with the first test
    that has such a daemon, and the one that looks at the outcome comes later."""
    if os.geteuid() != 0:
        pytest.skip("mounts as root: run as root")
    guard = Guard()
    program = compiled(libs["so4"], *SOURCES, flags=FLAGS)
    daemon = guard.daemon(libs["so4"], [program, "-f", "--timeout=1", guard.mountpoint])
    asking = subprocess.Popen(["stat", guard.mountpoint / "stuck"], stderr=subprocess.DEVNULL)
    yield daemon, asking
    guard.break_mounts()
    asking.wait(10)
    guard.close()
