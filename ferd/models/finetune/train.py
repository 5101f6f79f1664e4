"""One lesson from samples to a bundle on the shelf, with figures on samples that it was not taught with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferd.errors import FerdError
from ferd.models.bundle import UNSHOWABLE, Bundle, sha256_of
from ferd.models.finetune.features import FeatureNet
from ferd.models.finetune.keep import SavedDataset
from ferd.models.finetune.linear_probe import Dataset, softmax, spread_out, train
from ferd.models.finetune.samples import Collected, vary
from ferd.models.finetune.tflite_edit import with_head
from ferd.models.runtime import Network
from ferd.models.store import store

LEAST = 5
"""Samples of a class, below which nothing can be said."""
HELD_SHARE = 0.2
CONFUSING = 8


@dataclass(frozen=True, slots=True)
class Confusing:
    """A held-out sample that was taken for another class."""

    name: str
    label: str
    said: str
    probability: float


@dataclass(frozen=True, slots=True)
class Report:
    """`accuracy` and `confusion` (told by rows, said by columns): of held-out samples, before quantising."""

    bundle: Bundle
    accuracy: float
    confusion: NDArray[np.int64]
    confusing: tuple[Confusing, ...]
    taught: int
    held_out: int


def to_features(net: FeatureNet, collected: Collected, *, flip: bool) -> SavedDataset:
    """The features of every sample and of its variations, which come with it wherever it goes."""
    rows = [net(vary(crop, flip=flip)) for crop in collected.crops]
    return SavedDataset(collected.label, np.stack(rows), tuple(collected.names))


def check(classes: Sequence[str], counts: Sequence[int]) -> None:
    """Raises FerdError when there is nothing to tell apart, or too little to learn from."""
    twice = {label for label in classes if classes.count(label) > 1}
    if twice:
        raise FerdError(f"the class {', '.join(sorted(twice))} was named twice")
    if odd := [label for label in classes if not label.strip() or UNSHOWABLE.search(label)]:
        raise FerdError(f"the class name {odd[0]!r} is empty or holds characters that cannot be shown; rename it")
    if len(classes) < 2:  # one class is nothing to tell apart
        raise FerdError("one class is nothing to tell apart: name at least two (--class happy --class tired)")
    thin = [f"{label} ({count})" for label, count in zip(classes, counts, strict=True) if count < LEAST]
    if thin:
        raise FerdError(f"too few samples with a usable face: {', '.join(thin)}; at least {LEAST} a class, better 50")


def teach(
    name: str,
    lessons: Sequence[SavedDataset],
    net: FeatureNet,
    *,
    replace: bool = False,
    tick: Callable[[float], None] = lambda _done: None,
) -> Report:
    """Train, write, store and judge. Raises FerdError or ModelError; then nothing was stored."""
    labels = tuple(lesson.label for lesson in lessons)
    check(labels, [len(lesson.names) for lesson in lessons])
    lesson = _joined(lessons)
    held = spread_out(lesson, HELD_SHARE)
    head, temperature = train(lesson.only(~held), len(labels), tick)
    plain = [features[:, 0] for features in (lesson.features for lesson in lessons)]
    samples = np.concatenate(plain)
    truth = np.repeat(np.arange(len(labels)), [len(rows) for rows in plain])
    with TemporaryDirectory(prefix="ferd-teach-") as folder:
        file = Path(folder) / "taught.tflite"
        file.write_bytes(with_head(net.model, head, lesson.features))
        Network(file)  # what cannot be loaded is not stored
        said = softmax((samples @ head.weights.T + head.bias) / temperature)
        report = _judge(said[held], truth[held], labels, [n for k in lessons for n in k.names], held)
        figures = {"accuracy": round(report[0], 4), "n": int(held.sum()), "protocol": _PROTOCOL}
        counts = {taught.label: len(taught.names) for taught in lessons}
        card = _card(name, net.bundle, temperature, counts) | {"figures": figures, "sha256": sha256_of(file)}
        bundle = store(file, card, replace=replace)
    return Report(bundle, *report, taught=int((~held).sum()), held_out=int(held.sum()))


_PROTOCOL = "the last fifth of each class's samples, which trained nothing"


def _joined(lessons: Sequence[SavedDataset]) -> Dataset:
    features = np.concatenate([lesson.features.reshape(-1, lesson.features.shape[-1]) for lesson in lessons])
    labels = np.repeat(
        np.arange(len(lessons)), [lesson.features.shape[0] * lesson.features.shape[1] for lesson in lessons]
    )
    views = np.concatenate([np.full(len(lesson.names), lesson.features.shape[1]) for lesson in lessons])
    return Dataset(features, labels, np.repeat(np.arange(len(views)), views))


def _judge(
    said: NDArray[np.float32],
    truth: NDArray[np.int64],
    labels: Sequence[str],
    names: Sequence[str],
    held: NDArray[np.bool_],
) -> tuple[float, NDArray[np.int64], tuple[Confusing, ...]]:
    top = said.argmax(axis=1)
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (truth, top), 1)
    wrong = np.flatnonzero(top != truth)
    where = np.flatnonzero(held)
    worst = sorted(wrong, key=lambda n: -said[n, top[n]])[:CONFUSING]
    confusing = tuple(
        Confusing(names[where[n]], labels[truth[n]], labels[top[n]], round(float(said[n, top[n]]), 2)) for n in worst
    )
    return float((top == truth).mean()), confusion, confusing


def _card(name: str, base: Bundle, temperature: float, counts: dict[str, int]) -> dict[str, Any]:
    """All of the card but its figures and the file's sum. `counts`: samples by label."""
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
            {"name": "yours", "what": f"taught on this device: {samples}", "licence": "yours"},
            {"name": base.name, "what": "the network below the head", "licence": str(base.card.get("licence", ""))},
        ],
        "not_for": "Anyone but those who taught it, until it was tried on others.",
        "licence": "yours",
        "created": datetime.now(UTC).date().isoformat(),
    }
