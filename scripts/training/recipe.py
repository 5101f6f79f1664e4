"""The whole recipe: sets of pictures, the net, the int8 file, its figures and its card."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.cache import judged_by_set, worlds
from training.checkpoint import Settings
from training.fit import fit
from training.mixture import Sample, inner, sample
from training.net import SHIPPED, shipped
from training.quantise import CALIBRATION_PICTURES, quantise
from training.report import report


def train(options: argparse.Namespace, folder: Path) -> None:
    torch.set_num_threads(options.threads)
    begun = time.monotonic()
    found = worlds(folder, options.work)
    for name, world in found.items():
        print(f"{name}: {len(world.label)} pictures, {len(world.tiles)} tiles, {world.held.sum()} held back")
    learnt, judged = sample(found), judged_by_set(found)
    settings = Settings(SHIPPED, options.epochs, pictures=len(learnt))
    net = shipped(fit(settings, learnt, judged, options.work / "net", resume=not options.fresh))

    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "expression.tflite"
    quantise(net, calibration(learnt), path)
    report(path, net, judged, found)
    print(f"\n{(time.monotonic() - begun) / 60:.0f} minutes")


def calibration(learnt: Sample) -> NDArray[np.uint8]:
    """Pictures of all sets, as often as they are trained on: how far the activations reach."""
    share = learnt.weight / learnt.weight.sum()
    return inner(learnt.tiles[np.random.default_rng(8322).choice(len(learnt), CALIBRATION_PICTURES, p=share)])
