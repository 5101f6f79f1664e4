"""What `ferd replay --fatigue` prints: the measures once a second, and the alerts as they come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

Line = dict[str, Any]
COLUMNS = (("closed", 6), ("aware", 5), ("PERCLOS", 7), ("seen", 5), ("blinks", 6), ("longest", 7), ("yawns", 5))


def rows(lines: Iterable[Line]) -> Iterator[str]:
    """Text for people. `lines`: as `replay --jsonl --fatigue` prints them."""
    yield "       t  " + "  ".join(f"{name:>{width}}" for name, width in COLUMNS)
    due, told, rises, rank = 0.0, ("none", None, ()), Counter[str](), {"none": 0, "notice": 1, "warning": 2, "alarm": 3}
    for line in lines:
        if line["t"] >= due:
            due = line["t"] // 1 + 1
            yield _measures(line)
        alert = line["alert"] or {}
        now = alert.get("level", "none"), alert.get("reason"), tuple(alert.get("active", ()))
        if now != told:
            yield _change(line["t"], *now)
            rises[now[0]] += rank[now[0]] > rank[told[0]]
            told = now
    counts = (f"{rises[level]} {level}{'' if rises[level] == 1 else 's'}" for level in ("notice", "warning", "alarm"))
    yield "alerts: " + ", ".join(counts)


def _measures(line: Line) -> str:
    face: Line = next((face for face in line["faces"] if face["track"] == line["main"]), {})
    tired = line["fatigue"]
    values = (
        _number(face.get("eyes_closed"), 2), _number(tired["awareness"], 2), _number(tired["perclos"], 2),
        f"{100 * tired['observed']:.0f} %", _number(tired["blinks"], 0), f"{tired['longest_s']:.1f} s",
        str(tired["yawns"]),
    )  # fmt: skip
    return f"{line['t']:7.1f}s  " + "  ".join(f"{v:>{width}}" for v, (_, width) in zip(values, COLUMNS, strict=True))


def _change(t: float, level: str, reason: str | None, active: tuple[str, ...]) -> str:
    return f"{t:7.1f}s  -- {level}: {reason} ({', '.join(active)})" if reason else f"{t:7.1f}s  -- over"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
