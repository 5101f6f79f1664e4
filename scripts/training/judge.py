"""How good a model is: the FER+ majority protocol, recall, calibration. numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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


def run_file(path: Path, tiles: NDArray[np.uint8], mean: float, std: float) -> NDArray[np.float64]:
    """Logits of the .tflite for uint8 tiles, through the runtime that ferd uses."""
    from ai_edge_litert.interpreter import Interpreter

    net = Interpreter(str(path), num_threads=1)
    net.allocate_tensors()
    source, sink = net.get_input_details()[0], net.get_output_details()[0]
    scale, zero = source["quantization"]
    out_scale, out_zero = sink["quantization"]
    values = (np.arange(256) / 255 - mean) / std
    steps = np.clip(np.round(values / scale) + zero, -128, 127).astype(np.int8)
    logits = []
    for tile in tiles:
        net.set_tensor(source["index"], steps[tile][None, :, :, None])
        net.invoke()
        logits.append((net.get_tensor(sink["index"])[0].astype(np.float64) - out_zero) * out_scale)
    return np.array(logits)


def softmax(logits: NDArray[np.float64], temperature: float = 1.0) -> NDArray[np.float64]:
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The temperature of the smallest negative log likelihood, to a hundredth."""
    rows = np.arange(len(labels))
    candidates = np.arange(0.3, 3.0, 0.01)
    losses = [-np.log(softmax(logits, t)[rows, labels] + 1e-12).mean() for t in candidates]
    return round(float(candidates[int(np.argmin(losses))]), 2)


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
