"""The whole recipe: teachers, the pupil that ships, int8 file, figures, card."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.cache import Pictures, pictures
from training.checkpoint import Settings
from training.data import Sample, with_more_of
from training.fit import accuracy, fit
from training.net import PUPIL, Ensemble, ExpressionNet, Shape, mean_of, shipped
from training.quantise import CALIBRATION_PICTURES, quantise
from training.report import report

TEACHER_SHARE = 0.6
FAVOUR = {"disgust": 0.6, "fear": 0.3}  # rare in training, so seldom told; costs 0.1 points, found on validation
PHOTO_TIMES = {"anger": 3, "sadness": 3, "fear": 3, "surprise": 2, "disgust": 2}  # most press photos smile or do not


WIDE = Shape(widths=(32, 64, 128), features=256, dropout=0.2)


def train(options: argparse.Namespace, folder: Path) -> None:
    torch.set_num_threads(options.threads)
    begun = time.monotonic()
    data = pictures(folder, options.work)
    told = (
        f"{len(data.votes)} pictures with votes, {len(data.photos)} cuts of photos, {len(data.unlabelled)} unlabelled"
    )
    print(f"{told}, {len(data.validation.tiles)} to judge by")
    net = shipped(Stages(data, options.work, options.epochs, resume=not options.fresh).pupil(), FAVOUR)

    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "expression.tflite"
    quantise(net, _calibration(data.votes + data.photos), path)
    report(path, net, data)
    print(f"\n{(time.monotonic() - begun) / 60:.0f} minutes")


@dataclass(frozen=True)
class Stages:
    """A wide net and a small one, which err in different places, and the pupil of both."""

    data: Pictures
    work: Path
    epochs: float  # of every stage, as a share of the usual number
    resume: bool

    def pupil(self) -> ExpressionNet:
        """A wide net on votes, then with photos; a small net; this again, taught by both; the mean of the last two."""
        votes = self.data.votes
        photos = with_more_of(votes, {"disgust": 3}) + with_more_of(self.data.photos, PHOTO_TIMES)
        wide = self._fit("votes-only", votes, Settings(WIDE, 36, seed=1))
        again = self._fit("votes-and-photos", photos, Settings(WIDE, 8, rate=0.04, seed=2), start=wide)
        small = self._fit("small", photos, Settings(PUPIL, 40, decay=2e-4))
        teachers = Ensemble([again, small])
        seen = [accuracy(teachers, part) for part in self.data.judged()]
        print("teachers together: validation {:.4f}, photos {:.4f}, uncut {:.4f}".format(*seen))
        taught = Settings(PUPIL, 10, rate=0.03, decay=2e-4, teacher_share=TEACHER_SHARE, seed=3)
        pupil = self._fit("pupil", photos + self.data.unlabelled, taught, start=small, teachers=teachers)
        return mean_of(small, pupil)

    def _fit(self, name: str, sample: Sample, settings: Settings, **more: Any) -> ExpressionNet:
        epochs = max(1, round(settings.epochs * self.epochs))
        settings = replace(settings, epochs=epochs, pictures=len(sample))
        return fit(settings, sample, self.data, self.work / name, resume=self.resume, **more)


def _calibration(sample: Sample) -> NDArray[np.uint8]:
    picked = np.random.default_rng(8322).choice(len(sample), min(CALIBRATION_PICTURES, len(sample)), replace=False)
    return sample.tiles[picked]
