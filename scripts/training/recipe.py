"""The whole recipe: sets of pictures, the net, the int8 file, its figures and its card.

The net begins with the weights of expression-ferplus, which saw web faces and press photos only, and is wider.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.cache import judged_by_set, worlds
from training.checkpoint import Settings
from training.fit import fit
from training.mixture import Sample, inner, sample
from training.net import SHIPPED, ExpressionNet, shipped
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
    first, second = rounds(options.epochs, len(learnt))
    start = net_of(START, SHIPPED, calibration(learnt))
    resume = not options.fresh
    one = fit(first, learnt, judged, options.work / "net", start=start, resume=resume)
    two = fit(second, learnt, judged, options.work / "net-2", start=one, resume=resume)
    net = shipped(mean_of(one, two))

    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "expression.tflite"
    quantise(net, calibration(learnt), path)
    report(path, net, judged, found)
    print(f"\n{(time.monotonic() - begun) / 60:.0f} minutes")


def rounds(epochs: int, pictures: int) -> tuple[Settings, Settings]:
    """Return the settings of both rounds of the training.

    The new channels need a large rate, which forgets a part of what the start knew. The second round begins with the
    averaged weights of the first one, at half its rate, which falls from the beginning, and with milder degradation. It
    gains on everyday faces and loses on posed ones; the mean of both nets, which lie close together, keeps both.
    """
    first = Settings(SHIPPED, epochs, rate=0.04, average=0.999, strength=0.65, pictures=pictures)
    half = max(1, epochs // 2)
    return first, replace(first, epochs=half, rate=0.02, steady=0.0, strength=0.45, seed=first.seed + 1)


def mean_of(one: ExpressionNet, two: ExpressionNet) -> ExpressionNet:
    """Return a net whose weights and statistics are the means of those of two nets of one shape."""
    net = ExpressionNet(one.shape)
    weights, others = one.state_dict(), two.state_dict()
    net.load_state_dict({k: v.lerp(others[k], 0.5) if v.dtype.is_floating_point else v for k, v in weights.items()})
    return net.eval()


def calibration(learnt: Sample) -> NDArray[np.uint8]:
    """Pictures of all sets, as often as they are trained on: how far the activations reach."""
    share = learnt.weight / learnt.weight.sum()
    return inner(learnt.tiles[np.random.default_rng(8322).choice(len(learnt), CALIBRATION_PICTURES, p=share)])
