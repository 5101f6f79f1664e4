"""What the five points of a face say of how the head is held."""

from __future__ import annotations

import math

from ferd.types import Landmarks


def roll(points: Landmarks) -> float:
    """Radians by which the head is tilted in the picture, 0 upright, clockwise positive.

    By the line between the eyes and the way from eyes to mouth together: in a profile the eyes are in one place, in a
    bowed head eyes and mouth come close.
    """
    right, left, _, mouth_right, mouth_left = (complex(*place) for place in points)
    across = left - right
    down = (mouth_right + mouth_left - right - left) / 2
    axis = across - 1j * down
    return math.atan2(axis.imag, axis.real)
