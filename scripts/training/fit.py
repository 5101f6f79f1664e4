"""The training loop: SGD with a cosine, soft targets, averaged weights."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from tqdm import tqdm

from training.augment import augment
from training.cache import Pictures
from training.checkpoint import Run, Settings
from training.data import LABELS, TRAIN_LABELS, Judged, Sample
from training.net import MEAN, STD, ExpressionNet
from training.teachers import Teachers

# fear and disgust are rare in the pictures: each vote for them counts more
LIFT = torch.tensor([{"fear": 2.0, "disgust": 3.0}.get(name, 1.0) for name in TRAIN_LABELS])
RARE = [TRAIN_LABELS.index("fear"), TRAIN_LABELS.index("disgust")]


def half_precision() -> bool:
    """bfloat16 is 2.5 times quicker on processors that know it and slower on all others."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def to_input(pixels: Tensor) -> Tensor:
    """(B, 48, 48) uint8 to normalised (B, 1, 48, 48)."""
    return (pixels[:, None].float() / 255 - MEAN) / STD


def predict(net: torch.nn.Module, tiles: NDArray[np.uint8], batch: int = 256) -> Tensor:
    """Float logits of the 7 shipped labels for uint8 tiles."""
    net.eval()
    with torch.no_grad():
        parts = [net(to_input(p))[:, : len(LABELS)] for p in torch.from_numpy(tiles).split(batch)]
    return torch.cat(parts)


def accuracy(net: torch.nn.Module, judged: Judged) -> float:
    if len(judged.tiles) == 0:
        return math.nan
    return float((predict(net, judged.tiles).argmax(1).numpy() == judged.labels).mean())


def fit(
    settings: Settings,
    sample: Sample,
    data: Pictures,
    folder: Path,
    *,
    start: ExpressionNet | None = None,
    teachers: Teachers | None = None,
    resume: bool = True,
) -> ExpressionNet:
    """Train on the sample, or go on where the checkpoint in the folder stopped; returns the averaged net.

    `start`: a net of the same shape, whose weights are taken over. `data` judges after every epoch. Pictures
    without a label are learnt from `teachers` alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(settings, folder, start)
    curve = folder / "curve.csv"
    if not (resume and run.load()):
        curve.write_text("epoch,rate,loss,accuracy,accuracy_photos,accuracy_photos_whole\n")
    judged = data.judged()
    while run.epochs < settings.epochs:
        loss = _epoch(run, sample, teachers)
        run.epochs += 1
        seen = [accuracy(run.average.net, part) for part in judged]
        with curve.open("a", newline="") as file:
            row = [run.epochs, f"{_rate(settings, run.epochs):.4f}", f"{loss:.4f}", *(f"{v:.4f}" for v in seen)]
            csv.writer(file).writerow(row)
        told = "epoch {}: loss {:.4f}, validation {:.4f}, photos {:.4f}, uncut {:.4f}"
        tqdm.write(told.format(run.epochs, loss, *seen))
        run.save()
    return run.average.net


def _epoch(run: Run, sample: Sample, teachers: Teachers | None) -> float:
    """One pass over the pictures; returns the mean loss."""
    settings, net = run.settings, run.net.train()
    batches = Batches(sample, settings, run.epochs, teachers)
    # Other processes make the batches: on a busy machine two processes of one thread each are
    # several times quicker than one with two threads, which wait for each other at every layer.
    # Teachers take longer than the pupil's step.
    loader = DataLoader(batches, batch_size=None, num_workers=2 if teachers else 1, prefetch_factor=4)
    steps = len(batches)
    title = f"{run.folder.name} {run.epochs + 1}/{settings.epochs}"
    progress = tqdm(loader, title, steps, unit="step", mininterval=2)
    loss_sum = 0.0
    for step, (pixels, targets) in enumerate(progress):
        for group in run.optimizer.param_groups:
            group["lr"] = _rate(settings, run.epochs + step / steps)
        loss = _loss(net, pixels, targets)
        run.optimizer.zero_grad()
        loss.backward()
        run.optimizer.step()
        run.average.update(net)
        loss_sum += loss.item()
        left = (settings.epochs - run.epochs - (step + 1) / steps) * steps
        if step % 20 == 0 and (speed := progress.format_dict["rate"]):
            progress.set_postfix(loss=f"{loss_sum / (step + 1):.3f}", left_min=f"{left / speed / 60:.0f}")
    return loss_sum / steps


def _loss(net: ExpressionNet, pixels: Tensor, targets: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=half_precision()):
        logits = net(pixels)
    weights = targets @ LIFT
    losses = functional.cross_entropy(logits.float(), targets, reduction="none")
    return (losses * weights).sum() / weights.sum()


class Batches(IterableDataset[tuple[Tensor, Tensor]]):
    """One epoch, shuffled, augmented and taught; each batch has its own seed, so that resuming changes nothing."""

    def __init__(self, sample: Sample, settings: Settings, epoch: int, teachers: Teachers | None) -> None:
        self.sample = sample
        self.settings = settings
        self.epoch = epoch
        self.teachers = teachers

    def __len__(self) -> int:
        return len(self.sample) // self.settings.batch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        settings = self.settings
        seed = settings.seed * 10_000 + self.epoch
        left = 1 - (self.epoch + 1) / settings.epochs  # the last quarter comes closer to what is met in use
        strength = settings.strength * min(1.0, 0.4 + 2.4 * left)
        tiles, targets = torch.from_numpy(self.sample.tiles), torch.from_numpy(self.sample.targets)
        order = torch.randperm(len(self.sample), generator=torch.Generator().manual_seed(seed))
        worker = get_worker_info()
        mine = range(worker.id, len(self), worker.num_workers) if worker else range(len(self))
        for step in mine:
            g = torch.Generator().manual_seed(seed * 10_000 + step)
            picked = order[step * settings.batch : (step + 1) * settings.batch]
            pixels = augment(tiles[picked][:, None].float() / 255, strength, g)
            pixels, wanted = mix(pixels, targets[picked], settings.mixed * strength / settings.strength, g)
            inputs = ((pixels - MEAN) / STD).contiguous(memory_format=torch.channels_last)
            yield inputs, self._taught(wanted, inputs)

    def _taught(self, targets: Tensor, pixels: Tensor) -> Tensor:
        """The labels, mixed with what the teachers say to this very distorted picture.

        Teachers overlook the rare labels: there they have less to say.
        """
        if self.teachers is None:
            return targets
        said = self.teachers(pixels)
        labelled = targets.sum(dim=1, keepdim=True) > 0.999  # not even half of it is unlabelled
        rare = targets[:, RARE].sum(dim=1, keepdim=True)
        share = torch.where(labelled, self.settings.teacher_share * (1 - rare), 1.0)
        return torch.lerp(targets, said, share)


def mix(pixels: Tensor, targets: Tensor, share: float, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """This share of the pictures with another one shining through by up to a half, and its target as much."""
    count = len(pixels)
    other = torch.where(torch.rand(count, generator=g) < share, 0.5 * torch.rand(count, generator=g), 0.0)
    partner = torch.randperm(count, generator=g)
    return (
        torch.lerp(pixels, pixels[partner], other.view(-1, 1, 1, 1)),
        torch.lerp(targets, targets[partner], other.view(-1, 1)),
    )


def _rate(settings: Settings, epoch: float) -> float:
    warm = min(settings.warm_epochs, settings.epochs / 4)
    if epoch < warm:
        return settings.rate * (epoch + 0.02) / warm
    done = (epoch - warm) / (settings.epochs - warm)
    return settings.rate * (0.002 + 0.998 * 0.5 * (1 + math.cos(math.pi * done)))
