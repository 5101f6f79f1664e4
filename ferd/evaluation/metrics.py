"""Compute how good a model is: pure functions of predictions and truth.

Faces match when they overlap by more than half (intersection over union), each true face with at most one found face,
the best overlap first. All sizes are in pixels of the image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferd.types import Box, Face, Landmarks

BINS = 15
"""Bins of the calibration error, as in Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017)."""
MIN_SIDE = 40.0
"""Recall counts faces whose longer side has at least this many pixels."""
MIN_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """Compare a classifier's predictions with the truth.

    An image of a label that the model lacks counts as wrong, and so does one in which no face was found.

    Attributes:
        labels: of the model, then those that only the data has.
        true: index into `labels` for each image.
        probabilities: (images, labels of the model), zeros where no face was found.
    """

    labels: tuple[str, ...]
    true: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    @property
    def known(self) -> int:
        """Number of labels that the model has."""
        return int(self.probabilities.shape[1])

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Index of the predicted label, -1 where no face was found."""
        read = self.probabilities.any(axis=1)
        return np.where(read, self.probabilities.argmax(axis=1), -1)

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.asarray(self.predicted == self.true)

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())

    def recall(self) -> dict[str, float]:
        """Return the recall by label, for labels with at least one image."""
        there = [(k, label) for k, label in enumerate(self.labels) if (self.true == k).any()]
        return {label: float(self.right[self.true == k].mean()) for k, label in there}

    def confusion(self) -> NDArray[np.int64]:
        """Count images by true label (row) and predicted label (column): (all labels, labels of the model)."""
        counts = np.zeros((len(self.labels), self.known), np.int64)
        read = self.predicted >= 0
        np.add.at(counts, (self.true[read], self.predicted[read]), 1)
        return counts

    def reliability(self) -> list[tuple[float, float, int]]:
        """Return for each bin of confidence: mean confidence, accuracy, number of images."""
        confidence = self.probabilities.max(axis=1)
        place = np.minimum((confidence * BINS).astype(int), BINS - 1)
        inside = [place == b for b in range(BINS)]
        return [(float(confidence[i].mean()), float(self.right[i].mean()), int(i.sum())) for i in inside if i.any()]

    def ece(self) -> float:
        """Return the expected calibration error: the mean gap between confidence and accuracy over the bins."""
        n = len(self.true)
        return sum(count / n * abs(confidence - right) for confidence, right, count in self.reliability())

    def to_dict(self) -> dict[str, Any]:
        """Return the keys of `ferd model eval --json`."""
        recall = self.recall()
        return {
            "n": len(self.true),
            "accuracy": round(self.accuracy, 4),
            "mean_recall": round(float(np.mean(list(recall.values()))), 4),
            "recall": {label: round(value, 4) for label, value in recall.items()},
            "ece": round(self.ece(), 4),
            "labels": list(self.labels),
            "confusion": self.confusion().tolist(),
        }


def verdict(model_labels: Sequence[str], true: Sequence[str], probabilities: NDArray[np.floating]) -> Verdict:
    """Join truth and predictions. `true`: labels, matched without regard to case; unknown ones are added."""
    labels = list(model_labels)
    places = {label.casefold(): k for k, label in enumerate(labels)}
    indices = []
    for label in true:
        if label.casefold() not in places:
            places[label.casefold()] = len(labels)
            labels.append(label)
        indices.append(places[label.casefold()])
    return Verdict(tuple(labels), np.array(indices, np.int64), np.asarray(probabilities, np.float64))


@dataclass(frozen=True, slots=True)
class FaceFigures:
    """Figures of a detector.

    Attributes:
        recall: share of the true faces of at least MIN_SIDE that were found.
        point_error: mean distance of the found faces' landmarks from the true ones, as a share of the box's width.
        faces: number of true faces that count.
    """

    recall: float
    point_error: float
    faces: int


@dataclass(frozen=True, slots=True)
class EyeFigures:
    """Figures of an eye reader: open or closed.

    Attributes:
        accuracy: share of right answers among the certain ones.
        accuracy_forced: the same over all images; a face that was not found counts as wrong.
        recall: by label, among the certain answers.
        unsure: share of images without a certain answer.
    """

    accuracy: float
    accuracy_forced: float
    recall: dict[str, float]
    unsure: float
    n: int


def pairs(found: Sequence[Face], true: Sequence[Face]) -> list[tuple[Face, Face]]:
    """Match faces that overlap by more than MIN_OVERLAP, best first. Returns (found, true), each face at most once."""
    overlaps = sorted(
        ((f.box.overlap(t.box), i, k) for i, f in enumerate(found) for k, t in enumerate(true)), reverse=True
    )
    matched: list[tuple[int, int]] = []
    for overlap, i, k in overlaps:
        if overlap > MIN_OVERLAP and all(i != a and k != b for a, b in matched):
            matched.append((i, k))
    return [(found[i], true[k]) for i, k in matched]


def point_error(found: Landmarks, true: Landmarks, box: Box) -> float:
    """Return the mean distance of the five landmarks as a share of the true box's width."""
    return sum(math.dist(f, t) for f, t in zip(found, true, strict=True)) / len(true) / box.w


def faces(images: Iterable[tuple[Sequence[Face], Sequence[Face]]], min_side: float = MIN_SIDE) -> FaceFigures:
    """Compute the figures over images, each as (found faces, true faces)."""
    wanted = hits = 0
    errors: list[float] = []
    for found, true in images:
        wanted += sum(_counts(t, min_side) for t in true)
        for mine, its in pairs(found, true):
            if _counts(its, min_side):
                hits += 1
                if mine.points and its.points:
                    errors.append(point_error(mine.points, its.points, its.box))
    return FaceFigures(_share(hits, wanted), _share(sum(errors), len(errors)), wanted)


def false_alarms_per_image(found: Iterable[Sequence[Face]]) -> float:
    """Return the mean number of faces found in images without a face."""
    counts = [len(faces) for faces in found]
    return _share(sum(counts), len(counts))


def threshold_for(found: Iterable[Sequence[Face]], alarms_per_image: float) -> float:
    """Return the lowest score threshold that keeps false alarms at or below a rate.

    `found`: the faces found in each image without a face, at a very low threshold.
    """
    by_image = list(found)
    scores = sorted((face.score for faces in by_image for face in faces), reverse=True)
    allowed = math.floor(alarms_per_image * len(by_image) + 1e-9)
    return math.nextafter(scores[allowed], 1.0) if len(scores) > allowed else 0.0


def eyes(answers: Iterable[tuple[str, str | None, bool]]) -> EyeFigures:
    """Compute the figures over (true label, predicted label or None without a face, whether the reader was certain)."""
    rows = list(answers)
    given = [(true, predicted) for true, predicted, sure in rows if sure and predicted is not None]
    right = sum(true == predicted for true, predicted in given)
    labels = sorted({true for true, _, _ in rows})
    recall = {
        label: _share(sum(t == s == label for t, s in given), sum(t == label for t, _ in given)) for label in labels
    }
    forced = sum(true == predicted for true, predicted, _ in rows)
    return EyeFigures(_share(right, len(given)), _share(forced, len(rows)), recall, 1 - _share(len(given), len(rows)),
                      len(rows))  # fmt: skip


def true_faces(row: Mapping[str, object]) -> list[Face]:
    """Read the faces of one line of a file like faces.jsonl: `faces`, each with `box` and optionally `points`.

    Raises KeyError, TypeError or ValueError when the line has another form.
    """
    listed = row["faces"]
    if not isinstance(listed, list) or not all(isinstance(entry, Mapping) for entry in listed):
        raise TypeError("faces must be a list of objects")
    return [true_face(entry) for entry in listed]


def true_face(entry: Mapping[str, object]) -> Face:
    """Read `box` (x, y, w, h) and `points` (x and y of the landmarks in the order of ferd.types.Landmarks)."""
    box = _numbers(entry["box"], 4, "box")
    if min(box[2:]) <= 0:
        raise ValueError("a box must have a width and a height")
    points = entry.get("points")
    if not points:
        return Face(Box(*box), None)
    places = _numbers(points, 2 * len(Landmarks._fields), "points")
    return Face(Box(*box), Landmarks(*zip(places[::2], places[1::2], strict=True)))


def _numbers(values: object, count: int, name: str) -> list[float]:
    if not isinstance(values, list) or len(values) != count:
        raise TypeError(f"{name} must be a list of {count} numbers")
    if not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        raise TypeError(f"{name} must be a list of {count} numbers")
    return [float(v) for v in values]


def _counts(face: Face, min_side: float) -> bool:
    return max(face.box.w, face.box.h) >= min_side


def _share(part: float, whole: float) -> float:
    """Divide; nan where the whole is 0."""
    return part / whole if whole else math.nan
