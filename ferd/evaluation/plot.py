"""Draws the confusion matrix and the reliability diagram."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ferd.errors import FerdError
from ferd.evaluation.judge import Verdict


def draw(verdict: Verdict, title: str, file: Path) -> None:
    """Writes a PNG (or what the file's ending says). Raises FerdError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise FerdError("--plot needs matplotlib: pip install 'ferd[plot]'") from None
    figure = Figure(figsize=(12, 5.2), layout="constrained")
    matrix, diagram = figure.subplots(1, 2)
    figure.suptitle(f"{title}: {100 * verdict.accuracy:.1f} % of {len(verdict.true)} pictures")
    _confusion(matrix, verdict)
    _reliability(diagram, verdict)
    try:
        figure.savefig(file, dpi=110)
    except (OSError, ValueError) as error:
        raise FerdError(f"{file}: the plot cannot be written ({error})") from None


def _confusion(axes: Any, verdict: Verdict) -> None:
    counts = verdict.confusion()
    rows = [k for k in range(len(counts)) if counts[k].sum()]
    share = counts[rows] / counts[rows].sum(axis=1, keepdims=True)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    told = verdict.labels[: verdict.known]
    axes.set_xticks(range(len(told)), told, rotation=40, ha="right")
    axes.set_yticks(range(len(rows)), [f"{verdict.labels[k]} ({counts[k].sum()})" for k in rows])
    axes.set(xlabel="told", ylabel="true", title="of each true label, the share told as")
    for y, x in np.ndindex(share.shape):
        if share[y, x] >= 0.005:
            ink = "white" if share[y, x] > 0.5 else "black"
            axes.text(x, y, f"{100 * share[y, x]:.0f}", ha="center", va="center", color=ink)


def _reliability(axes: Any, verdict: Verdict) -> None:
    bins = verdict.reliability()
    confidence, right, count = (np.array(column) for column in zip(*bins, strict=True))
    axes.plot([0, 1], [0, 1], color="gray", linestyle=":")
    axes.scatter(confidence, right, s=20 + 600 * count / count.sum(), alpha=0.7)
    axes.plot(confidence, right)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="how sure it said it was", ylabel="how often it was right")
    axes.set_title(f"calibration error {100 * verdict.ece():.1f} %")
