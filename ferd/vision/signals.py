"""What a frame says of a face's eyes, mouth and head, or that it says nothing."""

from __future__ import annotations

from ferd.errors import ConfigError, ModelError
from ferd.models.registry import find_bundle
from ferd.types import EyeMouthState, Image, Landmarks
from ferd.vision.detectors.base import Detector
from ferd.vision.eyes import EyeOrMouth, EyeReader

MODEL = "eyes"
LEAST_DISTANCE = 1.0
"""Pixels between the eyes below which there is no telling how the head is held."""


class EyeMouthReader:
    """Signals of one face. What the eyes model is not sure of is None: it cannot be seen, it is never "closed"."""

    def __init__(self, eyes: EyeReader) -> None:
        self._eyes = eyes

    def __call__(self, picture: Image, points: Landmarks) -> EyeMouthState:
        """`picture`: (H, W, 3) BGR or (H, W) gray, uint8; `points` in its pixels."""
        read = self._eyes(picture, points)
        return EyeMouthState(self._if_sure(read.eyes), self._if_sure(read.mouth), head_pitch(points))

    def _if_sure(self, part: EyeOrMouth) -> float | None:
        return part.share if self._eyes.sure(part) else None


def head_pitch(points: Landmarks) -> float | None:
    """How far the nose stands below the middle of the eyes, along the head, in eye distances. About 0.6 upright.

    None where the eyes are in one place: a head turned all the way.
    """
    right, left, nose = (complex(*place) for place in (points.right_eye, points.left_eye, points.nose))
    across = left - right
    if abs(across) < LEAST_DISTANCE:
        return None
    return ((nose - (right + left) / 2) / across).imag


def make_eyes(detector: Detector, *, needed: bool) -> EyeMouthReader | None:
    """The reader for a detector that gives points, None where it gives none.

    Raises ConfigError or ModelError with the remedy when it is `needed` and cannot be had.
    """
    if detector.name in ("haar", "whole"):
        if needed:
            raise ConfigError(
                "fatigue.enabled needs to know where the eyes are, which "
                + ("the haar detector cannot say" if detector.name == "haar" else "a model of the whole picture cannot")
                + ': use detector.kind = "face" or "yunet" with a model of faces, or switch fatigue off'
            )
        return None
    try:
        return EyeMouthReader(EyeReader(find_bundle(MODEL)))
    except ModelError:
        if needed:
            raise
        return None
