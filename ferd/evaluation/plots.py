"""Draw plots: a classifier's confusion matrix and reliability, and the fatigue in a recording over time."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferd.config import FatigueConfig
from ferd.errors import FerdError
from ferd.evaluation.metrics import Verdict
from ferd.extras import how_to_add
from ferd.types import LEVELS

COLOURS = {"notice": "#f2d16b", "warning": "#f09a4a", "alarm": "#d9473f"}
Line = Mapping[str, Any]


def plot_classifier(verdict: Verdict, title: str, file: Path) -> None:
    """Draw the confusion matrix and the reliability diagram to a file (PNG, or by its suffix).

    Raises FerdError without matplotlib, or when the file cannot be written.
    """
    figure = _figure(12, 5.2)
    matrix, diagram = figure.subplots(1, 2)
    figure.suptitle(f"{title}: {100 * verdict.accuracy:.1f} % of {len(verdict.true)} images")
    _confusion(matrix, verdict)
    _reliability(diagram, verdict)
    _save(figure, file)


def _confusion(axes: Any, verdict: Verdict) -> None:
    counts = verdict.confusion()
    rows = [k for k in range(len(counts)) if counts[k].sum()]
    share = counts[rows] / counts[rows].sum(axis=1, keepdims=True)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    predicted = verdict.labels[: verdict.known]
    axes.set_xticks(range(len(predicted)), predicted, rotation=40, ha="right")
    axes.set_yticks(range(len(rows)), [f"{verdict.labels[k]} ({counts[k].sum()})" for k in rows])
    axes.set(xlabel="predicted", ylabel="true", title="predictions as a share of each true label")
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
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy")
    axes.set_title(f"calibration error {100 * verdict.ece():.1f} %")


def plot_fatigue(lines: Sequence[Line], limits: FatigueConfig, title: str, file: Path) -> None:
    """Draw what the fatigue policy saw and reported over time to a file (PNG, or by its suffix).

    From the top: readings of the eyes model, apertures and pose of the landmarks model, PERCLOS, awareness and
    attention, why nobody could judge, and the levels. `lines`: as `replay --jsonl --fatigue` prints them. Raises
    FerdError without matplotlib, or when the file cannot be written.
    """
    figure = _figure(13, 13)
    panels = figure.subplots(7, 1, sharex=True, height_ratios=(1.8, 1.2, 1.4, 1.2, 1.2, 0.7, 0.9))
    closure, apertures, pose, perclos, awareness, unjudged, level = panels
    figure.suptitle(title)
    times, faces = [line["t"] for line in lines], [_main(line) for line in lines]
    fatigue = [line["fatigue"] for line in lines]
    _closure(closure, times, faces)
    _apertures(apertures, times, faces)
    _pose(pose, times, faces)
    _perclos(perclos, times, fatigue, limits)
    _awareness(awareness, times, fatigue, limits)
    unjudged.set(ylim=(0, 1), yticks=[], ylabel="not\njudged")
    reasons = (one.get("unjudged") for one in fatigue)
    _bands(unjudged, times, [(reason, "#9aa4ad", reason) for reason in reasons], ())
    level.set(ylim=(0, 1), yticks=[], xlabel="seconds", ylabel="level")
    levels = ((one["level"], one["reason"]) for one in fatigue)
    marks = [(None if name == LEVELS[0] else name, COLOURS.get(name, ""), f"{name}: {why}") for name, why in levels]
    _bands(level, times, marks, panels[:5])
    _save(figure, file)


def _main(line: Line) -> Line:
    return next((face for face in line["faces"] if face["track"] == line["main"]), {})


def _closure(axes: Any, times: Sequence[float], faces: Sequence[Line]) -> None:
    for key, label, colour in (("eyes_closed", "eyes closed", "#2b5c8a"), ("mouth_open", "mouth open", "#b58ac0")):
        axes.plot(times, _values(faces, key), ".-", color=colour, markersize=3, linewidth=0.8, label=label)
    unseen = [t for t, face in zip(times, faces, strict=True) if face.get("eyes_closed") is None]
    axes.plot(unseen, [-0.06] * len(unseen), "|", color="gray", markersize=5, label="eyes not seen")
    axes.axhline(0.8, color="gray", linestyle=":", linewidth=0.8)
    axes.set(ylim=(-0.1, 1.05), ylabel="eyes model,\n0 to 1")
    _legend(axes)


def _apertures(axes: Any, times: Sequence[float], faces: Sequence[Line]) -> None:
    lids = [4 * value for value in _values(faces, "lids")]
    axes.plot(times, lids, color="#2b5c8a", linewidth=0.9, label="lids (times 4)")
    axes.plot(times, _values(faces, "mouth"), color="#b58ac0", linewidth=0.9, label="mouth")
    axes.set(ylim=(-0.1, 1.05), ylabel="apertures,\neye distances")
    _legend(axes)


def _pose(axes: Any, times: Sequence[float], faces: Sequence[Line]) -> None:
    for key, label, colour in (
        ("yaw", "yaw (right of the picture)", "#2b5c8a"),
        ("pitch", "pitch (down)", "#c1663a"),
        ("roll", "roll", "#8a8f3c"),
    ):
        axes.plot(times, _values(faces, key), color=colour, linewidth=0.9, label=label)
    axes.axhline(0, color="gray", linestyle=":", linewidth=0.8)
    axes.set(ylim=(-75, 75), yticks=(-60, -30, 0, 30, 60), ylabel="head,\ndegrees")
    _legend(axes)


def _perclos(axes: Any, times: Sequence[float], fatigue: Sequence[Line], limits: FatigueConfig) -> None:
    axes.plot(times, _values(fatigue, "perclos"), color="#2b5c8a", label="PERCLOS")
    axes.plot(times, _values(fatigue, "observed"), color="gray", linewidth=0.8, label="minute observed")
    axes.axhline(limits.perclos_notice, color=COLOURS["notice"], linestyle="--", linewidth=1)
    axes.axhline(limits.perclos_warning, color=COLOURS["warning"], linestyle="--", linewidth=1)
    axes.set(ylim=(0, 1.05), yticks=(0, 0.25, 0.5, 0.75, 1), ylabel="share")
    _legend(axes)


def _awareness(axes: Any, times: Sequence[float], fatigue: Sequence[Line], limits: FatigueConfig) -> None:
    axes.plot(times, _values(fatigue, "awareness"), color="#2f7d4f", label="awareness")
    if any(one.get("attention") is not None for one in fatigue):
        axes.plot(times, _values(fatigue, "attention"), color="#7a4fa0", linewidth=0.9, label="attention")
    for name, seconds in (("notice", limits.eyes_closed_notice_s), ("warning", limits.eyes_closed_warning_s)):
        axes.axhline(1 - seconds / limits.eyes_closed_alarm_s, color=COLOURS[name], linestyle="--", linewidth=1)
    axes.axhline(0, color=COLOURS["alarm"], linestyle="--", linewidth=1)
    axes.set(ylim=(-0.05, 1.05), ylabel="awareness")
    _legend(axes)


def _bands(
    axes: Any, times: Sequence[float], marks: Sequence[tuple[str | None, str, str | None]], above: Sequence[Any]
) -> None:
    """Draw a band in its colour, with its label, for each period of one mark (key, colour, label); key None: nothing.

    The labels stand in as many rows as keep them apart; one that finds no room is left out. `above`: diagrams that show
    the bands too, paler.
    """
    width = max(times[-1] - times[0], 1e-9) if times else 1.0
    ends = [times[0] - 1 if times else 0.0] * LABEL_ROWS
    for mark, group in itertools.groupby(zip(times, marks, strict=True), key=lambda pair: pair[1]):
        key, colour, label = mark
        if key is None:
            continue
        period = [t for t, _ in group]
        end = next((t for t in times if t > period[-1]), period[-1])
        for each in (axes, *above):
            each.axvspan(period[0], end, color=colour, alpha=1.0 if each is axes else 0.25, linewidth=0)
        row = next((row for row, taken in enumerate(ends) if taken <= period[0]), None)
        if row is not None and label:
            ends[row] = period[0] + width * LETTER * (len(label) + 2)
            place = (row + 0.5) / LABEL_ROWS
            axes.text(period[0], 1 - place, f" {label}", va="center", fontsize=8, clip_on=True)


LABEL_ROWS = 3
LETTER = 0.0075
"""Width of a letter of the labels as a share of the diagram."""


def _values(rows: Sequence[Line], key: str) -> list[float]:
    """Return one column; missing values become gaps in the line."""
    return [float("nan") if (value := row.get(key)) is None else float(value) for row in rows]


def _legend(axes: Any) -> None:
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)


def check_plots() -> None:
    """Raise FerdError without matplotlib: before the minutes in which a recording is analysed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise FerdError(f"--plot needs matplotlib: {how_to_add('plot')}")


def _figure(width: float, height: float) -> Any:
    """Make an empty figure, size in inches."""
    check_plots()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, file: Path) -> None:
    try:
        figure.savefig(file, dpi=110)
    except (OSError, ValueError) as error:
        raise FerdError(f"{file}: the plot cannot be written ({error})") from None
