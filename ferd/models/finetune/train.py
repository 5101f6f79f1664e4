"""Train a user's own classes and install the model, with figures on samples that were held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferd.errors import FerdError
from ferd.models.bundle import Bundle, sha256_of
from ferd.models.finetune.dataset import Dataset, FeatureNet, SavedDataset
from ferd.models.finetune.linear_probe import held_out, softmax, train
from ferd.models.finetune.tflite_edit import with_head
from ferd.models.labels import check_labels
from ferd.models.registry import store
from ferd.models.runtime import Network
from ferd.names import label_problem
from ferd.scratch import scratch_folder

MIN_SAMPLES = 5
"""Least number of samples of a class."""
HELD_OUT_SHARE = 0.2
MAX_CONFUSING = 8


@dataclass(frozen=True, slots=True)
class Confusing:
    """Describe a held-out sample that was classified wrongly, as `said`."""

    name: str
    label: str
    said: str
    probability: float


@dataclass(frozen=True, slots=True)
class Report:
    """Report a training, by held-out samples and before quantisation.

    ``confusion``: true labels by rows, predicted ones by columns.
    """

    bundle: Bundle
    accuracy: float
    confusion: NDArray[np.int64]
    confusing: tuple[Confusing, ...]
    taught: int
    held_out: int


def check_names(classes: Sequence[str]) -> None:
    """Raise FerdError for a class that is named twice, cannot be shown, or reads like no value to a subscriber."""
    twice = [label for label, count in Counter(classes).items() if count > 1]
    if twice:
        raise FerdError(f"the class {', '.join(sorted(twice))} was named twice")
    if classes:
        check_labels(classes, "--class")
    for label in classes:
        if problem := label_problem(label):
            raise FerdError(f'the class "{label}" {problem}; rename it')


def check(classes: Sequence[str], counts: Sequence[int]) -> None:
    """Raise FerdError when there are fewer than two classes, an unfit name, or too few samples of one."""
    check_names(classes)
    if len(classes) < 2:
        raise FerdError("one class is not enough: name at least two (--class happy --class tired)")
    thin = [f"{label} ({count})" for label, count in zip(classes, counts, strict=True) if count < MIN_SAMPLES]
    if thin:
        raise FerdError(
            f"too few samples with a usable face: {', '.join(thin)}; at least {MIN_SAMPLES} per class, better 50"
        )


def train_model(
    name: str,
    datasets: Sequence[SavedDataset],
    net: FeatureNet,
    *,
    replace: bool = False,
    tick: Callable[[float], None] = lambda _done: None,
) -> Report:
    """Train, write, judge and install a model. Raises FerdError or ModelError; then nothing was installed."""
    labels = tuple(dataset.label for dataset in datasets)
    check(labels, [len(dataset.names) for dataset in datasets])
    joined = _joined(datasets)
    held = held_out(joined, HELD_OUT_SHARE)
    head, temperature = train(joined.only(~held), len(labels), tick)
    plain = [features[:, 0] for features in (dataset.features for dataset in datasets)]
    samples = np.concatenate(plain)
    truth = np.repeat(np.arange(len(labels)), [len(rows) for rows in plain])
    with scratch_folder("teach") as folder:
        file = folder / "taught.tflite"
        file.write_bytes(with_head(net.model, head, joined.features))
        Network(file)  # raises when it cannot be loaded
        scores = softmax((samples @ head.weights.T + head.bias) / temperature)
        report = _judge(scores[held], truth[held], labels, [n for k in datasets for n in k.names], held)
        figures = {"accuracy": round(report[0], 4), "n": int(held.sum()), "protocol": _PROTOCOL}
        counts = {taught.label: len(taught.names) for taught in datasets}
        card = _card(name, net.bundle, temperature, counts) | {"figures": figures, "sha256": sha256_of(file)}
        bundle = store(file, card, replace=replace)
    return Report(bundle, *report, taught=int((~held).sum()), held_out=int(held.sum()))


_PROTOCOL = "the last fifth of each class's samples, held out of the training"


def _joined(datasets: Sequence[SavedDataset]) -> Dataset:
    features = np.concatenate([dataset.features.reshape(-1, dataset.features.shape[-1]) for dataset in datasets])
    labels = np.repeat(
        np.arange(len(datasets)), [dataset.features.shape[0] * dataset.features.shape[1] for dataset in datasets]
    )
    views = np.concatenate([np.full(len(dataset.names), dataset.features.shape[1]) for dataset in datasets])
    return Dataset(features, labels, np.repeat(np.arange(len(views)), views))


def _judge(
    scores: NDArray[np.float32],
    truth: NDArray[np.int64],
    labels: Sequence[str],
    names: Sequence[str],
    held: NDArray[np.bool_],
) -> tuple[float, NDArray[np.int64], tuple[Confusing, ...]]:
    top = scores.argmax(axis=1)
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (truth, top), 1)
    wrong = np.flatnonzero(top != truth)
    where = np.flatnonzero(held)
    worst = sorted(wrong, key=lambda n: -scores[n, top[n]])[:MAX_CONFUSING]
    confusing = tuple(
        Confusing(names[where[n]], labels[truth[n]], labels[top[n]], round(float(scores[n, top[n]]), 2)) for n in worst
    )
    return float((top == truth).mean()), confusion, confusing


def _card(name: str, base: Bundle, temperature: float, counts: dict[str, int]) -> dict[str, Any]:
    """Make the card without figures and digest. `counts`: samples by label."""
    assert base.input is not None, "the shipped bundle has a card"
    samples = ", ".join(f"{label} {count}" for label, count in counts.items())
    return {
        "name": name,
        "kind": "expression",
        "version": 1,
        "labels": list(counts),
        "input": base.input.to_card(),
        "output": "logits",
        "temperature": temperature,
        "crop": base.crop.to_card(),
        "trained_on": [
            {"name": "yours", "what": f"trained on this device: {samples}", "licence": "yours"},
            {
                "name": base.name,
                "what": "the network below the last layer",
                "licence": str(base.card.get("licence", "")),
            },
        ],
        "not_for": "Anyone but the people in its samples, until it was tried on others.",
        "licence": "yours",
        "created": datetime.now(UTC).date().isoformat(),
    }
