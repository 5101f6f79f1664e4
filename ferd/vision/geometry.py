"""Read the pose of a head from its five landmarks."""

from __future__ import annotations

import math

from ferd.types import Landmarks

MIN_EYE_DISTANCE = 1.0
"""Pixels between the eyes below which the pitch cannot be measured."""


def head_roll(points: Landmarks) -> float:
    """Return the tilt of the head in the image in radians: 0 upright, clockwise positive.

    Uses the line between the eyes and the line from eyes to mouth together: in a profile the eyes coincide, in a bowed
    head eyes and mouth come close.
    """
    right, left, _, mouth_right, mouth_left = (complex(*point) for point in points)
    across = left - right
    down = (mouth_right + mouth_left - right - left) / 2
    axis = across - 1j * down
    return math.atan2(axis.imag, axis.real)


def head_pitch(points: Landmarks) -> float | None:
    """Return how far the nose stands below the middle of the eyes, along the head, in eye distances.

    About 0.6 for an upright head; it grows while the head sinks. None where the eyes coincide (a profile).
    """
    right, left, nose = (complex(*point) for point in (points.right_eye, points.left_eye, points.nose))
    across = left - right
    if abs(across) < MIN_EYE_DISTANCE:
        return None
    return ((nose - (right + left) / 2) / across).imag
