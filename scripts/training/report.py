"""Judges the int8 file as ferd runs it, prints what matters and writes the card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from training import card
from training.cache import Pictures
from training.data import LABELS, TRAIN_LABELS
from training.fit import accuracy
from training.judge import Figures, calibration_error, fit_temperature, judge, run_file, softmax
from training.net import MEAN, STD, ExpressionNet, multiply_adds
from training.stress import STRESSES


def report(path: Path, net: ExpressionNet, data: Pictures) -> Figures:
    """Figures of the file beside those of the float net that it came from."""
    judged = data.validation
    logits = run_file(path, judged.tiles, MEAN, STD)
    single = ~judged.duplicate
    kept, labels = logits[single], judged.labels[single]
    known = labels < len(LABELS)
    fitted = known & (np.arange(len(labels)) % 2 == 0)
    temperature = fit_temperature(kept[fitted], labels[fitted])
    figures = judge(kept, labels)
    rest = np.arange(len(labels)) % 2 == 1
    right = kept.argmax(axis=1) == labels
    error = calibration_error(softmax(kept, temperature)[rest], right[rest])
    figures = replace(figures, ece=error)

    more = {
        "accuracy_float": accuracy(net, judged.without_duplicates()),
        "accuracy_with_duplicates": float((logits.argmax(axis=1) == judged.labels).mean()),
    }
    if len(data.photos.tiles):
        said = run_file(path, data.photos.tiles, MEAN, STD).argmax(axis=1)
        more["accuracy_photos"] = float((said == data.photos.labels).mean())
    clear = judged.without_duplicates()
    stress = {}
    for name, spoil in STRESSES.items():
        spoilt = np.stack([spoil(tile) for tile in clear.tiles])
        said = run_file(path, spoilt, MEAN, STD).argmax(axis=1)
        stress[name] = float((said == clear.labels).mean())
    macs = multiply_adds(net)
    content = card.card(
        path,
        figures,
        more,
        stress,
        mean=MEAN,
        std=STD,
        temperature=temperature,
        macs=macs,
        with_photos=len(data.photos.tiles) > 0,
    )
    card.write(path.with_suffix(".json"), content)
    _show(figures, more | stress, temperature, macs, path)
    return figures


def _show(figures: Figures, more: dict[str, float], temperature: float, macs: int, path: Path) -> None:
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB, {macs / 1e6:.1f} MMAC")
    print(f"accuracy (int8)            {figures.accuracy:.4f}  over {figures.n} pictures")
    for name, value in more.items():
        print(f"{name:<26} {value:.4f}")
    print(f"{'ece':<26} {figures.ece:.4f}  at temperature {temperature}")
    print("\nrecall   " + "".join(f"{name[:8]:>10}" for name in LABELS))
    print("         " + "".join(f"{value:>10.3f}" for value in figures.recall))
    print("\nconfusion (rows: the crowd, columns: the model)")
    for name, row in zip(TRAIN_LABELS, figures.confusion, strict=False):
        print(f"{name:<9}" + "".join(f"{int(count):>10}" for count in row))
