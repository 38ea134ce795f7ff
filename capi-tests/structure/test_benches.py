"""The benchmarks run, and what they say of instructions is what was counted. Their figures are nobody's business here."""

import json
import os
import subprocess
import sys

import pytest
from harness import LIBDIR, REPO

sys.path.append(str(REPO / "benches"))
import instructions  # noqa: E402
import report  # noqa: E402


@pytest.mark.parametrize(
    ("recorded", "counted", "wrong"),
    [
        ({"stat": 200}, {"stat": 206}, []),
        ({"stat": 200}, {"stat": 194}, []),
        ({"stat": 200}, {"stat": 207}, ["stat: 200 -> 207"]),
        ({"stat": 200}, {"stat": 193}, ["stat: 200 -> 193"]),
        ({"stat": 200}, {"stat": 200, "new": 5}, ["new: 5"]),
        ({"stat": 200, "old": 5}, {"stat": 200}, ["old: not a case"]),
    ],
)
def test_counts_are_compared_in_both_directions(recorded, counted, wrong):
    lines = instructions.compare({"instructions": recorded}, counted)
    assert len(lines) == len(wrong) and all(line.startswith(start) for line, start in zip(lines, wrong)), lines


def test_a_goal_is_met_by_the_figure_that_is_shown():
    assert report.Goal("", 1.204, 1.2).met and not report.Goal("", 1.206, 1.2).met
    assert report.Goal("", 0.966, 0.97, at_most=False).met and not report.Goal("", 0.964, 0.97, at_most=False).met


def test_a_case_runs_through_the_kernel(guard):
    """Every way of one case for an instant: programs, mounts and the page's data are what the runner expects."""
    env = os.environ | {"FUSEWIRE_LIBDIR": str(LIBDIR), "CARGO_TARGET_DIR": str(guard.work)}
    command = [sys.executable, REPO / "benches/run.py", "--only", "kernel", "--rounds", "1", "--seconds", "0.05"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (section,) = json.loads((guard.work / "bench/kernel.json").read_text())
    section = report.section_of(section)
    assert len(section.tables[0].rows) == 9 and all(goal.measured > 0 for goal in section.goals)
