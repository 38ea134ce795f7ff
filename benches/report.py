"""What a case module hands back, and the page that is made of it: docs/performance.md with its plots."""

import dataclasses
import textwrap
from dataclasses import dataclass, field
from pathlib import Path


# What two medians of the same differ by from run to run: on par is what is no further away.
NOISE = 0.03


class Skipped(Exception):
    """Raised by a case that lacks what it needs; the text says what. The page names it."""


@dataclass
class Table:
    """The cells as they are to be read. `text` is what stands above: what the figures are, in which unit."""

    text: str
    header: list
    rows: list


@dataclass
class Bars:
    """A plot: a group of bars for each label, and in it one for each series (name -> one figure a label)."""

    name: str  # docs/performance/<name>.svg
    title: str
    axis: str  # what the figures are
    labels: list
    series: dict
    line: float | None = None  # a level to compare with: a goal, or the raw loop


@dataclass
class Goal:
    """A goal of the project. The page begins with all of them, and says itself which are missed."""

    what: str
    measured: float
    bar: float
    at_most: bool = True
    digits: int = 2

    @property
    def met(self):
        # The figure as it is shown is what counts.
        measured = round(self.measured, self.digits)
        return measured <= self.bar if self.at_most else measured >= self.bar


@dataclass
class Section:
    title: str
    text: str
    tables: list = field(default_factory=list)
    bars: list = field(default_factory=list)
    goals: list = field(default_factory=list)


def plain(section):
    """The section as what JSON can hold."""
    return dataclasses.asdict(section)


def section_of(kept):
    """The section that `plain` was given."""
    kinds = {"tables": Table, "bars": Bars, "goals": Goal}
    lists = {name: [kind(**one) for one in kept[name]] for name, kind in kinds.items()}
    return Section(kept["title"], kept["text"], **lists)


INTRODUCTION = """\
# Performance

Made by `make bench`: every figure on this page is measured, none is written by hand. It compares this library with the
system's libfuse and with *raw*, a bare read/writev loop on /dev/fuse that answers the same requests: the limit of what a
library can reach. The same binary runs on both libraries.

Machines differ, and so do minutes: read the ratios. Each is one of two medians of interleaved rounds, in which every way
has its turn; what surrounds it is there for the order of magnitude. Instructions are counted by callgrind and do not
depend on the machine's mood. *-s* is the single-threaded loop, *default* the multi-threaded one as a daemon gets it
without options. *Pinned* means daemon and load on one processor: no processor has to be woken, the figures are stable.
"""


def paragraph(text):
    return textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)


def markdown(table):
    lines = [*paragraph(table.text), ""] if table.text else []
    if not table.rows:
        return lines
    lines += ["| " + " | ".join(table.header) + " |", "|" + " --- |" * len(table.header)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in table.rows] + [""]


def row_of(goal):
    bar = f"{'at most' if goal.at_most else 'at least'} {goal.bar:.3g}"
    return [goal.what, bar, f"{goal.measured:.{goal.digits}f}", "yes" if goal.met else "**no**"]


GOAL_HEADER = ["goal", "", "measured", "met"]


def overview(sections):
    """How many goals are met, and which are missed."""
    with_goals = [section for section in sections if section.goals]
    missed = [goal for section in with_goals for goal in section.goals if not goal.met]
    every = sum(len(section.goals) for section in with_goals)
    counts = [
        [section.title, f"{sum(goal.met for goal in section.goals)} of {len(section.goals)}"] for section in with_goals
    ]
    text = (
        f"What the project aims at: {every - len(missed)} of {every} goals are met. They stand with the sections below. "
        f"Where the goal is not to be behind the system's library, {NOISE:.0%} are allowed for: so much two medians of the "
        "same may differ from run to run."
    )
    tables = [Table(text, ["section", "goals met"], counts)]
    if missed:
        tables.append(Table("Missed:", GOAL_HEADER[:3], [row_of(goal)[:3] for goal in missed]))
    return tables


def lines_of(section):
    lines = [f"## {section.title}", "", *paragraph(section.text), ""]
    for bars in section.bars:
        lines += [f"![{bars.title}](performance/{bars.name}.svg)", ""]
    goals = [Table("", GOAL_HEADER, [row_of(goal) for goal in section.goals])] if section.goals else []
    for table in section.tables + goals:
        lines += markdown(table)
    return lines


def text_of(section):
    """For the terminal: the tables, in columns."""
    lines = [f"\n{section.title}", section.text]
    for table in section.tables:
        cells = [[str(cell) for cell in row] for row in [table.header, *table.rows]]
        widths = [max(map(len, column)) for column in zip(*cells)]
        lines += ["", table.text] if table.text else [""]
        lines += ["  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths)).rstrip() for row in cells]
    for goal in section.goals:
        sign = "<=" if goal.at_most else ">="
        verdict = "met" if goal.met else "MISSED"
        lines.append(f"  goal {goal.what}: {goal.measured:.{goal.digits}f} {sign} {goal.bar:.3g}: {verdict}")
    return "\n".join(lines)


# By the first word of a series' name, a shade for each of its series.
SHADES = {
    "raw": ["#d9a441"],
    "system": ["#8c8c8c", "#bdbdbd", "#dddddd"],
    "ours": ["#1f5a94", "#5b9bd5", "#a9cdee"],
}


def colours(names):
    left = {word: list(shades) for word, shades in SHADES.items()}
    found = []
    for name in names:
        shades = left.get(name.split()[0])
        found.append(shades.pop(0) if shades else None)  # None: the next of matplotlib's own
    return found


def draw(bars, path):
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = bars.name  # the same figures give the same file
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text: a small file, and small diffs
    figure, axes = pyplot.subplots(figsize=(10, 4))
    width = 0.8 / len(bars.series)
    for number, (name, colour) in enumerate(zip(bars.series, colours(bars.series))):
        places = [i - 0.4 + width * (number + 0.5) for i in range(len(bars.labels))]
        drawn = axes.bar(places, bars.series[name], width, label=name, color=colour)
        axes.bar_label(drawn, fmt=lambda v: f"{v:,.0f}" if v >= 20 else f"{v:.2f}", fontsize=6, padding=1)
    if bars.line is not None:
        axes.axhline(bars.line, color="grey", linewidth=0.8)
    axes.set_xticks(range(len(bars.labels)), bars.labels)
    axes.set_ylabel(bars.axis)
    axes.set_title(bars.title, fontsize=10)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def write_page(folder, machine, sections):
    """docs/performance.md and docs/performance/*.svg in the folder `docs`."""
    plots = folder / "performance"
    plots.mkdir(exist_ok=True)
    wanted = [bars for section in sections for bars in section.bars]
    for bars in wanted:
        draw(bars, plots / f"{bars.name}.svg")
    for stale in set(plots.glob("*.svg")) - {plots / f"{bars.name}.svg" for bars in wanted}:
        stale.unlink()
    lines = [INTRODUCTION, *markdown(machine), "## Goals", ""]
    for table in overview(sections):
        lines += markdown(table)
    for section in sections:
        lines += lines_of(section)
    Path(folder, "performance.md").write_text("\n".join(lines).rstrip() + "\n")
