"""Draws what `ferd replay --fatigue` saw: closure, PERCLOS, awareness and levels over time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ferd.config import FatigueConfig
from ferd.errors import FerdError
from ferd.types import LEVELS

COLOURS = {"notice": "#f2d16b", "warning": "#f09a4a", "alarm": "#d9473f"}
Line = Mapping[str, Any]


def draw(lines: Sequence[Line], limits: FatigueConfig, title: str, file: Path) -> None:
    """`lines`: as `replay --jsonl --fatigue` prints them. Writes a PNG (or what the file's ending says).

    Raises FerdError without matplotlib, or when the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise FerdError("--plot needs matplotlib: pip install 'ferd[plot]'") from None
    figure = Figure(figsize=(12, 8), layout="constrained")
    closure, perclos, awareness, level = figure.subplots(4, 1, sharex=True, height_ratios=(2, 1.4, 1.4, 0.6))
    figure.suptitle(title)
    times = [line["t"] for line in lines]
    _closure(closure, times, [_main(line) for line in lines])
    _perclos(perclos, times, [line["fatigue"] for line in lines], limits)
    _awareness(awareness, times, [line["fatigue"] for line in lines], limits)
    _levels(level, times, [line["fatigue"] for line in lines], (closure, perclos, awareness))
    try:
        figure.savefig(file, dpi=110)
    except (OSError, ValueError) as error:
        raise FerdError(f"{file}: the plot cannot be written ({error})") from None


def _main(line: Line) -> Line:
    return next((face for face in line["faces"] if face["track"] == line["main"]), {})


def _closure(axes: Any, times: Sequence[float], faces: Sequence[Line]) -> None:
    for key, label, colour in (("eyes_closed", "eyes closed", "#2b5c8a"), ("mouth_open", "mouth open", "#b58ac0")):
        axes.plot(times, _values(faces, key), ".-", color=colour, markersize=3, linewidth=0.8, label=label)
    unseen = [t for t, face in zip(times, faces, strict=True) if face.get("eyes_closed") is None]
    axes.plot(unseen, [-0.06] * len(unseen), "|", color="gray", markersize=5, label="eyes not seen")
    axes.axhline(0.8, color="gray", linestyle=":", linewidth=0.8)
    axes.set(ylim=(-0.1, 1.3), yticks=(0, 0.2, 0.4, 0.6, 0.8, 1), ylabel="as read, 0 to 1")
    _legend(axes)


def _perclos(axes: Any, times: Sequence[float], fatigue: Sequence[Line], limits: FatigueConfig) -> None:
    axes.plot(times, _values(fatigue, "perclos"), color="#2b5c8a", label="PERCLOS")
    axes.plot(times, _values(fatigue, "observed"), color="gray", linewidth=0.8, label="share of the minute observed")
    axes.axhline(limits.perclos_notice, color=COLOURS["notice"], linestyle="--", linewidth=1)
    axes.axhline(limits.perclos_warning, color=COLOURS["warning"], linestyle="--", linewidth=1)
    axes.set(ylim=(0, 1.25), yticks=(0, 0.25, 0.5, 0.75, 1), ylabel="share")
    _legend(axes)


def _awareness(axes: Any, times: Sequence[float], fatigue: Sequence[Line], limits: FatigueConfig) -> None:
    axes.plot(times, _values(fatigue, "awareness"), color="#2f7d4f", label="awareness")
    for name, seconds in (("notice", limits.eyes_closed_notice_s), ("warning", limits.eyes_closed_warning_s)):
        axes.axhline(1 - seconds / limits.eyes_closed_alarm_s, color=COLOURS[name], linestyle="--", linewidth=1)
    axes.axhline(0, color=COLOURS["alarm"], linestyle="--", linewidth=1)
    axes.set(ylim=(-0.05, 1.05), ylabel="awareness")


def _levels(axes: Any, times: Sequence[float], fatigue: Sequence[Line], above: Sequence[Any]) -> None:
    """A band for each stretch in which one level held, told with its reason; its colour through all diagrams."""
    axes.set(ylim=(0, 1), yticks=[], xlabel="seconds", ylabel="level")
    pairs = zip(times, ((line["level"], line["reason"]) for line in fatigue), strict=True)
    for (name, reason), group in itertools.groupby(pairs, key=lambda pair: pair[1]):
        if name == LEVELS[0]:
            continue
        stretch = [t for t, _ in group]
        end = next((t for t in times if t > stretch[-1]), stretch[-1])
        for each in (axes, *above):
            each.axvspan(stretch[0], end, color=COLOURS[name], alpha=1.0 if each is axes else 0.25, linewidth=0)
        axes.text(stretch[0], 0.5, f" {name}: {reason}", va="center", fontsize=8, clip_on=True)


def _values(rows: Sequence[Line], key: str) -> list[float]:
    """What is not known becomes a gap in the line."""
    return [float("nan") if (value := row.get(key)) is None else float(value) for row in rows]


def _legend(axes: Any) -> None:
    axes.legend(loc="upper right", fontsize=8, ncols=3)
