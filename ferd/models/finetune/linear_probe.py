"""A softmax head on fixed features: multinomial logistic regression, in seconds on a Pi, with numpy alone.

The features come from a network that has seen tens of thousands of faces, so a linear head is enough, and some dozens
of samples a class are. The same idea drives Teachable Machine (transfer learning, Donahue et al. 2014, "DeCAF").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferd.models.finetune.tflite_edit import Head

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

ROUNDS = 600
RATE = 0.05
PATIENCE = 60
DECAY = 1e-2
"""L2 penalty on the standardised weights: with more features than samples, something must hold them back."""
STOP_SHARE = 0.15
"""Of the training samples, for the decision when to stop."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples as features. `features` (n, f), `labels` (n,), `source` (n,): which picture each was made from."""

    features: Floats
    labels: Ints
    source: Ints

    def only(self, sources: NDArray[np.bool_]) -> Dataset:
        """Those whose picture is chosen; `sources` (pictures,)."""
        mine = sources[self.source]
        return Dataset(self.features[mine], self.labels[mine], self.source[mine])


def train(lesson: Dataset, classes: int, tick: Callable[[float], None] = lambda _done: None) -> tuple[Head, float]:
    """A head and its temperature, both from this lesson alone. `tick` hears how far it is, 0 to 1.

    Classes count alike, however many samples each has. Pictures that decide when to stop train nothing.
    """
    stops = spread_out(lesson, STOP_SHARE)
    fit, stop = lesson.only(~stops), lesson.only(stops)
    mean, spread = fit.features.mean(axis=0), fit.features.std(axis=0) + 1e-3
    x, y = (fit.features - mean) / spread, np.eye(classes, dtype=np.float32)[fit.labels]
    shares = 1 / np.maximum(np.bincount(fit.labels, minlength=classes), 1)
    weight = shares[fit.labels] / shares[fit.labels].sum()
    far = (stop.features - mean) / spread
    best, best_loss, waited = _zeros(x.shape[1], classes), np.inf, 0
    current, steps = _zeros(x.shape[1], classes), Adam(RATE)
    for round_ in range(ROUNDS):
        error = (softmax(x @ current[:-1] + current[-1]) - y) * weight[:, None]
        gradient = np.vstack([x.T @ error + DECAY * current[:-1], error.sum(axis=0)])
        current = current - steps(gradient)
        loss = cross_entropy(far @ current[:-1] + current[-1], stop.labels)
        best, best_loss, waited = (current, loss, 0) if loss < best_loss - 1e-4 else (best, best_loss, waited + 1)
        tick((round_ + 1) / ROUNDS)
        if waited >= PATIENCE:
            break
    weights = (best[:-1] / spread[:, None]).T.astype(np.float32)
    head = Head(weights, (best[-1] - weights @ mean).astype(np.float32))
    return head, temperature(stop.features @ head.weights.T + head.bias, stop.labels)


def spread_out(lesson: Dataset, share: float) -> NDArray[np.bool_]:
    """Which pictures are set aside: of every class the last ones, at least one; (pictures,).

    The last ones rather than any: pictures that follow each other are near-twins, and a twin in both parts flatters.
    """
    chosen = np.zeros(int(lesson.source.max()) + 1, bool)
    for label in np.unique(lesson.labels):
        pictures = np.unique(lesson.source[lesson.labels == label])
        chosen[pictures[-max(1, round(share * len(pictures))) :]] = True
    return chosen


def softmax(logits: NDArray[np.floating]) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def cross_entropy(logits: NDArray[np.floating], labels: Ints) -> float:
    right = softmax(logits)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(right, 1e-7)).mean())


def temperature(logits: NDArray[np.floating], labels: Ints) -> float:
    """The T for which softmax(logits / T) is best calibrated on these samples (Guo et al. 2017), 0.5 to 5."""
    choices = np.geomspace(0.5, 5.0, 47)
    return round(float(min(choices, key=lambda t: cross_entropy(logits / t, labels))), 3)


class Adam:
    """Kingma & Ba 2015, with its usual constants."""

    def __init__(self, rate: float) -> None:
        self._rate, self._steps = rate, 0
        self._mean: NDArray[np.floating] | float = 0.0
        self._square: NDArray[np.floating] | float = 0.0

    def __call__(self, gradient: NDArray[np.floating]) -> NDArray[np.floating]:
        """How far to go against the gradient."""
        self._steps += 1
        self._mean = 0.9 * self._mean + 0.1 * gradient
        self._square = 0.999 * self._square + 0.001 * gradient**2
        mean, square = self._mean / (1 - 0.9**self._steps), self._square / (1 - 0.999**self._steps)
        return np.asarray(self._rate * mean / (np.sqrt(square) + 1e-8))


def _zeros(features: int, classes: int) -> NDArray[np.floating]:
    """Weights, with the bias as the last row."""
    return np.zeros((features + 1, classes))
