#!/usr/bin/env python3
"""Draws the samples of a soak: plot.py SAMPLES.csv PLOT.svg"""

import csv
import sys

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

COLUMNS = {"rss_kb": "memory, MB", "fds": "file descriptors", "threads": "threads"}


def main(samples, plot):
    with open(samples, newline="") as file:
        rows = list(csv.DictReader(file))
    minutes = [float(row["seconds"]) / 60 for row in rows]
    figure, axes = pyplot.subplots(len(COLUMNS), sharex=True, figsize=(8, 6), layout="constrained")
    for axis, (column, label) in zip(axes, COLUMNS.items()):
        scale = 1024 if column == "rss_kb" else 1
        axis.plot(minutes, [float(row[column]) / scale for row in rows], linewidth=1)
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].set_title("passthrough_ll under 16 processes of mixed load")
    axes[-1].set_xlabel("minutes")
    # The same samples give the same file.
    figure.savefig(plot, metadata={"Date": None})


if __name__ == "__main__":
    matplotlib.rcParams["svg.hashsalt"] = "soak"
    main(*sys.argv[1:])
