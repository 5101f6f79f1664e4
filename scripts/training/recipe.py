"""The whole recipe: sets of pictures, the net, the int8 file, its figures and its card."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.cache import pictures
from training.checkpoint import Settings
from training.fit import fit
from training.mixture import Sample, inner, sample
from training.net import SHIPPED, shipped


def train(options: argparse.Namespace, folder: Path) -> None:
    torch.set_num_threads(options.threads)
    begun = time.monotonic()
    data = pictures(folder, options.work)
    learnt, judged = sample(data.worlds), data.judged()
    for name, world in data.worlds.items():
        print(f"{name}: {len(world.label)} pictures, {len(world.tiles)} tiles, {world.held.sum()} held back")
    print(f"{len(learnt)} tiles to learn from")
    settings = Settings(SHIPPED, options.epochs, pictures=len(learnt))
    net = shipped(fit(settings, learnt, judged, options.work / "net", resume=not options.fresh))
    from training.quantise import quantise
    from training.report import report

    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "expression.tflite"
    quantise(net, calibration(learnt), path)
    report(path, net, data)
    print(f"\n{(time.monotonic() - begun) / 60:.0f} minutes")


def calibration(learnt: Sample) -> NDArray[np.uint8]:
    from training.quantise import CALIBRATION_PICTURES

    share = learnt.weight / learnt.weight.sum()
    return inner(learnt.tiles[np.random.default_rng(8322).choice(len(learnt), CALIBRATION_PICTURES, p=share)])
