"""The whole recipe of the face model: scenes, training in two rounds, int8 file, threshold, figures, card.

The shipped file had its second round in two halves, 16 epochs and 11: the scenes with mostly small faces came with
the latter.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from ferd.face.own import PLACE_UNIT, SIZE_UNIT, letterbox
from training.face_data import Data, load
from training.face_judge import judge_net, preview
from training.face_loop import Plan, fit, plot
from training.face_net import HEIGHT, WIDTH, FaceNet
from training.face_report import report
from training.face_scene import CELLS, make, targets
from training.fit import to_input
from training.quantise import quantise

BATCH, STEPS = 32, 400
FIRST_EPOCHS = 15
CALIBRATION_SCENES = 256
SCORE_WEIGHT, OVERLAP_WEIGHT, POINT_WEIGHT = 5.0, 1.0, 3.0
LIMIT = 7.5  # beyond it the int8 steps of the one output would grow coarse


class Scenes(Dataset[tuple[np.ndarray, np.ndarray]]):
    """Scene number i of an epoch: always the same one."""

    def __init__(self, data: Data, seed: int, count: int) -> None:
        self._data, self._seed, self._count = data, seed, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        cv2.setNumThreads(0)
        scene = make(self._data.faces, self._data.empty, np.random.default_rng([self._seed, number]))
        return scene.picture, targets(scene)


def train(options: argparse.Namespace, folder: Path) -> None:
    torch.set_num_threads(options.threads)
    begun = time.monotonic()
    data = load(folder)
    print(f"{len(data.faces)} pictures with faces, {len(data.empty)} without; held back: {len(data.held_faces)}, "
          f"{len(data.held_empty)}")  # fmt: skip
    held = preview(data, folder)
    net = FaceNet()
    first = Plan("face, first round", FIRST_EPOCHS, STEPS, BATCH, rate=2.5e-3, warm_steps=500)
    second = Plan("face", options.epochs, STEPS, BATCH, rate=1.5e-3, warm_steps=200, seed=8323)
    for plan, by_overlap in ((first, True), (second, False)):

        def batches(epoch: int, seed: int = plan.seed) -> Iterator[tuple[Tensor, Tensor]]:
            scenes = Scenes(data, seed * 10_000 + epoch, STEPS * BATCH)
            for pictures, wanted in DataLoader(scenes, BATCH, num_workers=options.workers):
                yield to_input(pictures), wanted

        def its_loss(said: Tensor, wanted: Tensor, by_overlap: bool = by_overlap) -> Tensor:
            return loss(said, wanted, by_overlap)

        work = options.work / ("first" if by_overlap else "")
        net = fit(net, plan, work, batches, its_loss, lambda n: judge_net(n, held), resume=not options.fresh)
    plot(options.work)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "face.tflite"
    quantise(net, _calibration(data, second.seed), path)
    report(path, net, data, folder)
    print(f"\n{(time.monotonic() - begun) / 60:.0f} minutes")


def _calibration(data: Data, seed: int) -> np.ndarray:
    """Half scenes, half whole pictures as the detector sees them."""
    scenes = Scenes(data, seed, CALIBRATION_SCENES // 2)
    made = [scenes[n][0] for n in range(len(scenes))]
    rng = np.random.default_rng(seed)
    picked = rng.choice(len(data.faces), CALIBRATION_SCENES // 2, replace=False)
    return np.stack(made + [letterbox(data.faces[n].grays[0], (WIDTH, HEIGHT))[0] for n in picked])


def loss(said: Tensor, wanted: Tensor, by_overlap: bool = True) -> Tensor:
    """The weighted sum of the parts below."""
    scores, boxes, points, beyond = parts(said, wanted, by_overlap)
    return scores * SCORE_WEIGHT + boxes * OVERLAP_WEIGHT + points * POINT_WEIGHT + beyond * 0.02


def parts(said: Tensor, wanted: Tensor, by_overlap: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Losses of scores, boxes, points, and of values beyond LIMIT; by positive cell.

    `said` (B, cells, 15), `wanted` (B, cells, 16) as face_scene.targets gives it. In the first round the score
    learns the overlap that its box reaches (quality focal loss, Li et al. 2020), so that the best box has the best
    score; in the second it learns face or no face, which parts hard faces from hard backgrounds better. Boxes learn
    by overlap (GIoU), points by their distance in shares of the face.
    """
    is_face = wanted[..., 0] == 1
    cells = torch.from_numpy(CELLS).expand(len(said), -1, -1)[is_face]
    mine, truth = said[is_face], wanted[is_face]
    count = max(1.0, float(is_face.sum()))
    overlap, giou = _overlap(_corners(mine, cells), _corners(truth[:, 1:], cells, shift=-1))
    goal = torch.zeros_like(said[..., 0])
    goal[is_face] = overlap.detach().clamp(0.05, 1) if by_overlap else 1.0
    logits = said[..., 0]
    focal = (goal - logits.sigmoid()).abs() ** 2
    scores = focal * functional.binary_cross_entropy_with_logits(logits, goal, reduction="none")
    scores = (scores * (wanted[..., 0] >= 0)).sum()
    off = (mine[:, 5:] - truth[:, 5:15]) * (cells[:, 2:3] * PLACE_UNIT) / truth[:, 15:]
    points = functional.smooth_l1_loss(off, torch.zeros_like(off), beta=0.02, reduction="none").sum(dim=1)
    beyond = (said.abs() - LIMIT).clamp(min=0).square().sum()
    return scores / count, (1 - giou).sum() / count, points.sum() / count, beyond / count


def _corners(values: Tensor, cells: Tensor, shift: int = 0) -> Tensor:
    """Boxes x1 y1 x2 y2 in pixels from what the net says (`shift` 0) or from targets without their first column."""
    at = values[:, 1 + shift : 3 + shift] * cells[:, 2:3] * PLACE_UNIT + cells[:, :2]
    size = cells[:, 2:3] * SIZE_UNIT * torch.exp(values[:, 3 + shift : 5 + shift].clamp(-8, 8) / SIZE_UNIT)
    return torch.cat([at - size / 2, at + size / 2], dim=1)


def _overlap(mine: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union and the generalised one (Rezatofighi et al. 2019)."""
    both = (torch.minimum(mine[:, 2:], truth[:, 2:]) - torch.maximum(mine[:, :2], truth[:, :2])).clamp(min=0).prod(1)
    union = (mine[:, 2:] - mine[:, :2]).prod(1) + (truth[:, 2:] - truth[:, :2]).prod(1) - both
    hull = (torch.maximum(mine[:, 2:], truth[:, 2:]) - torch.minimum(mine[:, :2], truth[:, :2])).prod(1)
    iou = both / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)
