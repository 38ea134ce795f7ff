#!/usr/bin/env python3
"""`make soak-recovery`: the load, and a daemon that is killed KILLS times, then replaced by a new version under it.

The last line says how that went.
"""

import os
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness import LIBDIR, Guard, adopt_orphans, hear_signals, isolate, libraries, wait_until

from .killing import SOURCES, STRICT, Kept, Prober, figures, served_again, stall
from .running import Load, compare
from .tally import KINDS, PATIENCE

LINGERING = Path(__file__).parent / "lingering.c"
WRAPPED = ("fuse_req_journal", "fuse_reply_err", "fuse_reply_entry", "fuse_reply_create")
FORGETFUL = ("fuse_session_set_recoverable", "fuse_req_journaled")


@dataclass(frozen=True)
class Variant:
    name: str
    options: tuple = ()
    lingers: bool = False  # so that most kills meet requests that are half done


VARIANTS = (
    Variant("threads"),
    Variant("lingering, clone_fd", ("-o", "clone_fd"), lingers=True),
    Variant("lingering, passthrough", ("-o", "passthrough"), lingers=True),
    Variant("clone_fd, passthrough", ("-o", "clone_fd,passthrough")),
)


def build(compiled, library, lingers=False, forgetful=False):
    """The example; compiled() is the fixture of that name, or does the same."""
    if not lingers:
        return compiled(library, *SOURCES, flags=STRICT)
    wrapped = WRAPPED + FORGETFUL * forgetful
    flags = (*STRICT, *(f"-Wl,--wrap={name}" for name in wrapped), *("-DFORGETFUL",) * forgetful)
    return compiled(library, *SOURCES, LINGERING, flags=flags)


@dataclass
class Outcome:
    kills: int = 0
    found: dict = field(default_factory=lambda: {kind: [] for kind in KINDS})
    times: list = field(default_factory=list)  # in ms
    done: int = 0

    def add(self, other):
        self.kills += other.kills
        self.done += other.done
        self.times += other.times
        for kind in KINDS:
            self.found[kind] += other.found[kind]

    def is_well(self):
        return not any(self.found.values())

    def line(self):
        e, h, l, d = (len(self.found[kind]) for kind in KINDS)
        median, worst = figures(self.times)
        return (
            f"kills {self.kills}, application errors {e}, hangs {h}, lost {l}, doubled {d}, "
            f"median restart {median:.0f} ms, worst {worst:.0f} ms"
        )

    def details(self):
        return "\n".join(f"{kind}: {line[:600]}" for kind in KINDS for line in self.found[kind][:8])


def disturbed(guard, library, program, options, disturb, seed=1):
    """The load on the example, while DISTURB(kept, prober, outcome) does its work. The outcome, and the probes."""
    source, unlinked, outcome = guard.folder("source"), guard.folder("unlinked"), Outcome()
    Load.prepare(source)
    kept = Kept(guard, library, program, source, unlinked, *options)
    prober, load = Prober(guard.mountpoint), Load(guard.mountpoint, seed)
    try:
        disturb(kept, prober, outcome)
    except AssertionError as error:
        outcome.found["hangs"].append(f"{error}")
    if hung := load.hung():
        outcome.found["hangs"] += hung
    if not outcome.is_well():
        guard.break_mounts()
    results, found, outcome.done = load.finish(guard.break_mounts)
    probes, errors = prober.finish()
    outcome.found["errors"] += errors
    for kind in KINDS:
        outcome.found[kind] += found[kind]
    code = kept.keeper.stop() if outcome.is_well() else 0
    if code != 0:
        outcome.found["errors"].append(f"the keeper ended with {code}")
    compare(source, results, outcome.found)
    if outcome.is_well():
        outcome.found["errors"] += [f"{name} is kept, and nobody has it open" for name in os.listdir(unlinked)]
    return outcome, probes


def killed(guard, library, program, options, kills, seed=1):
    """The load, and the daemon killed at random moments, at times before it has served again."""
    dice, moments = random.Random(seed), []

    def disturb(kept, prober, outcome):
        while len(moments) < kills:
            time.sleep(dice.uniform(0.01, 0.4))
            moments.append(kept.kill())
            if dice.random() < 0.2 and len(moments) < kills:
                # The successor, too, while it starts.
                time.sleep(dice.uniform(0, 0.02))
                moments.append(kept.kill())
            wait_until(lambda: prober.served_since(moments[-1]), "an answer after a kill", PATIENCE)
        time.sleep(0.2)

    outcome, probes = disturbed(guard, library, program, options, disturb, seed)
    outcome.kills, outcome.times = len(moments), served_again(probes, moments)
    return outcome


def upgraded(guard, library, program, options, times, seed=1):
    """The load, and the daemon replaced by another build of it; the outcome, whose times are the longest stalls."""
    moments, running = [], guard.work / "recoverable"
    Path(running).write_bytes(Path(program).read_bytes())
    running.chmod(0o755)

    def disturb(kept, prober, outcome):
        for _ in range(times):
            time.sleep(0.3)
            before, new = kept.pid(), guard.work / "new"
            new.write_bytes(Path(program).read_bytes())
            new.chmod(0o755)
            new.rename(running)
            moments.append(kept.upgrade())
            wait_until(lambda: kept.pid() not in (0, before), "a successor", PATIENCE)
            now = time.monotonic()
            wait_until(lambda: prober.served_since(now), "an answer after an upgrade", PATIENCE)
            assert os.path.samefile(f"/proc/{kept.pid()}/exe", running), "the old program still runs"
        time.sleep(0.2)

    outcome, probes = disturbed(guard, library, running, options, disturb, seed)
    outcome.times = [stall(probes, moment, until) for moment, until in zip(moments, [*moments[1:], float("inf")])]
    return outcome


def guarded(function, *args, **more):
    guard = Guard()
    try:
        outcome = function(guard, *args, **more)
        if not outcome.is_well():
            print(outcome.details(), guard.logs(), sep="\n")
        return outcome
    finally:
        guard.close()


def main():
    kills = int(os.environ.get("KILLS", "200"))
    hear_signals()
    adopt_orphans()
    isolate()
    library, programs, everything = libraries(LIBDIR)["so4"], Guard(), Outcome()

    def compiled(library, *sources, flags):
        output = programs.work / f"recoverable{len(os.listdir(programs.work))}"
        return library.compile(output, sources, *flags)

    try:
        builds = {lingers: build(compiled, library, lingers) for lingers in (False, True)}
        for number, variant in enumerate(VARIANTS):
            share = kills // len(VARIANTS) + (number < kills % len(VARIANTS))
            if share:
                outcome = guarded(killed, library, builds[variant.lingers], variant.options, share, seed=number + 1)
                print(f"{variant.name}: {outcome.done} operations, {outcome.line()}", flush=True)
                everything.add(outcome)
        upgrade = guarded(upgraded, library, builds[False], (), 10)
        print(f"10 upgrades: {upgrade.line().split(', ', 1)[1].replace('restart', 'stall')}", flush=True)
        for kind in KINDS:
            everything.found[kind] += upgrade.found[kind]
    finally:
        programs.close()
    print(everything.line(), flush=True)
    return 0 if everything.is_well() else 1


if __name__ == "__main__":
    sys.exit(main())
