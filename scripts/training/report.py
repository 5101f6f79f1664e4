"""Judges the int8 file as ferd runs it, prints what matters and writes the card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferd.types import Image
from training import card
from training.data import LABELS, TRAIN_LABELS
from training.fit import accuracy
from training.judge import (
    Figures,
    calibration_error,
    error_by_chance,
    fairest_temperature,
    judge,
    run_file,
    softmax,
)
from training.mixture import Judged
from training.net import MEAN, STD, ExpressionNet, multiply_adds
from training.stress import STRESSES
from training.worlds import World

FILLED = [LABELS.index(name) for name in ("anger", "happiness", "sadness", "surprise", "neutral")]
FEW = 300  # pictures: the accuracy of a half of fewer is known to 4 points at best; no say in the temperature
NO_SAY = ("photos uncut",)  # the same people as photos


@dataclass(frozen=True)
class Answers:
    """What the file says to the pictures of one set."""

    logits: NDArray[np.float64]
    labels: NDArray[np.int64]

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.asarray(self.logits.argmax(axis=1) == self.labels)

    def half(self, which: int) -> Answers:
        """Return every second picture, from the first or from the second on."""
        return Answers(self.logits[which::2], self.labels[which::2])


def report(path: Path, net: ExpressionNet, judged: Mapping[str, Judged], worlds: Mapping[str, World]) -> None:
    """Figures of the file, set by set, beside those of the float net that it came from."""
    answers = {
        name: Answers(run_file(path, part.tiles, MEAN, STD), part.labels)
        for name, part in judged.items()
        if len(part.labels)
    }
    temperature = common_temperature(answers)
    figures = {name: judge(said.logits, said.labels, temperature) for name, said in answers.items()}
    sets = by_set(answers, figures)
    votes = judged["ferplus"]
    more = {"accuracy_float": accuracy(net, votes), **_on_photos(figures)}
    stress = {name: _accuracy(path, _spoilt(votes.tiles, spoil), votes.labels) for name, spoil in STRESSES.items()}
    macs = multiply_adds(net)
    content = card.card(
        path,
        figures["ferplus"],
        more | {"ece": sets["ferplus"]["ece"]},
        sets,
        stress,
        mean=MEAN,
        std=STD,
        temperature=temperature,
        macs=macs,
        trained_on=[*(card.SETS[name] for name in worlds), card.BEFORE],
    )
    card.write(path.with_suffix(".json"), content)
    _show(content, figures["ferplus"], path)


def common_temperature(answers: Mapping[str, Answers]) -> float:
    """Return the one temperature of the file, over all sets of enough pictures."""
    return fairest_temperature([(answers[name].logits, answers[name].right) for name in _large(answers)])


def _large(answers: Mapping[str, Answers]) -> list[str]:
    return [name for name, said in answers.items() if len(said.labels) >= FEW and name not in NO_SAY] or list(answers)


def probabilities(answers: Mapping[str, Answers]) -> dict[str, NDArray[np.float64]]:
    """Return the probabilities (N, labels) of every set, each half at the temperature that the other half gives."""
    parts = {name: np.zeros_like(said.logits) for name, said in answers.items()}
    for which in (0, 1):
        others = [answers[name].half(1 - which) for name in _large(answers)]
        temperature = fairest_temperature([(said.logits, said.right) for said in others])
        for name, said in answers.items():
            parts[name][which::2] = softmax(said.half(which).logits, temperature)
    return parts


def by_set(answers: Mapping[str, Answers], figures: Mapping[str, Figures]) -> dict[str, dict[str, Any]]:
    """Return the card's figures of every set."""
    certain = probabilities(answers)
    return {
        name: {
            "accuracy": round(figures[name].accuracy, 4),
            "ece": round(calibration_error(certain[name], said.right), 4),
            "ece_by_chance": round(error_by_chance(certain[name]), 4),
            "n": figures[name].n,
            "recall": recall_by_label(figures[name]),
        }
        for name, said in answers.items()
    }


def recall_by_label(told: Figures) -> dict[str, float]:
    """Recall of the labels that the set has."""
    return {name: round(value, 4) for name, value in zip(LABELS, told.recall, strict=True) if not np.isnan(value)}


def _on_photos(figures: Mapping[str, Figures]) -> dict[str, float]:
    """Accuracy by cut, and the mean recall of the labels that have more than a handful of people."""
    told = {}
    for name, key in (("photos", "photos"), ("photos uncut", "photos_whole")):
        if name in figures:
            told[f"accuracy_{key}"] = figures[name].accuracy
            told[f"mean_recall_{key}"] = float(np.nanmean(np.array(figures[name].recall)[FILLED]))
    return told


def _accuracy(path: Path, tiles: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    return float((run_file(path, tiles, MEAN, STD).argmax(axis=1) == labels).mean())


def _spoilt(tiles: NDArray[np.uint8], spoil: Callable[[Image], Image]) -> NDArray[np.uint8]:
    return np.stack([spoil(tile) for tile in tiles])


def _show(content: Mapping[str, Any], votes: Figures, path: Path) -> None:
    figures = content["figures"]
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB, {content['macs'] / 1e6:.1f} MMAC")
    print(f"temperature {content['temperature']}; float on FER+ {figures['accuracy_float']:.4f}")
    print(f"\n{'':<16}{'n':>6}{'right':>8}{'ece':>8}{'chance':>8}" + "".join(f"{name[:8]:>10}" for name in LABELS))
    for name, told in figures["sets"].items():
        recall = "".join(f"{told['recall'].get(label, float('nan')):>10.2f}" for label in LABELS)
        print(
            f"{name:<16}{told['n']:>6}{told['accuracy']:>8.3f}{told['ece']:>8.3f}{told['ece_by_chance']:>8.3f}{recall}"
        )
    print("\nFER+, seen worse: " + ", ".join(f"{name} {value:.3f}" for name, value in figures["stress"].items()))
    print("\nFER+ confusion (rows: the crowd, columns: the model)")
    for name, row in zip(TRAIN_LABELS, votes.confusion, strict=False):
        print(f"{name:<9}" + "".join(f"{int(count):>10}" for count in row))
