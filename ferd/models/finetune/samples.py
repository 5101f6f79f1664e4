"""Pictures of faces become samples: cut as the network sees faces, checked, and varied.

A sample that teaches nothing (no face, blurred, the same as the one before) is passed over and counted, so that the
user can be told while there is time to do better.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np

from ferd.types import Face, Image

Verdict = Literal["good", "no face", "blurred", "same as before"]

SHARP = 12.0
"""Least standard deviation of the Laplacian of a crop at full contrast."""
NEW = 1.5
"""Least mean difference to the sample before, in gray levels of the crop; a still face on a webcam has 0.5 to 1."""
THIN = 20
"""Fewer good samples than this in a class are told as thin."""
SIDES = re.compile(r"\b(left|right|links|rechts|gauche|droite|izquierd[ao]|derech[ao]|sinistr[ao]|destr[ao])\b", re.I)


@dataclass(slots=True)
class Collected:
    """The samples of one class, as crops (48, 48) gray; `passed` counts what was passed over, and why."""

    label: str
    crops: list[Image] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    passed: Counter[Verdict] = field(default_factory=Counter)

    def warnings(self) -> Iterator[str]:
        """What the user should know before training, with what to do."""
        good, total = len(self.crops), len(self.crops) + self.passed.total()
        if good < THIN:
            yield f"{self.label}: only {good} samples; {THIN} or more make it trustworthy"
        for verdict, remedy in _REMEDIES.items():
            if self.passed[verdict] > 0.2 * max(total, 1):
                yield f"{self.label}: {self.passed[verdict]} of {total} pictures passed over ({verdict}): {remedy}"


_REMEDIES: dict[Verdict, str] = {
    "no face": "look at the camera, come closer, more light",
    "blurred": "hold still, clean or focus the lens, more light",
    "same as before": "move the head a little, change distance and light",
}


def judge(crop: Image | None, before: Image | None) -> Verdict:
    """Whether a crop is worth learning from; None: there was no face."""
    if crop is None:
        return "no face"
    if sharpness(crop) < SHARP:
        return "blurred"
    if before is not None and float(cv2.absdiff(crop, before).mean()) < NEW:
        return "same as before"
    return "good"


def sharpness(crop: Image) -> float:
    """Standard deviation of the Laplacian after stretching the contrast (Pech-Pacheco et al. 2000)."""
    stretched = cv2.normalize(crop, None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]
    return float(cv2.Laplacian(stretched, cv2.CV_64F).std())


def largest(faces: Sequence[Face]) -> Face | None:
    return max(faces, key=lambda face: face.box.area, default=None)


def flips_allowed(labels: Sequence[str]) -> bool:
    """No mirror images where a class is about a side: a wink of the left eye would become one of the right."""
    return not any(SIDES.search(label) for label in labels)


def vary(crop: Image, *, flip: bool) -> list[Image]:
    """The crop, and what another moment might have made of it: mirrored, darker, brighter, flatter, moved, zoomed."""
    views = [crop, _moved(crop, 2, 1, 1.04), _moved(crop, -2, -1, 0.97)]
    if flip:
        views += [np.ascontiguousarray(view[:, ::-1]) for view in (crop, views[1])]
    views += [_light(crop, gamma) for gamma in (0.6, 1.6)]
    views.append(np.asarray(cv2.convertScaleAbs(crop, alpha=0.6, beta=50), np.uint8))
    return views


def _light(crop: Image, gamma: float) -> Image:
    table = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return np.asarray(cv2.LUT(crop, table), np.uint8)


def _moved(crop: Image, dx: float, dy: float, zoom: float) -> Image:
    height, width = crop.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0, zoom)
    matrix[:, 2] += np.array([dx, dy])
    return np.asarray(cv2.warpAffine(crop, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)
