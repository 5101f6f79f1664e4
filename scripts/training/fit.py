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
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

from training.augment import augment
from training.cache import Pictures
from training.checkpoint import Run, Settings
from training.data import LABELS, TRAIN_LABELS, Judged, Sample
from training.net import MEAN, STD, ExpressionNet

# fear and disgust are rare in the pictures: each vote for them counts more
LIFT = torch.tensor([{"fear": 2.0, "disgust": 3.0}.get(name, 1.0) for name in TRAIN_LABELS])


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
    data: Pictures,
    folder: Path,
    *,
    teacher: ExpressionNet | None = None,
    resume: bool = True,
) -> ExpressionNet:
    """Train, or go on where the checkpoint in the folder stopped; returns the averaged net."""
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(settings, folder)
    curve = folder / "curve.csv"
    if not (resume and run.load()):
        curve.write_text("epoch,rate,loss,accuracy,accuracy_photos\n")
    judged = data.validation.without_duplicates()
    while run.epochs < settings.epochs:
        loss = _epoch(run, data.train, teacher)
        run.epochs += 1
        seen, photos = accuracy(run.average.net, judged), accuracy(run.average.net, data.photos)
        with curve.open("a", newline="") as file:
            rate = f"{_rate(settings, run.epochs):.4f}"
            csv.writer(file).writerow([run.epochs, rate, f"{loss:.4f}", f"{seen:.4f}", f"{photos:.4f}"])
        tqdm.write(f"epoch {run.epochs}: loss {loss:.4f}, validation {seen:.4f}, photos {photos:.4f}")
        run.save()
    return run.average.net


def _epoch(run: Run, sample: Sample, teacher: ExpressionNet | None) -> float:
    """One pass over the pictures; returns the mean loss."""
    settings, net = run.settings, run.net.train()
    batches = Batches(sample, settings, run.epochs, teacher)
    # A second process makes the batches: on a busy machine two processes of one thread each are
    # several times quicker than one with two threads, which wait for each other at every layer.
    loader = DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=4)
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
    """One epoch, shuffled, augmented and taught; its seed is its own, so that resuming changes nothing."""

    def __init__(self, sample: Sample, settings: Settings, epoch: int, teacher: ExpressionNet | None) -> None:
        self.sample = sample
        self.settings = settings
        self.epoch = epoch
        self.teacher = teacher

    def __len__(self) -> int:
        return len(self.sample) // self.settings.batch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        settings = self.settings
        g = torch.Generator().manual_seed(settings.seed * 10_000 + self.epoch)
        left = 1 - (self.epoch + 1) / settings.epochs  # the last quarter comes closer to what is met in use
        strength = settings.strength * min(1.0, 0.4 + 2.4 * left)
        tiles, targets = torch.from_numpy(self.sample.tiles), torch.from_numpy(self.sample.targets)
        order = torch.randperm(len(self.sample), generator=g)
        for picked in order[: len(self) * settings.batch].split(settings.batch):
            pixels = augment(tiles[picked][:, None].float() / 255, strength, g)
            inputs = ((pixels - MEAN) / STD).contiguous(memory_format=torch.channels_last)
            yield inputs, self._taught(targets[picked], inputs)

    def _taught(self, targets: Tensor, pixels: Tensor) -> Tensor:
        """The crowd's votes, mixed with what the teacher says to this very distorted picture."""
        if self.teacher is None:
            return targets
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half_precision()):
            said = self.teacher(pixels).float().softmax(dim=1)
        return torch.lerp(targets, said, self.settings.teacher_share)


def _rate(settings: Settings, epoch: float) -> float:
    if epoch < settings.warm_epochs:
        return settings.rate * (epoch + 0.02) / settings.warm_epochs
    done = (epoch - settings.warm_epochs) / (settings.epochs - settings.warm_epochs)
    return settings.rate * (0.002 + 0.998 * 0.5 * (1 + math.cos(math.pi * done)))
