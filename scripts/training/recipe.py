"""The whole recipe: teachers, the pupil that ships, int8 file, figures, card."""

from __future__ import annotations

import argparse
import math
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.between import between
from training.cache import Pictures, pictures
from training.checkpoint import Settings
from training.data import Judged, Sample, with_more_of
from training.fit import fit, to_input
from training.net import PUPIL, ExpressionNet, Shape, shipped
from training.quantise import CALIBRATION_PICTURES, quantise
from training.report import report
from training.start import net_of
from training.teachers import Teachers

TEACHER_SHARE = 0.7
PUPIL_SHARE = 0.8  # of the weights that ship; the rest are those that it began with
PHOTO_TIMES = {"anger": 3, "sadness": 3, "fear": 3, "surprise": 2, "disgust": 2}  # most press photos smile or do not


# Large nets, seven times the pupil's work: as different from each other as their shapes, seeds and targets make them.
LARGE = {
    "wide": Settings(
        Shape(stem=16, widths=(64, 128, 256), features=256, dropout=0.3), 30, mixed=0.1, teacher_share=0.3, seed=1
    ),
    "deep": Settings(
        Shape(stem=16, widths=(48, 96, 192), blocks=(2, 2, 2), features=256, dropout=0.3), 30, mixed=0.2, seed=2
    ),
}


def train(options: argparse.Namespace, folder: Path) -> None:
    torch.set_num_threads(options.threads)
    begun = time.monotonic()
    data = pictures(folder, options.work)
    told = (
        f"{len(data.votes)} pictures with votes, {len(data.photos)} cuts of photos, {len(data.unlabelled)} unlabelled"
    )
    print(f"{told}, {len(data.validation.tiles)} to judge by")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "expression.tflite"
    stages = Stages(data, options.work, options.epochs, predecessor=path, resume=not options.fresh)
    if options.stage:
        stages.large(options.stage)
        return
    net = shipped(stages.pupil())

    quantise(net, _calibration(stages.sample), path)
    report(path, net, data)
    print(f"\n{(time.monotonic() - begun) / 60:.0f} minutes")


class Stages:
    """Large nets, and the pupil of them and of the file that ships: they err in different places.

    The pupil goes on from the file that ships, where there is one.
    """

    def __init__(self, data: Pictures, work: Path, epochs: float, *, predecessor: Path, resume: bool) -> None:
        """`epochs`: of every stage, as a share of the usual number."""
        self.data = data
        self.work = work
        self.epochs = epochs
        self.resume = resume
        self.kept = self._kept(predecessor)
        self.sample = with_more_of(data.votes, {"disgust": 3}) + with_more_of(data.photos, PHOTO_TIMES)

    def large(self, name: str) -> Path:
        """A large net as an int8 file; some of them learn from the file that ships as well."""
        settings = LARGE[name]
        teachers = Teachers(self.kept) if self.kept and settings.teacher_share else None
        net = self._fit(name, self.sample, settings, teachers=teachers)
        path = self.work / f"{name}.tflite"
        quantise(shipped(net), _calibration(self.sample), path)
        return path

    def pupil(self) -> ExpressionNet:
        teachers = Teachers([*(self.large(name) for name in LARGE), *self.kept])
        said = [_share_right(teachers, part) for part in self.data.judged()]
        print("teachers together: validation {:.4f}, photos {:.4f}, uncut {:.4f}".format(*said))
        start = net_of(self.kept[0], PUPIL, _calibration(self.sample)) if self.kept else None
        settings = Settings(PUPIL, 50, rate=0.05, decay=2e-4, average=0.999, teacher_share=TEACHER_SHARE)
        net = self._fit("pupil", self.sample + self.data.unlabelled, settings, start=start, teachers=teachers)
        return between(start, net, PUPIL_SHARE, self.sample) if start else net

    def _kept(self, predecessor: Path) -> list[Path]:
        """A copy of the file that shipped when this training began; none where there was none."""
        copy = self.work / "predecessor.tflite"
        if predecessor.exists() and not (self.resume and copy.exists()):
            shutil.copy(predecessor, copy)
        return [copy] if copy.exists() else []

    def _fit(self, name: str, sample: Sample, settings: Settings, **more: Any) -> ExpressionNet:
        epochs = max(1, round(settings.epochs * self.epochs))
        settings = replace(settings, epochs=epochs, pictures=len(sample))
        return fit(settings, sample, self.data, self.work / name, resume=self.resume, **more)


def _share_right(teachers: Teachers, judged: Judged) -> float:
    if len(judged.tiles) == 0:
        return math.nan
    told = teachers(to_input(torch.from_numpy(judged.tiles))).argmax(dim=1)
    return float((told.numpy() == judged.labels).mean())


def _calibration(sample: Sample) -> NDArray[np.uint8]:
    picked = np.random.default_rng(8322).choice(len(sample), min(CALIBRATION_PICTURES, len(sample)), replace=False)
    return sample.tiles[picked]
