"""How good a classifier is: accuracy, recall, calibration, confusion. Pure functions of (labels, probabilities)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Bins of the calibration error, as in Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`true`: index into `labels` for each picture; labels that the model lacks come behind its own.

    `probabilities`: (n, labels of the model), zeros where no face was found to read. A picture of a label that the
    model lacks counts as wrong, and so does one without a face.
    """

    labels: tuple[str, ...]
    true: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    @property
    def known(self) -> int:
        """How many of the labels are the model's own."""
        return int(self.probabilities.shape[1])

    @property
    def told(self) -> NDArray[np.int64]:
        """Index of the told label, -1 where nothing was told."""
        read = self.probabilities.any(axis=1)
        return np.where(read, self.probabilities.argmax(axis=1), -1)

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.asarray(self.told == self.true)

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())

    def recall(self) -> dict[str, float]:
        """By label, for those of which there is a picture."""
        there = [(k, label) for k, label in enumerate(self.labels) if (self.true == k).any()]
        return {label: float(self.right[self.true == k].mean()) for k, label in there}

    def confusion(self) -> NDArray[np.int64]:
        """Pictures by true label (row) and told label (column): (all labels, labels of the model)."""
        counts = np.zeros((len(self.labels), self.known), np.int64)
        read = self.told >= 0
        np.add.at(counts, (self.true[read], self.told[read]), 1)
        return counts

    def reliability(self) -> list[tuple[float, float, int]]:
        """For each bin of confidence: mean confidence, share that was right, pictures."""
        confidence = self.probabilities.max(axis=1)
        place = np.minimum((confidence * BINS).astype(int), BINS - 1)
        inside = [place == b for b in range(BINS)]
        return [(float(confidence[i].mean()), float(self.right[i].mean()), int(i.sum())) for i in inside if i.any()]

    def ece(self) -> float:
        """Expected calibration error: the mean gap between confidence and accuracy over the bins."""
        n = len(self.true)
        return sum(count / n * abs(confidence - right) for confidence, right, count in self.reliability())

    def to_dict(self) -> dict[str, Any]:
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
    """Joins what is true and what was told. `true`: labels, matched without regard to case; unknown ones added."""
    labels = list(model_labels)
    places = {label.casefold(): k for k, label in enumerate(labels)}
    indices = []
    for label in true:
        if label.casefold() not in places:
            places[label.casefold()] = len(labels)
            labels.append(label)
        indices.append(places[label.casefold()])
    return Verdict(tuple(labels), np.array(indices, np.int64), np.asarray(probabilities, np.float64))
