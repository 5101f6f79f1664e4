"""Gather pictures on which an imported model is tried: the user's own, or the faces of the demo scene.

The expression of each face of the demo scene is known, and so is the class of a picture in a folder of that name.
Of other pictures with faces ferd's own model gives the expression, where it is sure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from ferd.config import DetectorConfig
from ferd.errors import FerdError, ModelError
from ferd.models.preprocess import Crop, View
from ferd.models.registry import find_installed
from ferd.sources import demo
from ferd.types import Face, Frame, Image, Landmarks
from ferd.vision.align import cut, middle_square
from ferd.vision.classifier import Classifier
from ferd.vision.detectors.factory import make_detector
from ferd.vision.images import IMAGE_SUFFIXES, read_image, to_input_colour

MARGIN = 0.25
"""Pictures get a margin of this share of their longer side: a detector finds no face that fills the whole picture."""
MAX_PICTURES = 200
MAX_FILES = 20_000
FACES_PER_EVENT = 3
SURE = 0.7
"""Probability from which on ferd's own reading of a picture counts as its expression."""

_WORDS = {
    "anger": "anger angry mad",
    "disgust": "disgust disgusted",
    "fear": "fear fearful afraid scared",
    "happiness": "happiness happy joy joyful smile smiling",
    "sadness": "sadness sad unhappy",
    "surprise": "surprise surprised astonished",
    "neutral": "neutral calm",
}
SAME = {word: label for label, words in _WORDS.items() for word in words.split()}
"""Usual names of the expressions -> ferd's."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture, gray or BGR. ``label``: what it shows, if that is known. ``face``: None where none was found."""

    image: Image
    face: Face | None
    label: str | None


@dataclass(frozen=True, slots=True)
class Samples:
    """Pictures and where they come from.

    Attributes:
        detector: name of the detector that found the faces.
        left_out: names of the files that are no pictures, or do not decode.
    """

    items: tuple[Sample, ...]
    source: str
    detector: str
    left_out: tuple[str, ...] = ()
    own: bool = False

    def crops(self, view: View, size: tuple[int, int]) -> tuple[list[Image], list[str | None]]:
        """Cut what a model of this view sees, BGR (H, W, 3) of `size` (width, height), with the labels."""
        crops: list[Image] = []
        labels: list[str | None] = []
        for sample in self.items:
            if view == "frame":
                crop = middle_square(sample.image, size)
            elif sample.face is not None:
                crop = cut(sample.image, sample.face, Crop(), self.detector, size)
            else:
                continue
            crops.append(crop if crop.ndim == 3 else np.asarray(cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR), np.uint8))
            labels.append(sample.label)
        return crops, labels


def known_expression(label: str) -> str | None:
    """Return ferd's label for the usual names of an expression: "Happy" -> "happiness"; None for other classes."""
    return SAME.get(re.sub(r"[^a-z]", "", label.lower()))


def demo_samples() -> Samples | None:
    """Return faces of the demo scene with their expressions; None where the scene or a detector is not installed."""
    try:
        detector = make_detector(DetectorConfig())
        items = []
        for event in demo.SCRIPT:
            if event.label is None:
                continue
            middle = (event.start + demo.EASE_S, event.end - demo.EASE_S)
            for t in np.linspace(*middle, FACES_PER_EVENT).tolist():
                frame = demo.render(t)
                if face := _largest(detector(frame)):
                    items.append(Sample(frame.image, face, event.label))
    except FerdError:
        return None
    return Samples(tuple(items), "faces of the demo scene", detector.name) if items else None


def read_samples(folder: Path) -> Samples:
    """Read the pictures in the folder and below, evenly chosen when there are more than MAX_PICTURES.

    Raises ModelError when there are none. The name of the folder in which a picture lies is its label.
    """
    files = _files(folder)
    pictures = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    left_out = [file.name for file in files if file.suffix.lower() not in IMAGE_SUFFIXES]
    step = max(1, -(-len(pictures) // MAX_PICTURES))
    detector = make_detector(DetectorConfig())
    items = []
    for file in pictures[::step]:
        image = read_image(file)
        if image is None:
            left_out.append(file.name)
            continue
        margin = round(MARGIN * max(image.shape[:2]))
        border = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        framed = np.asarray(border, np.uint8)
        face = _largest(detector(Frame(0.0, framed)))
        items.append(Sample(image, _without_margin(face, margin), file.parent.name if file.parent != folder else None))
    if not items:
        raise ModelError(f"{folder}: holds no picture that can be read{name_files(left_out)}")
    return Samples(tuple(items), f"pictures in {folder}", detector.name, tuple(left_out), own=True)


def _without_margin(face: Face | None, margin: int) -> Face | None:
    """Return a face in pixels of the picture instead of the one with the margin; it may reach beyond the edge."""
    if face is None:
        return None
    box = face.box._replace(x=face.box.x - margin, y=face.box.y - margin)
    points = face.points and Landmarks(*((x - margin, y - margin) for x, y in face.points))
    return Face(box, points, face.score)


def _largest(faces: Sequence[Face]) -> Face | None:
    return max(faces, key=lambda face: face.box.area, default=None)


def _files(folder: Path) -> list[Path]:
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            found.append(path)
        if len(found) > MAX_FILES:
            raise ModelError(f"{folder}: holds more than {MAX_FILES} files; give a folder with some pictures only")
    return sorted(found)


def name_files(names: Sequence[str]) -> str:
    """Name the files that were left out, at most five of them: "; left out: a.heic, b.heic and 3 more"."""
    if not names:
        return ""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    remedy = " (HEIC: save as JPEG first)" if any(name.lower().endswith((".heic", ".heif")) for name in names) else ""
    return f"; left out: {', '.join(names[:5])}{more}{remedy}"


def with_labels(samples: Samples, labels: Sequence[str]) -> Samples:
    """Give each sample the model's own label for what it shows, None where it shows none of the model's classes.

    A folder is a class by its name; an expression by any of its usual names.
    """
    by_name = {label.casefold().strip(): label for label in labels}
    by_expression = {known: label for label in labels if (known := known_expression(label))}
    items = list(samples.items)
    if samples.own and not any(_own_label(s.label, by_name, by_expression) for s in items):
        items = _read_by_ferd(items, samples.detector)
    return replace(samples, items=tuple(replace(s, label=_own_label(s.label, by_name, by_expression)) for s in items))


def _own_label(label: str | None, by_name: dict[str, str], by_expression: dict[str, str]) -> str | None:
    if label is None:
        return None
    return by_name.get(label.casefold().strip()) or by_expression.get(known_expression(label) or "")


def _read_by_ferd(items: Sequence[Sample], detector: str) -> list[Sample]:
    """Label pictures by ferd's own model, where it is sure."""
    bundle = find_installed("expression")
    if bundle is None or bundle.input is None:
        return list(items)
    classifier, spec = Classifier(bundle), bundle.input
    result = []
    for sample in items:
        label = None
        if sample.face is not None:
            crop = cut(sample.image, sample.face, bundle.crop, detector, spec.size)
            scores = classifier(to_input_colour(crop, spec))
            label = classifier.labels[int(scores.argmax())] if scores.max() >= SURE else None
        result.append(replace(sample, label=label))
    return result
