"""Tune the threshold of a gesture for a person, from a practice in which they made it when they were asked.

Pure: strengths in, a threshold out, in the units of THRESHOLDS (policy/gesture_rules.py). A threshold lies between the
movements of a person at rest and those they make on purpose, with room on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ferd.policy.gesture_rules import GESTURES, THRESHOLDS, GestureName

LEAST_ATTEMPTS = 5
"""With fewer attempts nothing is tuned: one that went wrong would decide."""
WEAK_SHARE = 0.2
"""Of the attempts, so many may be weaker than what the threshold is made for: 8 of 10 are to be seen."""
ROOM_BELOW = 0.8
"""The threshold is at most this share of a weak attempt: on another day the same person moves a little less."""
ROOM_ABOVE = 1.2
"""And at least this many times the strongest movement that came unasked."""


@dataclass(frozen=True, slots=True)
class Practice:
    """What was measured while somebody practised one gesture.

    ``peaks``: the largest strength after each request. ``unasked``: the largest one while the person rested.
    """

    peaks: Sequence[float]
    unasked: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """The result: ``threshold``, or why there is none in ``problem``.

    ``seen``: of the attempts, those that pass the threshold.
    """

    threshold: float | None
    seen: int = 0
    problem: str = ""


def tune(name: GestureName, practice: Practice) -> Tuning:
    """Return the threshold that tells the attempts of a practice from rest; always within the limits of THRESHOLDS.

    Raises:
        ValueError: The gesture has no threshold of its own, there are too few attempts, or a strength is no number.
    """
    limits = THRESHOLDS.get(name)
    if limits is None:
        raise ValueError(f"{name} has no threshold of its own; practise long_blink instead")
    if len(practice.peaks) < LEAST_ATTEMPTS:
        raise ValueError(f"{len(practice.peaks)} attempts are too few: at least {LEAST_ATTEMPTS} are needed")
    if not all(math.isfinite(value) for value in (*practice.peaks, practice.unasked)):
        raise ValueError("each strength must be a number")
    peaks = sorted(max(0.0, value - limits.zero) for value in practice.peaks)
    weak = peaks[math.floor(WEAK_SHARE * len(peaks))]
    unasked = max(0.0, practice.unasked - limits.zero)
    least, most = limits.least - limits.zero, limits.most - limits.zero
    if weak <= ROOM_ABOVE * unasked:
        return Tuning(
            None, problem="at rest you move as much as when you are asked: sit still between, or choose another"
        )
    if weak < least:
        return Tuning(
            None, problem="the movements are too small to be told from noise: more light, nearer, or another one"
        )
    if ROOM_ABOVE * unasked > most:
        return Tuning(None, problem="the movements at rest are too large: another gesture suits better")
    wanted = min(max(ROOM_BELOW * weak, ROOM_ABOVE * unasked, least), most)
    threshold = round(limits.zero + wanted, 3)
    return Tuning(threshold, seen=sum(value + limits.zero >= threshold - 1e-9 for value in peaks))


def valid_thresholds(given: Mapping[str, object]) -> dict[GestureName, float]:
    """Return the thresholds of a saved mapping.

    Raises:
        ValueError: A name is unknown, or a value is no number within its limits.
    """
    valid: dict[GestureName, float] = {}
    for name, value in given.items():
        gesture = next((one for one in GESTURES if one == name), None)
        limits = None if gesture is None else THRESHOLDS.get(gesture)
        if gesture is None or limits is None:
            raise ValueError(f"there is no threshold {name[:40]!r}; there are: {', '.join(THRESHOLDS)}")
        if not isinstance(value, int | float) or isinstance(value, bool) or not limits.least <= value <= limits.most:
            raise ValueError(f"{name}: a threshold is a number from {limits.least:g} to {limits.most:g}")
        valid[gesture] = float(value)
    return valid
