"""Runs a classifier over samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.errors import FerdError
from ferd.evaluation.judge import Verdict, verdict
from ferd.evaluation.samples import Sample, Samples
from ferd.evaluation.stress import STRESSES
from ferd.types import Face, Frame, Image
from ferd.vision.align import cut
from ferd.vision.classifier import Classifier, to_input_colour
from ferd.vision.detectors.base import Detector

Cutter = Callable[[Image], Image | None]
"""From a sample's picture to the model's input picture; None when there is no face."""


@dataclass(slots=True)
class Run:
    """Scores by stress, in the order of `true`."""

    true: list[str] = field(default_factory=list)
    scores: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict)


def whole(classifier: Classifier) -> Cutter:
    """The picture is the face: it is brought to the input's size."""
    size = (classifier.input.width, classifier.input.height)

    def run(picture: Image) -> Image:
        gray = to_input_colour(picture, classifier.input)
        if gray.shape[1::-1] == size:
            return gray
        method = cv2.INTER_AREA if gray.shape[0] > size[1] else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(gray, size, interpolation=method), np.uint8)

    return run


def detected(classifier: Classifier, detector: Detector) -> Cutter:
    """The face is looked for and cut out as the daemon does it."""
    size = (classifier.input.width, classifier.input.height)

    def run(picture: Image) -> Image | None:
        faces = detector(Frame(0.0, picture))
        if not faces:
            return None
        largest: Face = max(faces, key=lambda face: face.box.area)
        ready = to_input_colour(picture, classifier.input)
        return cut(ready, largest, classifier.bundle.crop, detector.name, size)

    return run


def evaluate(
    classifier: Classifier,
    samples: Samples,
    cutter: Cutter,
    stresses: Sequence[str] = ("as it is",),
    seen: Callable[[Iterable[Sample]], Iterable[Sample]] = lambda samples: samples,
) -> dict[str, Verdict]:
    """The verdict for each of the `stresses`. `seen` wraps the samples as they are read (a progress bar).

    What cannot be judged is added to `samples.problems`; a face that is lost under a later stress counts as wrong.
    Raises FerdError when nothing was left.
    """
    nothing = np.zeros(len(classifier.labels), np.float32)
    run = Run(scores={name: [] for name in stresses})
    for sample in seen(samples):
        pictures = {name: cutter(STRESSES[name](sample.picture)) for name in stresses}
        if pictures[stresses[0]] is None:
            samples.problems.append(f"{sample.name}: no face found")
            continue
        run.true.append(sample.label)
        for name, picture in pictures.items():
            run.scores[name].append(nothing if picture is None else classifier(picture))
    if not run.true:
        raise FerdError("\n  ".join(["nothing was left to judge", *samples.problems[:10]]))
    return {name: verdict(classifier.labels, run.true, np.array(scores)) for name, scores in run.scores.items()}
