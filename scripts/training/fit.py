"""The training loop: SGD with a cosine, averaged weights, a checkpoint after every epoch."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from training.augment import augment
from training.data import LABELS, TRAIN_LABELS, Judged, Sample
from training.net import MEAN, STD, ExpressionNet, Shape

# fear and disgust are rare in the pictures and dear to the user: each vote for them counts more
LIFT = torch.tensor([{"fear": 1.6, "disgust": 2.0}.get(name, 1.0) for name in TRAIN_LABELS])


@dataclass(frozen=True)
class Settings:
    """All that decides the weights: a checkpoint of other settings is not resumed."""

    shape: Shape
    epochs: int
    batch: int = 128
    rate: float = 0.1
    decay: float = 5e-4
    warm_epochs: int = 1
    average: float = 0.998
    strength: float = 0.85
    teacher_share: float = 0.0  # of the target; the rest are the crowd's votes
    seed: int = 8322
    pictures: int = 0


def half_precision() -> bool:
    """bfloat16 is 2.5 times quicker on processors that know it and slow on all others."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def to_input(pixels: Tensor) -> Tensor:
    """(B, 48, 48) uint8 to normalised (B, 1, 48, 48)."""
    return (pixels[:, None].float() / 255 - MEAN) / STD


def predict(net: torch.nn.Module, tiles: Any, batch: int = 256) -> Tensor:
    """Float logits of the 7 shipped labels for uint8 tiles."""
    net.eval()
    with torch.no_grad():
        parts = [net(to_input(p))[:, : len(LABELS)] for p in torch.from_numpy(tiles).split(batch)]
    return torch.cat(parts)


def accuracy(net: torch.nn.Module, judged: Judged) -> float:
    if len(judged.tiles) == 0:
        return math.nan
    return float((predict(net, judged.tiles).argmax(1).numpy() == judged.labels).mean())


class Average:
    """Exponential mean of weights and batch statistics; young means follow faster."""

    def __init__(self, net: ExpressionNet, keep: float) -> None:
        self.net = ExpressionNet(net.shape).eval()
        self.net.load_state_dict(net.state_dict())
        self.keep = keep
        self.steps = 0

    def update(self, net: ExpressionNet) -> None:
        self.steps += 1
        keep = min(self.keep, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            for mine, new in zip(self.net.state_dict().values(), net.state_dict().values(), strict=True):
                if mine.dtype.is_floating_point:
                    mine.lerp_(new, 1 - keep)
                else:
                    mine.copy_(new)


def fit(
    settings: Settings,
    sample: Sample,
    judged: Judged,
    photos: Judged,
    folder: Path,
    teacher: ExpressionNet | None = None,
    resume: bool = True,
) -> ExpressionNet:
    """Train, or go on where the checkpoint in the folder stopped; returns the averaged net."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    net = ExpressionNet(settings.shape).to(memory_format=torch.channels_last)
    average = Average(net, settings.average)
    optimizer = torch.optim.SGD(_groups(net, settings.decay), settings.rate, momentum=0.9, nesterov=True)
    begun = _load(folder, settings, net, average, optimizer) if resume else 0
    if begun == 0:
        (folder / "curve.csv").write_text("epoch,rate,loss,accuracy,accuracy_photos\n")
    steps = len(sample) // settings.batch
    for epoch in range(begun, settings.epochs):
        loss_sum = 0.0
        net.train()
        progress = tqdm(
            _batches(sample, settings, epoch),
            total=steps,
            desc=f"{folder.name} {epoch + 1}/{settings.epochs}",
            unit="step",
            mininterval=2,
        )
        for step, (pixels, targets) in enumerate(progress):
            rate = _rate(settings, epoch + step / steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = _loss(net, teacher, pixels, targets, settings.teacher_share)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.update(net)
            loss_sum += loss.item()
            if step % 20 == 0:
                progress.set_postfix(loss=f"{loss_sum / (step + 1):.3f}")
        scores = accuracy(average.net, judged), accuracy(average.net, photos)
        row = [epoch + 1, f"{rate:.4f}", f"{loss_sum / steps:.4f}", *(f"{s:.4f}" for s in scores)]
        with (folder / "curve.csv").open("a", newline="") as file:
            csv.writer(file).writerow(row)
        tqdm.write(f"epoch {row[0]}: loss {row[2]}, validation {row[3]}, photos {row[4]}")
        _save(folder, settings, net, average, optimizer, epoch + 1)
    return average.net


def _loss(
    net: ExpressionNet,
    teacher: ExpressionNet | None,
    pixels: Tensor,
    targets: Tensor,
    teacher_share: float,
) -> Tensor:
    half = half_precision()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        if teacher is not None:
            with torch.no_grad():
                taught = teacher(pixels).float().softmax(dim=1)
            targets = torch.lerp(targets, taught, teacher_share)
        logits = net(pixels)
    weights = targets @ LIFT
    losses = F.cross_entropy(logits.float(), targets, reduction="none")
    return (losses * weights).sum() / weights.sum()


def _batches(sample: Sample, settings: Settings, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled and augmented; the seed is the epoch's own, so that resuming changes nothing."""
    g = torch.Generator().manual_seed(settings.seed * 10_000 + epoch)
    left = 1 - (epoch + 1) / settings.epochs  # the last quarter comes closer to what is met in use
    strength = settings.strength * min(1.0, 0.4 + 2.4 * left)
    tiles, targets = torch.from_numpy(sample.tiles), torch.from_numpy(sample.targets)
    order = torch.randperm(len(sample), generator=g)
    for picked in order[: len(order) // settings.batch * settings.batch].split(settings.batch):
        pixels = augment(tiles[picked][:, None].float() / 255, strength, g)
        inputs = ((pixels - MEAN) / STD).contiguous(memory_format=torch.channels_last)
        yield inputs, targets[picked]


def _rate(settings: Settings, epoch: float) -> float:
    if epoch < settings.warm_epochs:
        return settings.rate * (epoch + 0.02) / settings.warm_epochs
    done = (epoch - settings.warm_epochs) / (settings.epochs - settings.warm_epochs)
    return settings.rate * (0.002 + 0.998 * 0.5 * (1 + math.cos(math.pi * done)))


def _groups(net: ExpressionNet, decay: float) -> list[dict[str, Any]]:
    """Weights shrink; biases and the batch norms' scales do not."""
    weights = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def _save(
    folder: Path,
    settings: Settings,
    net: ExpressionNet,
    average: Average,
    optimizer: torch.optim.Optimizer,
    epochs: int,
) -> None:
    state = {
        "settings": asdict(settings),
        "net": net.state_dict(),
        "average": average.net.state_dict(),
        "steps": average.steps,
        "optimizer": optimizer.state_dict(),
        "epochs": epochs,
    }
    torch.save(state, folder / "checkpoint.new")
    os.replace(folder / "checkpoint.new", folder / "checkpoint.pt")


def _load(
    folder: Path,
    settings: Settings,
    net: ExpressionNet,
    average: Average,
    optimizer: torch.optim.Optimizer,
) -> int:
    """How many epochs the checkpoint had done: 0 when there is none of these settings."""
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    if state["settings"] != asdict(settings):
        return 0
    net.load_state_dict(state["net"])
    average.net.load_state_dict(state["average"])
    average.steps = state["steps"]
    optimizer.load_state_dict(state["optimizer"])
    return int(state["epochs"])
