"""The whole recipe: sets of pictures, the net, the int8 file, its figures and its card.

The net begins with the weights of expression-ferplus, which saw web faces and press photos only, and is wider.
"""

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
from training.sources import REPO, MissingDataError
from training.start import net_of, with_word_of

START = REPO / "models" / "expression-ferplus.tflite"  # knows web faces and press photos, none of the other sets


def train(options: argparse.Namespace, folder: Path) -> None:
    if not START.exists():
        raise MissingDataError(f"missing: {START}, whose weights the training begins with: restore it")
    torch.set_num_threads(options.threads)
    begun = time.monotonic()
    found = worlds(folder, options.work)
    try:
        found = {name: with_word_of(START, world) for name, world in found.items()}
    except (OSError, ValueError, KeyError) as error:
        raise MissingDataError(f"{START} or its card is damaged, restore them: {error}") from None
    for name, world in found.items():
        print(f"{name}: {len(world.label)} pictures, {len(world.tiles)} tiles, {world.held.sum()} held back")
    learnt, judged = sample(found), judged_by_set(found)
    settings = Settings(SHIPPED, options.epochs, rate=0.04, average=0.999, strength=0.65, pictures=len(learnt))
    start = net_of(START, SHIPPED, calibration(learnt))
    net = shipped(fit(settings, learnt, judged, options.work / "net", start=start, resume=not options.fresh))

    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "expression.tflite"
    quantise(net, calibration(learnt), path)
    report(path, net, judged, found)
    print(f"\n{(time.monotonic() - begun) / 60:.0f} minutes")


def calibration(learnt: Sample) -> NDArray[np.uint8]:
    """Pictures of all sets, as often as they are trained on: how far the activations reach."""
    share = learnt.weight / learnt.weight.sum()
    return inner(learnt.tiles[np.random.default_rng(8322).choice(len(learnt), CALIBRATION_PICTURES, p=share)])
