"""Evaluate a classifier on labelled samples, as they are and under stress: light, blur, distance, a tilted head."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.errors import FerdError
from ferd.evaluation.data import Sample, Samples
from ferd.evaluation.metrics import Verdict, verdict
from ferd.types import Face, Frame, Image
from ferd.vision.align import cut
from ferd.vision.classifier import Classifier
from ferd.vision.detectors.base import Detector
from ferd.vision.images import to_input_colour

Cutter = Callable[[Image], Image | None]
"""Turns a sample's image into the model's input image; None without a face."""
SMALL = 24
"""Pixels of a face at the far end of a room, seen by a 640x480 camera."""


@dataclass(slots=True)
class _Scores:
    """Scores by stress, in the order of `true`."""

    true: list[str] = field(default_factory=list)
    scores: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict)


def whole_image(classifier: Classifier) -> Cutter:
    """Return a cutter that takes the whole image as the face and scales it to the input's size."""
    size = (classifier.input.width, classifier.input.height)

    def run(image: Image) -> Image:
        gray = to_input_colour(image, classifier.input)
        if gray.shape[1::-1] == size:
            return gray
        method = cv2.INTER_AREA if gray.shape[0] > size[1] else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(gray, size, interpolation=method), np.uint8)

    return run


def detected_face(classifier: Classifier, detector: Detector) -> Cutter:
    """Return a cutter that detects the face and cuts it out as the daemon does."""
    size = (classifier.input.width, classifier.input.height)

    def run(image: Image) -> Image | None:
        faces = detector(Frame(0.0, image))
        if not faces:
            return None
        largest: Face = max(faces, key=lambda face: face.box.area)
        ready = to_input_colour(image, classifier.input)
        return cut(ready, largest, classifier.bundle.crop, detector.name, size)

    return run


def brighter(factor: float) -> Callable[[Image], Image]:
    """Multiply all gray values."""
    return lambda image: np.clip(image.astype(np.float32) * factor, 0, 255).astype(np.uint8)


def gamma(power: float) -> Callable[[Image], Image]:
    """Apply a gamma curve."""
    table = (255 * (np.arange(256) / 255) ** power).astype(np.uint8)
    return lambda image: table[image]


def blurred(share: float) -> Callable[[Image], Image]:
    """Blur with a Gaussian whose sigma is a share of the face's width."""

    def run(image: Image) -> Image:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), share * image.shape[1]), np.uint8)

    return run


def small(side: int) -> Callable[[Image], Image]:
    """Reduce the resolution to `side` pixels."""

    def run(image: Image) -> Image:
        height, width = image.shape[:2]
        if max(height, width) <= side:
            return image
        tiny = cv2.resize(image, (side, max(1, round(side * height / width))), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(tiny, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)

    return run


def rolled(degrees: float) -> Callable[[Image], Image]:
    """Tilt the head: rotate about the middle of the image."""

    def run(image: Image) -> Image:
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), degrees, 1.0)
        turned = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(turned, np.uint8)

    return run


STRESSES: dict[str, Callable[[Image], Image]] = {
    "as it is": lambda image: image,
    "brightness -40 %": brighter(0.6),
    "brightness +40 %": brighter(1.4),
    "gamma 0.5": gamma(0.5),
    "gamma 2": gamma(2.0),
    "slight blur": blurred(0.02),
    f"{SMALL}x{SMALL} pixels": small(SMALL),
    "roll +15 degrees": rolled(15),
    "roll -15 degrees": rolled(-15),
}


def evaluate(
    classifier: Classifier,
    samples: Samples,
    cutter: Cutter,
    stresses: Sequence[str] = ("as it is",),
    seen: Callable[[Iterable[Sample]], Iterable[Sample]] = lambda samples: samples,
) -> dict[str, Verdict]:
    """Evaluate a classifier on samples, once under each of the `stresses`.

    A sample without a face is skipped and added to `samples.problems`; a face that is lost under a later stress counts
    as wrong.

    Args:
        seen: wraps the samples as they are read, for a progress bar.

    Raises:
        FerdError: nothing could be judged.
    """
    nothing = np.zeros(len(classifier.labels), np.float32)
    collected = _Scores(scores={name: [] for name in stresses})
    for sample in seen(samples):
        images = {name: cutter(STRESSES[name](sample.image)) for name in stresses}
        if images[stresses[0]] is None:
            samples.problems.append(f"{sample.name}: no face found")
            continue
        collected.true.append(sample.label)
        for name, image in images.items():
            collected.scores[name].append(nothing if image is None else classifier.both_ways(image))
    if not collected.true:
        raise FerdError("\n  ".join(["no sample could be judged", *samples.problems[:10]]))
    return {
        name: verdict(classifier.labels, collected.true, np.array(scores)) for name, scores in collected.scores.items()
    }
