"""The curves of a training as a picture."""

from __future__ import annotations

import csv
from pathlib import Path


def plot(work: Path) -> Path:
    """Draw every curve.csv below the work folder into curves.png; returns its path."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    for path in sorted(work.glob("*/curve.csv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        epochs = [int(row["epoch"]) for row in rows]
        name = path.parent.name
        left.plot(epochs, [float(row["loss"]) for row in rows], label=name)
        for key in [key for key in rows[0] if key not in ("epoch", "rate", "loss")] if rows else []:
            right.plot(epochs, [float(row[key]) for row in rows], label=key)
    left.set(xlabel="epoch", ylabel="training loss")
    right.set(xlabel="epoch", ylabel="accuracy, people held back", ylim=(0.3, 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    figure.tight_layout()
    target = work / "curves.png"
    figure.savefig(target, dpi=110)
    return target
