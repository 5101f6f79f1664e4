"""Describe what one frame shows of a face, as far as gestures are made of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FaceMeasures:
    """What one frame shows of a face; None: cannot be seen.

    ``right_closed``, ``left_closed``: 0 open to 1 shut. ``mouth``: distance of the inner lips, ``width``: of the
    mouth's corners, ``brows``: of the brows from the eyes, in eye distances. ``yaw``, ``pitch``, ``roll``: degrees; yaw
    is positive towards the subject's left, pitch when the head sinks, roll when it tilts towards the subject's left.
    """

    right_closed: float | None = None
    left_closed: float | None = None
    mouth: float | None = None
    width: float | None = None
    brows: float | None = None
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None


def mirrored(measures: FaceMeasures) -> FaceMeasures:
    """Swap right and left, for a picture that was mirrored."""
    return FaceMeasures(
        right_closed=measures.left_closed,
        left_closed=measures.right_closed,
        mouth=measures.mouth,
        width=measures.width,
        brows=measures.brows,
        yaw=None if measures.yaw is None else -measures.yaw,
        pitch=measures.pitch,
        roll=None if measures.roll is None else -measures.roll,
    )


def near(value: float | None, limit: float) -> bool:
    """Whether a measure is known and its amount at most `limit`."""
    return value is not None and abs(value) <= limit
