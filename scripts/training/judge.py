"""How good a model is: the FER+ majority protocol, recall, calibration. numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15


@dataclass(frozen=True)
class Figures:
    accuracy: float
    recall: tuple[float, ...]
    confusion: NDArray[np.int64]  # rows: the crowd, columns: the model
    ece: float
    n: int


class FileNet:
    """A full int8 .tflite, through the runtime that ferd uses."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._net = Interpreter(str(path), num_threads=1)
        self._net.allocate_tensors()
        self._source, self._sink = self._net.get_input_details()[0], self._net.get_output_details()[0]

    def __call__(self, pictures: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """(N, height, width) normalised gray to (N, labels) logits."""
        scale, zero = self._source["quantization"]
        steps = np.clip(np.round(pictures / scale) + zero, -128, 127).astype(np.int8)
        scale, zero = self._sink["quantization"]
        return (np.array([self._run(picture) for picture in steps]) - zero) * scale

    def _run(self, steps: NDArray[np.int8]) -> NDArray[np.float64]:
        self._net.set_tensor(self._source["index"], steps[None, :, :, None])
        self._net.invoke()
        return np.asarray(self._net.get_tensor(self._sink["index"])[0], np.float64)


def run_file(path: Path, tiles: NDArray[np.uint8], mean: float, std: float) -> NDArray[np.float64]:
    """Logits of the file for uint8 tiles."""
    return FileNet(path)((tiles / 255 - mean) / std)


def softmax(logits: NDArray[np.float64], temperature: float = 1.0) -> NDArray[np.float64]:
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the temperature of the smallest negative log likelihood, to a hundredth."""
    candidates = np.arange(0.3, 3.0, 0.01)
    return round(float(candidates[int(np.argmin([_loss(logits, labels, t) for t in candidates]))]), 2)


def fairest_temperature(parts: Sequence[tuple[NDArray[np.float64], NDArray[np.bool_]]]) -> float:
    """Return the temperature that leaves the smallest error in the set where it is largest, to a hundredth.

    The error of a set is the difference between its mean confidence and its accuracy. It is zero at another temperature
    in every set; the likelihood of all sets together may leave one set overconfident by twice as much as the others.

    Args:
        parts: Logits (N, labels) of each set, and which of its N predictions are right.
    """
    candidates = np.arange(0.3, 3.0, 0.01)
    worst = [
        max(abs(softmax(logits, t).max(axis=1).mean() - right.mean()) for logits, right in parts) for t in candidates
    ]
    return round(float(candidates[int(np.argmin(worst))]), 2)


def _loss(logits: NDArray[np.float64], labels: NDArray[np.int64], temperature: float) -> float:
    return float(-np.log(softmax(logits, temperature)[np.arange(len(labels)), labels] + 1e-12).mean())


def calibration_error(probabilities: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error over bins of equal width of the top probability."""
    top = probabilities.max(axis=1)
    bins = np.minimum((top * BINS).astype(int), BINS - 1)
    gaps = [
        (bins == b).mean() * abs(top[bins == b].mean() - right[bins == b].mean())
        for b in range(BINS)
        if (bins == b).any()
    ]
    return float(sum(gaps))


def error_by_chance(probabilities: NDArray[np.float64], draws: int = 100) -> float:
    """Return the calibration error that predictions of these probabilities have on average if they are perfect."""
    random = np.random.default_rng(8322)
    top = probabilities.max(axis=1)
    return float(np.mean([calibration_error(probabilities, random.random(len(top)) < top) for _ in range(draws)]))


def judge(logits: NDArray[np.float64], labels: NDArray[np.int64], temperature: float = 1.0) -> Figures:
    """Labels may hold one more than the model knows (contempt): those are always wrong."""
    count = logits.shape[1]
    said = logits.argmax(axis=1)
    right = said == labels
    confusion = np.zeros((max(count, int(labels.max()) + 1), count), dtype=np.int64)
    np.add.at(confusion, (labels, said), 1)
    recall = tuple(float(right[labels == k].mean()) if (labels == k).any() else float("nan") for k in range(count))
    error = calibration_error(softmax(logits, temperature), right)
    return Figures(float(right.mean()), recall, confusion, error, len(labels))
