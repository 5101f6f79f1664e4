"""Collect training samples from a camera or from folders of images: find the face, cut it, judge it.

A crop that teaches nothing (no face, blurred, the same as the one before) is skipped and counted, so that the user can
be warned while there is time to do better.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from ferd.errors import FerdError
from ferd.fs import is_dir
from ferd.models.bundle import Bundle
from ferd.sources.base import Source
from ferd.types import Face, Frame, Image
from ferd.vision.align import cut
from ferd.vision.detectors.base import Detector
from ferd.vision.images import IMAGE_SUFFIXES, read_image, to_input_colour

Verdict = Literal["good", "no face", "blurred", "same as before"]

SHARP = 12.0
"""Least standard deviation of the Laplacian of a sharp crop, at full contrast."""
NEW = 1.5
"""Least mean difference to the previous sample, in gray levels; a still face on a webcam has 0.5 to 1."""
THIN = 20
"""A class with fewer good samples than this gets a warning."""
SIDES = re.compile(r"\b(left|right|links|rechts|gauche|droite|izquierd[ao]|derech[ao]|sinistr[ao]|destr[ao])\b", re.I)
EVERY_S = 0.12
"""Interval between two samples of a camera: 60 samples take eight seconds, and differ a little."""
MARGIN = 0.25
"""Images get a margin of this share of their longer side: a detector finds no face that fills the whole image."""


@dataclass(slots=True)
class Collected:
    """Samples of one class, as crops (48, 48) gray. `passed` counts the skipped images by reason."""

    label: str
    crops: list[Image] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    passed: Counter[Verdict] = field(default_factory=Counter)

    def warnings(self) -> Iterator[str]:
        """Yield warnings about the samples, each with its remedy."""
        good, total = len(self.crops), len(self.crops) + self.passed.total()
        if good < THIN:
            yield f"{self.label}: only {good} samples; {THIN} or more make it trustworthy"
        for verdict, remedy in _REMEDIES.items():
            if self.passed[verdict] > 0.2 * max(total, 1):
                yield f"{self.label}: {self.passed[verdict]} of {total} images skipped ({verdict}): {remedy}"


OnImage = Callable[[Collected, Verdict], None]
"""Called for every image that was judged."""

_REMEDIES: dict[Verdict, str] = {
    "no face": "look at the camera, come closer, more light",
    "blurred": "hold still, clean or focus the lens, more light",
    "same as before": "move the head a little, change distance and light",
}


def judge(crop: Image | None, before: Image | None) -> Verdict:
    """Judge whether a crop is useful for training. `crop` None: no face was found; `before`: the previous sample."""
    if crop is None:
        return "no face"
    if sharpness(crop) < SHARP:
        return "blurred"
    if before is not None and float(cv2.absdiff(crop, before).mean()) < NEW:
        return "same as before"
    return "good"


def sharpness(crop: Image) -> float:
    """Return the standard deviation of the Laplacian at full contrast (Pech-Pacheco et al. 2000)."""
    stretched = cv2.normalize(crop, None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]
    return float(cv2.Laplacian(stretched, cv2.CV_64F).std())


def largest(faces: Sequence[Face]) -> Face | None:
    """Return the face with the largest box."""
    return max(faces, key=lambda face: face.box.area, default=None)


def flips_allowed(labels: Sequence[str]) -> bool:
    """Whether mirrored images keep their class: not where a class names a side, as in "wink left"."""
    return not any(SIDES.search(label) for label in labels)


def vary(crop: Image, *, flip: bool) -> list[Image]:
    """Return the crop and its augmentations: moved, zoomed, mirrored if allowed, darker, brighter, flatter."""
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


class SampleCollector:
    """Collect samples, cut as the bundle's network expects faces."""

    def __init__(self, bundle: Bundle, detector: Detector) -> None:
        assert bundle.input is not None, "the shipped bundle has a card"
        self._bundle, self._spec, self._detector = bundle, bundle.input, detector

    def crop(self, frame: Frame) -> Image | None:
        """Cut the largest face as the network's input; None without a face."""
        face: Face | None = largest(self._detector(frame))
        if face is None:
            return None
        size = (self._spec.width, self._spec.height)
        return to_input_colour(cut(frame.image, face, self._bundle.crop, self._detector.name, size), self._spec)

    def add(self, collected: Collected, frame: Frame, name: str) -> Verdict:
        """Add one frame to a class, or count why it was skipped."""
        crop = self.crop(frame)
        verdict = judge(crop, collected.crops[-1] if collected.crops else None)
        if verdict == "good" and crop is not None:
            collected.crops.append(crop)
            collected.names.append(name)
        else:
            collected.passed[verdict] += 1
        return verdict

    def from_camera(self, label: str, frames: Iterable[Frame], wanted: int, on_image: OnImage) -> Collected:
        """Collect `wanted` good samples of one class, one every EVERY_S at most."""
        collected, due = Collected(label), float("-inf")
        for frame in frames:
            if frame.t < due:
                continue
            due = frame.t + EVERY_S
            on_image(collected, self.add(collected, frame, f"{label} {len(collected.crops) + 1}"))
            if len(collected.crops) >= wanted:
                break
        return collected

    def from_folder(self, folder: Path, on_image: OnImage) -> Collected:
        """Collect the images of one class's folder, in the order of their names."""
        collected = Collected(folder.name)
        for file in sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES):
            image = read_image(file)
            if image is None:
                collected.passed["no face"] += 1
                continue
            margin = round(MARGIN * max(image.shape[:2]))
            framed = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
            on_image(collected, self.add(collected, Frame(0.0, np.asarray(framed, np.uint8)), file.name))
        return collected


def class_folders(folder: Path) -> list[Path]:
    """Return the folders in `folder`, one per class. Raises FerdError when there are none, or one is empty."""
    if not is_dir(folder):
        raise FerdError(f"{folder}: is not a folder. One folder per class is expected: {folder}/happy/….jpg")
    found = sorted(path for path in folder.iterdir() if is_dir(path) and not path.name.startswith("."))
    if not found:
        raise FerdError(f"{folder}: holds no folders. One folder per class is expected: {folder}/happy/….jpg")
    empty = [path.name for path in found if not any(file.suffix.lower() in IMAGE_SUFFIXES for file in path.iterdir())]
    if empty:
        raise FerdError(f"{folder}: no images in {', '.join(empty)}")
    return found


def live(source: Source, stop: Callable[[], bool]) -> Iterator[Frame]:
    """Yield the frames of an opened camera until `stop` returns True."""
    while not stop():
        yield source.read()
