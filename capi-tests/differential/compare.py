"""Transcripts and what may differ between two of them."""

import difflib
import fnmatch
import re
import tomllib
from dataclasses import dataclass, field


class BadTranscript(Exception):
    """A program's output that is no transcript; the message says where."""


@dataclass
class Transcript:
    library: str
    cases: dict[str, list[str]]


def parse(text: str) -> Transcript:
    """Reads "<case> | <event>" lines. What the library itself printed belongs to the case it was printed in."""
    library, cases, current = "", {}, None
    for line in text.splitlines():
        name, bar, event = line.partition(" | ")
        if line.startswith("# library "):
            library = line.removeprefix("# library ").strip()
        elif bar and event == "begin":
            if name in cases:
                raise BadTranscript(f"case {name!r} is there twice")
            current = cases[name] = []
        elif current is None:
            raise BadTranscript(f"before the first case: {line!r}")
        else:
            current.append(event if bar else line)
    return Transcript(library, cases)


@dataclass
class Deliberate:
    """A listed difference: in these cases `search` in the system's lines is `replace` in ours."""

    programs: list[str]
    libraries: list[str]
    cases: list[str]  # shell patterns
    search: str
    replace: str
    reason: str
    used: bool = field(default=False, compare=False)

    def concerns(self, program: str, library: str) -> bool:
        return program in self.programs and library in self.libraries

    def names(self, case: str) -> bool:
        return any(fnmatch.fnmatchcase(case, pattern) for pattern in self.cases)

    def rewrite(self, case: str, text: str) -> str:
        if not self.names(case):
            return text
        changed = re.sub(self.search, self.replace, text, flags=re.MULTILINE)
        self.used = self.used or changed != text
        return changed


def load_deliberate(path) -> list[Deliberate]:
    entries = tomllib.loads(path.read_text()).get("difference", [])
    return [Deliberate(**entry) for entry in entries]


@dataclass
class Result:
    compared: int
    differing: dict[str, str]  # case -> readable difference
    stale: list[Deliberate]

    def report(self, shown: int = 12) -> str:
        parts = [f"{len(self.differing)} of {self.compared} cases differ"] if self.differing else []
        parts += [f"[{case}]\n{diff}" for case, diff in list(self.differing.items())[:shown]]
        if len(self.differing) > shown:
            parts.append("also: " + ", ".join(list(self.differing)[shown : shown + 20]))
        for entry in self.stale:
            parts.append(f"no longer differs, remove from the list: {entry.cases} {entry.search!r} ({entry.reason})")
        return "\n\n".join(parts)


def compare(system: Transcript, ours: Transcript, deliberate: list[Deliberate]) -> Result:
    for entry in deliberate:
        entry.used = False
    differing = {}
    names = list(dict.fromkeys([*system.cases, *ours.cases]))
    for name in names:
        if name not in ours.cases or name not in system.cases:
            differing[name] = f"only {'the system' if name in system.cases else 'our library'} got here"
            continue
        expected = "\n".join(system.cases[name])
        for entry in deliberate:
            expected = entry.rewrite(name, expected)
        if expected != (got := "\n".join(ours.cases[name])):
            differing[name] = describe(expected, got)
    return Result(len(names), differing, [e for e in deliberate if not e.used])


def describe(expected: str, got: str) -> str:
    before, after, lines = expected.split("\n"), got.split("\n"), []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        if tag == "replace" and b - a == d - c:
            for old, new in zip(before[a:b], after[c:d]):
                lines += narrowed(old, new)
        else:
            lines += [f"  system: {line[:400]}" for line in before[a:b]]
            lines += [f"  ours:   {line[:400]}" for line in after[c:d]]
    return "\n".join(lines)


def narrowed(old: str, new: str, context: int = 60, longest: int = 300) -> list[str]:
    """A long line around its first difference, with its start to tell what it is."""
    same = next((i for i, (x, y) in enumerate(zip(old, new)) if x != y), min(len(old), len(new)))
    cut = max(0, same - context)
    start = f"{old[:40]} ... " if cut > 40 else old[:cut]
    return [f"  {who} {start}{text[cut:cut + longest]}" for who, text in (("system:", old), ("ours:  ", new))]
