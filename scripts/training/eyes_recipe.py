"""The whole recipe of the eyes model: tiles, training, int8 file, figures, card."""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from ferd.vision.eyes import normalise_contrast
from training.eyes_augment import augment, centre
from training.eyes_data import CROP, TILE, Tiles, sources
from training.eyes_net import SIDE
from training.eyes_report import report
from training.eyes_start import net_of
from training.face_loop import Plan, fit, plot
from training.quantise import CALIBRATION_PICTURES, quantise
from training.sources import REPO

SHIPPED = REPO / "models" / "eyes.tflite"
"""The training begins with the weights of this file."""
KEPT = 0.3
"""Share of these weights in the result: a real driver's eyes behind glasses are then seen as often as before."""
# pictures of one batch by source
MIX = {"infrared": 88, "colour": 48, "faces": 40, "met": 40, "mouths": 48, "others": 56}
STEPS = 150


def train(options: argparse.Namespace, folder: Path) -> None:
    torch.set_num_threads(options.threads)
    begun = time.monotonic()
    data = sources(folder, options.work / "tiles.npz")
    learned = {name: tiles.part(held=False) for name, tiles in data.items() if name in MIX}
    held = {name: tiles.part(held=True) for name, tiles in data.items()}
    plan = Plan("eyes", options.epochs, STEPS, sum(MIX.values()), rate=2e-3, decay=2e-2)

    def batches(epoch: int) -> DataLoader[tuple[Tensor, Tensor]]:
        # Another process makes the batches, which takes as long as a step of the net.
        made = Batches(learned, plan.steps, plan.seed * 10_000 + epoch)
        return DataLoader(made, batch_size=None, num_workers=1, prefetch_factor=4)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(logits, targets, label_smoothing=0.05)

    some = torch.cat([_draw(learned, torch.Generator().manual_seed(number))[0] for number in range(4)])
    begun_with = net_of(SHIPPED, centre(some))
    first = copy.deepcopy(begun_with)
    net = fit(begun_with, plan, options.work, batches, loss, lambda n: judge(n, held), resume=not options.fresh)
    net = blended(net, first)
    plot(options.work)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "eyes.tflite"
    g = torch.Generator().manual_seed(plan.seed)
    quantise(net, _inputs(torch.cat([_draw(learned, g)[0] for _ in range(3)]), CALIBRATION_PICTURES), path)
    report(path, net, data, folder)
    print(f"\n{(time.monotonic() - begun) / 60:.0f} minutes")


def blended(net: nn.Module, first: nn.Module) -> nn.Module:
    """The net, with a share of the weights that it began with."""
    mixed, begun = copy.deepcopy(net), first.state_dict()
    with torch.no_grad():
        for name, mine in mixed.state_dict().items():
            if mine.dtype.is_floating_point:
                mine.lerp_(begun[name], KEPT)
    return mixed


class Batches(IterableDataset[tuple[Tensor, Tensor]]):
    """One epoch: drawn by weight from every source, and augmented."""

    def __init__(self, learned: dict[str, Tiles], steps: int, seed: int) -> None:
        self.learned, self.steps, self.seed = learned, steps, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        g = torch.Generator().manual_seed(self.seed)
        for _ in range(self.steps):
            tiles, labels = _draw(self.learned, g)
            yield augment(tiles, labels, g)


def judge(net: nn.Module, held: dict[str, Tiles]) -> dict[str, float]:
    """Share of right answers by source: open or closed for eyes and mouths, `other` or not for the others."""
    figures = {}
    for name, tiles in held.items():
        with torch.no_grad():
            said = torch.cat([net(centre(p)) for p in torch.from_numpy(tiles.tiles).split(512)]).numpy()
        figures[name] = float(right(said, tiles.labels).mean())
    return figures


def right(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) bool: the likelier of the two answers that the crop can have; any of the five for `other`."""
    first = labels // 2 * 2
    rows = np.arange(len(labels))
    pair = logits[rows, np.minimum(first, 4)], logits[rows, np.minimum(first + 1, 4)]
    chosen = first + (pair[1] > pair[0])
    return np.where(labels == 4, logits.argmax(axis=1) == 4, chosen == labels)


def _draw(learned: dict[str, Tiles], g: torch.Generator) -> tuple[Tensor, Tensor]:
    tiles, labels = [], []
    for name, count in MIX.items():
        source = learned[name]
        picked = torch.multinomial(torch.from_numpy(source.weights), count, replacement=True, generator=g).numpy()
        tiles.append(source.tiles[picked])
        labels.append(source.labels[picked])
    return torch.from_numpy(np.concatenate(tiles)), torch.from_numpy(np.concatenate(labels))


def _inputs(tiles: Tensor, count: int) -> np.ndarray:
    """(count, 32, 32) uint8 as the reader hands them to the file."""
    edge = (TILE - CROP) // 2
    crops = tiles.numpy()[:count, edge:-edge, edge:-edge]
    return np.stack([normalise_contrast(cv2.resize(c, (SIDE, SIDE), interpolation=cv2.INTER_AREA)) for c in crops])
