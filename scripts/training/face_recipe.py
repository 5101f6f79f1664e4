"""The whole recipe of the face model: scenes, training, int8 file, threshold, figures, card."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from ferd.vision.detectors.ferd import PLACE_UNIT, SIZE_UNIT, letterbox
from training.face_data import Data, load
from training.face_judge import Judge, resemblance
from training.face_loop import Plan, fit, plot
from training.face_net import HEIGHT, WIDTH, FaceNet
from training.face_report import report
from training.face_scene import CELLS, EARLY, LATE, Mix, Pool, make, targets
from training.fit import to_input
from training.quantise import quantise

BATCH, STEPS = 32, 400
ALIKE = 15.0  # how much oftener a picture comes that surely looks like a face
CALIBRATION_SCENES = 256
SCORE_WEIGHT, OVERLAP_WEIGHT, POINT_WEIGHT = 5.0, 1.0, 3.0
LATE_FROM, LATE_POINT_WEIGHT = 0.6, 5.0  # share of the epochs
LIMIT = 7.5  # beyond it the int8 steps of the one output would grow coarse


class Scenes(Dataset[tuple[np.ndarray, np.ndarray]]):
    """Scene number i of an epoch: always the same one."""

    def __init__(self, faces: Pool, empty: Pool, mix: Mix, seed: int, count: int) -> None:
        self._faces, self._empty, self._mix, self._seed, self._count = faces, empty, mix, seed, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        cv2.setNumThreads(0)
        scene = make(self._faces, self._empty, self._mix, np.random.default_rng([self._seed, number]))
        return scene.picture, targets(scene)


class Supply:
    """The scenes of each epoch. Pictures without a face that the net takes for one come more often in the next."""

    def __init__(self, data: Data, plan: Plan, workers: int) -> None:
        self._empty, self._plan, self._workers = data.empty, plan, workers
        self.late = False
        self._faces = Pool(data.faces, [picture.weight for picture in data.faces])
        self._boxed = np.stack([letterbox(p.grays[0], (WIDTH, HEIGHT))[0] for p in data.empty])
        self._pool = Pool(data.empty, [1.0] * len(data.empty))

    def look(self, net: nn.Module) -> None:
        self._pool = Pool(self._empty, [1 + ALIKE * score for score in resemblance(net, self._boxed)])

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        self.late = number >= self._plan.epochs * LATE_FROM
        mix = LATE if self.late else EARLY
        scenes = Scenes(self._faces, self._pool, mix, self._plan.seed * 10_000 + number, STEPS * BATCH)
        for pictures, wanted in DataLoader(scenes, BATCH, num_workers=self._workers):
            yield to_input(pictures), wanted

    def calibration(self) -> np.ndarray:
        """Half scenes, half whole pictures as the detector sees them."""
        half = CALIBRATION_SCENES // 2
        scenes = Scenes(self._faces, self._pool, LATE, self._plan.seed, half)
        rng = np.random.default_rng(self._plan.seed)
        whole = [letterbox(self._faces.draw(rng).grays[0], (WIDTH, HEIGHT))[0] for _ in range(half)]
        return np.stack([scenes[n][0] for n in range(half)] + whole)


def train(options: argparse.Namespace, folder: Path) -> None:
    torch.set_num_threads(options.threads)
    begun = time.monotonic()
    data = load(folder)
    print(f"{len(data.faces)} pictures with faces, {len(data.empty)} without; held back: {len(data.held_faces)}, "
          f"{len(data.held_drivers)} drivers, {len(data.held_empty)}")  # fmt: skip
    plan = Plan("face", options.epochs, STEPS, BATCH, rate=3e-3, warm_steps=300)
    supply, judge = Supply(data, plan, options.workers), Judge(data)

    def look(net: nn.Module) -> dict[str, float]:
        supply.look(net)
        return judge(net)

    def loss_now(said: Tensor, wanted: Tensor) -> Tensor:
        return loss(said, wanted, LATE_POINT_WEIGHT if supply.late else POINT_WEIGHT)

    net = fit(FaceNet(), plan, options.work, supply.epoch, loss_now, look, resume=not options.fresh)
    plot(options.work)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "face.tflite"
    quantise(net, supply.calibration(), path)
    report(path, net, data, folder)
    print(f"\n{(time.monotonic() - begun) / 60:.0f} minutes")


def loss(said: Tensor, wanted: Tensor, point_weight: float = POINT_WEIGHT) -> Tensor:
    """The weighted sum of the parts below."""
    scores, boxes, points, beyond = parts(said, wanted)
    return scores * SCORE_WEIGHT + boxes * OVERLAP_WEIGHT + points * point_weight + beyond * 0.02


def parts(said: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Losses of scores, boxes, points, and of values beyond LIMIT; by positive cell.

    `said` (B, cells, 15), `wanted` (B, cells, 16) as face_scene.targets gives it. The score learns to lie half way
    between 1 and the overlap that its box reaches (quality focal loss, Li et al. 2020, has the overlap itself): so
    the best box has the best score, and a small face that is hard to frame remains a face. Boxes learn by overlap
    (GIoU), points by their distance in shares of the face.
    """
    is_face = wanted[..., 0] == 1
    cells = torch.from_numpy(CELLS).expand(len(said), -1, -1)[is_face]
    mine, truth = said[is_face], wanted[is_face]
    count = max(1.0, float(is_face.sum()))
    overlap, giou = _overlap(_corners(mine, cells), _corners(truth[:, 1:], cells, shift=-1))
    goal = torch.zeros_like(said[..., 0])
    goal[is_face] = 0.5 + 0.5 * overlap.detach().clamp(0, 1)
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
