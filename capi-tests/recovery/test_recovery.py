"""A daemon that is killed or replaced under eight processes at work: none of them sees an error, and nothing happened twice
or not at all. `make soak-recovery` does the same for longer.
"""

import pytest

from .killing import figures
from .soak import VARIANTS, build, killed, upgraded

KILLS = 20
# What no machine that does anything else takes: the figures are `make soak-recovery`'s.
BOUND_MS = 5000


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_killed(libs, guard, compiled, variant):
    program = build(compiled, libs["so4"], variant.lingers)
    outcome = killed(guard, libs["so4"], program, variant.options, KILLS // len(VARIANTS))
    print(outcome.line())
    assert outcome.is_well(), f"{outcome.line()}\n{outcome.details()}\n{guard.logs()}"
    assert outcome.kills == len(outcome.times) == KILLS // len(VARIANTS)


def test_upgraded(libs, guard, compiled):
    program = build(compiled, libs["so4"])
    outcome = upgraded(guard, libs["so4"], program, (), 3)
    print(f"stalls in ms: {outcome.times}")
    assert outcome.is_well(), f"{outcome.line()}\n{outcome.details()}\n{guard.logs()}"
    assert figures(outcome.times)[1] < BOUND_MS


def test_what_happens_twice_is_seen(libs, guard, compiled):
    """The same without the journal: the load notices."""
    program = build(compiled, libs["so4"], lingers=True, forgetful=True)
    outcome = killed(guard, libs["so4"], program, (), 12)
    assert outcome.found["doubled"] or outcome.found["lost"], outcome.line()
