"""Samples from a camera or from folders of pictures: find the face, cut it, judge it, keep it or say why not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from ferd.errors import FerdError
from ferd.evaluation.samples import PICTURES, read_picture
from ferd.fs import is_dir
from ferd.models.bundle import Bundle
from ferd.models.finetune.samples import Collected, Verdict, judge, largest
from ferd.sources.base import Source
from ferd.types import Face, Frame, Image
from ferd.vision.align import cut
from ferd.vision.classifier import to_input_colour
from ferd.vision.detectors.base import Detector

EVERY_S = 0.12
"""A camera gives a sample so often, so that 60 take some eight seconds and differ a little."""
ROOM = 0.25
"""Pictures are given a rim of this share: of a photo that is all face, a detector finds nothing."""

Tell = Callable[[Collected, Verdict], None]
"""Hears of every picture that was looked at."""


class SampleCollector:
    """Cuts faces as the bundle's network wants them."""

    def __init__(self, bundle: Bundle, detector: Detector) -> None:
        assert bundle.input is not None, "the shipped bundle has a card"
        self._bundle, self._spec, self._detector = bundle, bundle.input, detector

    def crop(self, frame: Frame) -> Image | None:
        """The largest face as the network's input; None when there is none."""
        face: Face | None = largest(self._detector(frame))
        if face is None:
            return None
        size = (self._spec.width, self._spec.height)
        return to_input_colour(cut(frame.image, face, self._bundle.crop, self._detector.name, size), self._spec)

    def add(self, collected: Collected, frame: Frame, name: str) -> Verdict:
        """Take one picture into a class, or count why not."""
        crop = self.crop(frame)
        verdict = judge(crop, collected.crops[-1] if collected.crops else None)
        if verdict == "good" and crop is not None:
            collected.crops.append(crop)
            collected.names.append(name)
        else:
            collected.passed[verdict] += 1
        return verdict

    def from_camera(self, label: str, frames: Iterable[Frame], wanted: int, tell: Tell) -> Collected:
        """So many good samples of one class, as fast as EVERY_S lets them come."""
        collected, due = Collected(label), float("-inf")
        for frame in frames:
            if frame.t < due:
                continue
            due = frame.t + EVERY_S
            tell(collected, self.add(collected, frame, f"{label} {len(collected.crops) + 1}"))
            if len(collected.crops) >= wanted:
                break
        return collected

    def from_folder(self, folder: Path, tell: Tell) -> Collected:
        """All pictures of one class's folder, in the order of their names."""
        collected = Collected(folder.name)
        for file in sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES):
            picture = read_picture(file)
            if picture is None:
                collected.passed["no face"] += 1
                continue
            rim = round(ROOM * max(picture.shape[:2]))
            framed = cv2.copyMakeBorder(picture, rim, rim, rim, rim, cv2.BORDER_REPLICATE)
            tell(collected, self.add(collected, Frame(0.0, np.asarray(framed, np.uint8)), file.name))
        return collected


def class_folders(folder: Path) -> list[Path]:
    """One folder a class. Raises FerdError when there are none, or one is empty."""
    if not is_dir(folder):
        raise FerdError(f"{folder}: is no folder. One folder a class is expected: {folder}/happy/….jpg")
    found = sorted(path for path in folder.iterdir() if is_dir(path) and not path.name.startswith("."))
    if not found:
        raise FerdError(f"{folder}: holds no folders. One folder a class is expected: {folder}/happy/….jpg")
    empty = [path.name for path in found if not any(file.suffix.lower() in PICTURES for file in path.iterdir())]
    if empty:
        raise FerdError(f"{folder}: no pictures in {', '.join(empty)}")
    return found


def live(source: Source, stop: Callable[[], bool]) -> Iterator[Frame]:
    """Frames of an opened camera until `stop` says so."""
    while not stop():
        yield source.read()
