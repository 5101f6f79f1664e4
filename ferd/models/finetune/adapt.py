"""Calibrate a model to one person, such as a neutral face that is classified as sad, by a minute of samples.

Heavy lids or a mouth that points down shift the scores of all faces of a person alike. So one number per label is
learned and added to the logits; nothing else changes. It is learned on two expressions only, and a strong prior
(`PRIOR`, in samples) towards no change keeps it from suppressing the other labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ferd.errors import FerdError
from ferd.models.bundle import Bundle, sha256_of
from ferd.models.finetune.dataset import FeatureNet, SavedDataset
from ferd.models.finetune.linear_probe import Adam, softmax
from ferd.models.finetune.tflite_edit import Head, head_of, with_head
from ferd.models.registry import store
from ferd.models.runtime import Network
from ferd.scratch import scratch_folder

LABELS = ("neutral", "happiness")
PRIOR = 10.0
MAX_SHIFT = 2.0
"""Largest shift of a label, in logits after the temperature: a factor of 7 in its odds."""
ROUNDS = 400
GOOD = 0.9
"""Share of right samples from which there is no need to record again."""


class NotImprovedError(FerdError):
    """The correction reads the held-out samples no better than the network does without it."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """Report a calibration. `before`, `after`: accuracy on the held-out half. `shift`: by label, in logits."""

    bundle: Bundle
    before: float
    after: float
    shift: dict[str, float]
    held_out: int


def adapt(name: str, datasets: Sequence[SavedDataset], net: FeatureNet, *, replace: bool = False) -> Adapted:
    """Learn on the first half of each class, measure on the second, install a corrected copy if it is better.

    Raises FerdError when the network lacks one of LABELS, or the classes are not these; NotImprovedError when the copy
    is not better. Then nothing is installed.
    """
    labels = net.bundle.labels
    if missing := [label for label in LABELS if label not in labels]:
        raise FerdError(f"{net.bundle.name} has no label {' and no label '.join(missing)}; adapt ferd's own expression")
    old = head_of(net.model)
    logits, truth, held = _halves(datasets, old, labels)
    logits /= net.bundle.temperature
    shift = learn(logits[~held], truth[~held], len(labels))
    before, after = (float((values.argmax(axis=1) == truth)[held].mean()) for values in (logits, logits + shift))
    if after <= before:
        raise NotImprovedError(
            f"nothing was stored: of {int(held.sum())} held-out samples {100 * before:.0f} % are right without a "
            f"correction and {100 * after:.0f} % with it, so {net.bundle.name} stays as it is"
            f"{'' if before >= GOOD else '. Record again, in even light, with a clear smile'}"
        )
    head = Head(old.weights, (old.bias + net.bundle.temperature * shift).astype(np.float32))
    features = np.concatenate([dataset.features.reshape(-1, dataset.features.shape[-1]) for dataset in datasets])
    shifts = {label: round(float(value), 2) for label, value in zip(labels, shift, strict=True)}
    with scratch_folder("adapt") as folder:
        file = folder / "adapted.tflite"
        file.write_bytes(with_head(net.model, head, _reaching(features, old)))
        Network(file)  # raises when it cannot be loaded
        card = net.bundle.card | {
            "name": name,
            "adapted": {
                "shift": shifts,
                "held_out": int(held.sum()),
                "before": round(before, 4),
                "after": round(after, 4),
            },
            "not_for": "Anyone but the person it was adapted to.",
            "sha256": sha256_of(file),
            "created": datetime.now(UTC).date().isoformat(),
        }
        return Adapted(store(file, card, replace=replace), before, after, shifts, int(held.sum()))


def learn(logits: NDArray[np.floating], truth: NDArray[np.int64], labels: int) -> NDArray[np.floating]:
    """Return what to add to each logit, (labels,): the most likely shift under a normal prior, bounded by MAX_SHIFT."""
    shift, steps = np.zeros(labels), Adam(0.02)
    wanted = np.eye(labels)[truth]
    counts = np.bincount(truth, minlength=labels)
    weight = (1 / np.maximum(counts, 1))[truth][:, None] * len(truth) / max(1, (counts > 0).sum())
    for _ in range(ROUNDS):
        error = ((softmax(logits + shift) - wanted) * weight).sum(axis=0) + PRIOR * shift
        shift = np.clip(shift - steps(error / (len(truth) + PRIOR)), -MAX_SHIFT, MAX_SHIFT)
    centred: NDArray[np.floating] = shift - shift.mean()
    return centred


def _halves(
    datasets: Sequence[SavedDataset], head: Head, labels: Sequence[str]
) -> tuple[NDArray[np.floating], NDArray[np.int64], NDArray[np.bool_]]:
    """Return logits and labels of the samples, and which of them are held out: the second half of each class."""
    plain = [dataset.features[:, 0] for dataset in datasets]
    logits = np.concatenate(plain) @ head.weights.T + head.bias
    truth = np.repeat([labels.index(dataset.label) for dataset in datasets], [len(rows) for rows in plain])
    held = np.concatenate([np.arange(len(rows)) >= len(rows) / 2 for rows in plain])
    return logits.astype(np.float64), truth, held


def _reaching(features: NDArray[np.float32], head: Head) -> NDArray[np.float32]:
    """Add to the samples, for each label, one artificial row of features with the largest logit of any sample.

    Two expressions do not show how far the logits of the other labels reach, but the quantised output must hold them.
    """
    most = float((features @ head.weights.T + head.bias).max())
    norms = (head.weights**2).sum(axis=1)
    made = head.weights * ((most - head.bias) / norms)[:, None]
    return np.concatenate([features, made.astype(np.float32)])
