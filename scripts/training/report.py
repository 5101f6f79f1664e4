"""Judges the int8 file as ferd runs it, prints what matters and writes the card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ferd.types import Image
from training import card
from training.cache import Pictures
from training.data import LABELS, TRAIN_LABELS, Judged
from training.fit import accuracy
from training.judge import Figures, calibration_error, fit_temperature, judge, run_file, softmax
from training.net import MEAN, STD, ExpressionNet, multiply_adds
from training.stress import STRESSES

FILLED = [LABELS.index(name) for name in ("anger", "happiness", "sadness", "surprise", "neutral")]


def report(path: Path, net: ExpressionNet, data: Pictures) -> Figures:
    """Figures of the file beside those of the float net that it came from."""
    judged = data.validation
    logits = run_file(path, judged.tiles, MEAN, STD)
    kept, labels = logits[~judged.duplicate], judged.labels[~judged.duplicate]
    first = np.arange(len(labels)) % 2 == 0
    fitted = first & (labels < len(LABELS))
    temperature = fit_temperature(kept[fitted], labels[fitted])
    right = kept.argmax(axis=1) == labels
    error = calibration_error(softmax(kept, temperature)[~first], right[~first])
    figures = replace(judge(kept, labels), ece=error)

    clear = judged.without_duplicates()
    more = {
        "accuracy_float": accuracy(net, clear),
        "accuracy_with_duplicates": float((logits.argmax(axis=1) == judged.labels).mean()),
        **_on_photos(path, data),
    }
    stress = {name: _accuracy(path, _spoilt(clear, spoil)) for name, spoil in STRESSES.items()}
    macs = multiply_adds(net)
    sources = ((card.FERPLUS, data.votes), (card.PHOTOS, data.photos), (card.UNLABELLED, data.unlabelled))
    content = card.card(
        path,
        figures,
        more,
        stress,
        mean=MEAN,
        std=STD,
        temperature=temperature,
        macs=macs,
        trained_on=[source for source, sample in sources if len(sample)],
    )
    card.write(path.with_suffix(".json"), content)
    _show(figures, more | stress, temperature, macs, path)
    return figures


def _on_photos(path: Path, data: Pictures) -> dict[str, float]:
    """Accuracy by cut, and the mean recall of the labels that have more than a handful of people."""
    figures = {}
    for name, held in (("photos", data.held.cut), ("photos_whole", data.held.whole)):
        if len(held.labels):
            told = judge(run_file(path, held.tiles, MEAN, STD), held.labels)
            figures[f"accuracy_{name}"] = told.accuracy
            figures[f"mean_recall_{name}"] = float(np.nanmean(np.array(told.recall)[FILLED]))
    return figures


def _accuracy(path: Path, judged: Judged) -> float:
    return float((run_file(path, judged.tiles, MEAN, STD).argmax(axis=1) == judged.labels).mean())


def _spoilt(judged: Judged, spoil: Callable[[Image], Image]) -> Judged:
    return replace(judged, tiles=np.stack([spoil(tile) for tile in judged.tiles]))


def _show(figures: Figures, more: dict[str, float], temperature: float, macs: int, path: Path) -> None:
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB, {macs / 1e6:.1f} MMAC")
    print(f"accuracy (int8)                {figures.accuracy:.4f}  over {figures.n} pictures")
    for name, value in more.items():
        print(f"{name:<30} {value:.4f}")
    print(f"{'ece':<30} {figures.ece:.4f}  at temperature {temperature}")
    print("\nrecall   " + "".join(f"{name[:8]:>10}" for name in LABELS))
    print("         " + "".join(f"{value:>10.3f}" for value in figures.recall))
    print("\nconfusion (rows: the crowd, columns: the model)")
    for name, row in zip(TRAIN_LABELS, figures.confusion, strict=False):
        print(f"{name:<9}" + "".join(f"{int(count):>10}" for count in row))
