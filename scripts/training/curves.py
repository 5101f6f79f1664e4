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
        right.plot(epochs, [float(row["accuracy"]) for row in rows], label=name)
        photos = [float(row.get("accuracy_photos_whole") or "nan") for row in rows]  # older curves lack it
        right.plot(epochs, photos, linestyle=":", label=f"{name}, uncut photos")
    left.set(xlabel="epoch", ylabel="training loss")
    right.set(xlabel="epoch", ylabel="validation accuracy", ylim=(0.5, 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    target = work / "curves.png"
    figure.savefig(target, dpi=110)
    return target
