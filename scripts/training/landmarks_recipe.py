"""The whole recipe of the landmarks model: the teacher's labels, training, the .tflite file, figures, card."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from ferd.vision.landmarks import LABELS, LEFT_EYE, LIP_LOWER, LIP_UPPER, LOWER, RIGHT_EYE, UPPER
from training.face_loop import Plan, fit, plot
from training.fit import to_input
from training.landmarks_augment import Batch, Faces, make
from training.landmarks_data import EYES, SOURCES, collect
from training.landmarks_net import LandmarksNet
from training.landmarks_quantise import quantise
from training.landmarks_report import Held, Judge, report
from training.landmarks_start import net_of
from training.quantise import CALIBRATION_PICTURES

BATCH = 128
RATE = 2e-3
NEAR = 0.01  # eye distances: smaller errors weigh less and less, they are the teacher's own
WINKING = 0.04  # eye distances by which the eyes' apertures differ: drawn winks, and little else
CALM = (0.3, 0.7)  # shares of the training between which the pictures become calmer
SOURCE_WEIGHT = {  # how often a face is drawn: where ferd is used, and few
    "drivers": 5.0,
    "infrared": 5.0,
    "eye_state": 4.0,
    "photos": 1.0,
    "kdef": 0.7,
    "affectnet_ffhq": 0.6,
}
SHUT, AGAPE = 0.07, 0.35  # eye distances: apertures of lids and mouth that are rare in pictures
POINT_WEIGHT = torch.tensor([1.5 if "eye" in n else 0.8 if n.startswith(("jaw", "cheek")) else 1.0 for n in LABELS])
PAIRS = (
    *((eye.start + up, eye.start + low) for eye in (RIGHT_EYE, LEFT_EYE) for up, low in zip(UPPER, LOWER, strict=True)),
    (LIP_UPPER, LIP_LOWER),
)
RIGHT_LIDS, LEFT_LIDS = slice(0, 3), slice(3, 6)  # of PAIRS


class Batches(IterableDataset[tuple[Tensor, Batch]]):
    """The batches of one epoch, from its own seed: resuming changes nothing."""

    def __init__(self, faces: Faces, nothing: Tensor, steps: int, seed: int, calm: float) -> None:
        self.faces, self.nothing, self.steps, self.seed, self.calm = faces, nothing, steps, seed, calm

    def __iter__(self) -> Iterator[tuple[Tensor, Batch]]:
        torch.set_num_threads(1)
        g = torch.Generator().manual_seed(self.seed)
        for _ in range(self.steps):
            batch = make(self.faces, self.nothing, BATCH, g, self.calm)
            yield to_input(batch.pixels), batch


def labels(options: argparse.Namespace, folder: Path) -> Path:
    """The cache of the teacher's labels, made if it is not there."""
    path: Path = options.work / "labels.npz"
    if not path.exists():
        collect(folder, path, workers=max(1, options.threads))
    return path


def train(options: argparse.Namespace, folder: Path) -> None:
    begun = time.monotonic()
    path = labels(options, folder)
    torch.set_num_threads(options.threads)
    learned, nothing, held = load(path)
    print(f"{len(learned)} faces and {len(nothing)} crops without one to learn from, {len(held.faces)} to judge by")
    plan = Plan("landmarks", options.epochs, len(learned) // BATCH, BATCH, rate=RATE, warm_steps=100)

    def batches(epoch: int) -> DataLoader[tuple[Tensor, Batch]]:
        # Another process makes the batches: they take half as long as the net's own step.
        calm = min(1.0, max(0.0, (epoch / plan.epochs - CALM[0]) / (CALM[1] - CALM[0])))
        made = Batches(learned, nothing, plan.steps, plan.seed * 10_000 + epoch, calm)
        return DataLoader(made, batch_size=None, num_workers=1, prefetch_factor=4)

    if options.start:
        g = torch.Generator().manual_seed(plan.seed)
        begun_with = net_of(options.start, to_input(make(learned, nothing, 2 * BATCH, g).pixels))
    else:
        begun_with = LandmarksNet()
    net = fit(begun_with, plan, options.work, batches, loss, Judge(held), resume=not options.fresh)
    plot(options.work)
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / "landmarks.tflite"
    g = torch.Generator().manual_seed(plan.seed)
    quantise(net, make(learned, nothing, CALIBRATION_PICTURES, g).pixels.numpy(), target)
    print(report(target, net, held, folder, faces=len(learned)))
    print(f"{(time.monotonic() - begun) / 60:.0f} minutes")


def load(path: Path) -> tuple[Faces, Tensor, Held]:
    """Faces to learn from, tiles without a face, and what is held back."""
    with np.load(path, allow_pickle=False) as data:
        held = data["held"]
        points = torch.from_numpy(data["points"])
        pose = torch.from_numpy(data["pose"])[:, [0, 1, 3, 4]]
        corrected(points, pose[:, 2], np.where(held, 0, data["eyes"]))
        weights = sampling(points, pose, data["source"])
        every = Faces(torch.from_numpy(data["tiles"]), points, pose, torch.from_numpy(data["room"]), weights)
        empty, empty_held = torch.from_numpy(data["empty"]), data["empty_held"]
        details = {name: data[name] for name in ("source", "eyes", "name", "size", "boxes")}
        details["roll"] = data["pose"][:, 2]
    kept = Held(_part(every, held), empty[empty_held], **{name: value[held] for name, value in details.items()})
    return _part(every, ~held), empty[~empty_held], kept


def corrected(points: Tensor, apart: Tensor, eyes: np.ndarray) -> None:
    """Shut the lids, in place, of faces that people labelled as eyes closed and the teacher sees half open."""
    closed = torch.from_numpy(eyes == EYES.index("closed"))
    for eye in (RIGHT_EYE, LEFT_EYE):
        for up, low in zip(UPPER, LOWER, strict=True):
            gap = points[:, eye.start + low] - points[:, eye.start + up]
            wide = closed & (gap.norm(dim=1) > 0.03 * apart)
            moved = points[:, eye.start + up] + gap * 0.9
            points[:, eye.start + up] = torch.where(wide[:, None], moved, points[:, eye.start + up])


def sampling(points: Tensor, pose: Tensor, source: np.ndarray) -> Tensor:
    """How often each face is drawn: turned and bowed heads, shut eyes and open mouths are rare in pictures."""
    gaps = torch.stack([(points[:, low] - points[:, up]).norm(dim=1) for up, low in PAIRS], 1) / pose[:, 2:3]
    lids, mouth = gaps[:, :6].mean(dim=1), gaps[:, 6]
    weights = torch.tensor([SOURCE_WEIGHT.get(name, 1.0) for name in SOURCES], dtype=torch.float64)[
        torch.from_numpy(source.astype(np.int64))
    ]
    weights *= 1 + (pose[:, 0].abs() / 22).clamp(max=3) ** 1.5
    weights *= 1 + (pose[:, 1].abs() / 25).clamp(max=2)
    weights *= torch.where(lids < SHUT, 3.0, 1.0)
    weights *= torch.where(mouth > AGAPE, 2.0, 1.0)
    return weights * torch.where(pose[:, 3] > 0.03, 0.5, 1.0)


def loss(said: Tensor, batch: Batch) -> Tensor:
    """Points and apertures in eye distances, pose, presence."""
    points = said[:, 4:].reshape(-1, len(LABELS), 2)
    unit = batch.unit.clamp(min=0.2)[:, None, None]
    weights = batch.seen * POINT_WEIGHT
    # The length of the error, which is what is judged, rounded where it is small: a Wing-like loss.
    off = (((points - batch.points) / unit).square().sum(dim=2) + NEAR**2).sqrt() - NEAR
    place = (off * weights).sum() / weights.sum().clamp(min=1)
    up, low = [list(side) for side in zip(*PAIRS, strict=True)]
    gaps = (points[:, low] - points[:, up]) / unit
    true = (batch.points[:, low] - batch.points[:, up]) / unit
    pairs = batch.seen[:, low] * batch.seen[:, up]
    gap = (functional.smooth_l1_loss(gaps, true, beta=NEAR, reduction="none").mean(dim=2) * pairs).sum()
    gap = gap / pairs.sum().clamp(min=1)
    # How the two eyes differ: they hardly do in real pictures, and without this one answer for both costs little.
    more = gaps[:, RIGHT_LIDS].mean(1) - gaps[:, LEFT_LIDS].mean(1)
    true_more = true[:, RIGHT_LIDS].mean(1) - true[:, LEFT_LIDS].mean(1)
    important = pairs[:, : LEFT_LIDS.stop].mean(1) * (1 + 6 * (true_more.norm(dim=1) > WINKING))
    side = functional.smooth_l1_loss(more, true_more, beta=NEAR, reduction="none").mean(dim=1) * important
    side = side.sum() / important.sum().clamp(min=1)
    face = batch.present
    turn = functional.smooth_l1_loss(said[:, 1:4], batch.angles, beta=0.1, reduction="none").mean(dim=1)
    pose = (turn * face).sum() / face.sum().clamp(min=1)
    logits = functional.binary_cross_entropy_with_logits(said[:, 0], face, reduction="none")
    presence = (logits * batch.sure).sum() / batch.sure.sum().clamp(min=1)
    return 15 * place + 25 * gap + 25 * side + 1.5 * pose + 4 * presence


def _part(faces: Faces, rows: np.ndarray) -> Faces:
    which = torch.from_numpy(np.flatnonzero(rows))
    return Faces(*(getattr(faces, name)[which] for name in Faces.__dataclass_fields__))
