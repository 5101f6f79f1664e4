"""The training loop: SGD with a steady rate that falls at the end, soft targets, averaged weights."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

from training.augment import augment
from training.checkpoint import Run, Settings
from training.data import LABELS, SIDE
from training.mixture import Judged, Sample
from training.net import MEAN, STD, ExpressionNet

JUDGE_EVERY = 2  # epochs


def half_precision() -> bool:
    """bfloat16 is 2.5 times quicker on processors that know it and slower on all others."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def to_input(pixels: Tensor) -> Tensor:
    """(B, H, W) uint8 to normalised (B, 1, H, W)."""
    return (pixels[:, None].float() / 255 - MEAN) / STD


def predict(net: torch.nn.Module, tiles: NDArray[np.uint8], batch: int = 256) -> Tensor:
    """Float logits of the 7 shipped labels for uint8 tiles."""
    net.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half_precision()):
        parts = [net(to_input(p))[:, : len(LABELS)].float() for p in torch.from_numpy(tiles).split(batch)]
    return torch.cat(parts)


def accuracy(net: torch.nn.Module, judged: Judged) -> float:
    if len(judged.tiles) == 0:
        return math.nan
    return float((predict(net, judged.tiles).argmax(1).numpy() == judged.labels).mean())


def fit(
    settings: Settings,
    sample: Sample,
    judged: Mapping[str, Judged],
    folder: Path,
    *,
    start: ExpressionNet | None = None,
    resume: bool = True,
) -> ExpressionNet:
    """Train on the sample, or go on where the checkpoint in the folder stopped; returns the averaged net."""
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(settings, folder, start)
    curve = folder / "curve.csv"
    resumed = resume and run.load()
    if not (resumed and curve.exists()):
        curve.write_text(",".join(["epoch", "rate", "loss", *judged]) + "\n")
    while run.epochs < settings.epochs:
        loss = _epoch(run, sample)
        run.epochs += 1
        if run.epochs % JUDGE_EVERY == 0 or run.epochs == settings.epochs:
            seen = {name: accuracy(run.average.net, part) for name, part in judged.items()}
            with curve.open("a", newline="") as file:
                row = [run.epochs, f"{_rate(settings, run.epochs):.4f}", f"{loss:.4f}"]
                csv.writer(file).writerow(row + [f"{v:.4f}" for v in seen.values()])
            said = ", ".join(f"{name} {100 * value:.1f}" for name, value in seen.items())
            tqdm.write(f"epoch {run.epochs}: loss {loss:.4f}, {said}")
        run.save()
    return run.average.net


def _epoch(run: Run, sample: Sample) -> float:
    """One epoch of batches; returns the mean loss."""
    settings, net = run.settings, run.net.train()
    torch.manual_seed(settings.seed + run.epochs)  # of the dropout: a training that was cut goes on the same
    # Another process makes the batches: on a busy machine two processes of one thread each are
    # several times quicker than one with two threads, which wait for each other at every layer.
    loader = DataLoader(Batches(sample, settings, run.epochs), batch_size=None, num_workers=1, prefetch_factor=4)
    title = f"{run.folder.name} {run.epochs + 1}/{settings.epochs}"
    progress = tqdm(loader, title, settings.steps, unit="step", mininterval=5)
    loss_sum = 0.0
    for step, (pixels, targets) in enumerate(progress):
        for group in run.optimizer.param_groups:
            group["lr"] = _rate(settings, run.epochs + step / settings.steps)
        with torch.autocast("cpu", torch.bfloat16, enabled=half_precision()):
            logits = net(pixels)
        loss = functional.cross_entropy(logits.float(), targets)
        run.optimizer.zero_grad()
        loss.backward()
        run.optimizer.step()
        run.average.update(net)
        loss_sum += loss.item()
        left = (settings.epochs - run.epochs) * settings.steps - step - 1
        if step % 20 == 0 and (speed := progress.format_dict["rate"]):
            progress.set_postfix(loss=f"{loss_sum / (step + 1):.3f}", left_min=f"{left / speed / 60:.0f}")
    return loss_sum / settings.steps


class Batches(IterableDataset[tuple[Tensor, Tensor]]):
    """One epoch, drawn by weight and augmented; each batch has its own seed, so that resuming changes nothing."""

    def __init__(self, sample: Sample, settings: Settings, epoch: int) -> None:
        self.sample = sample
        self.settings = settings
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        settings = self.settings
        seed = settings.seed * 10_000 + self.epoch
        # Towards the end the pictures come closer to what is met in use.
        strength = settings.strength * min(1.0, 1.5 - settings.falling(self.epoch + 1))
        order = drawn(self.sample.weight, settings.steps * settings.batch, seed)
        for step in range(settings.steps):
            g = torch.Generator().manual_seed(seed * 10_000 + step)
            picked = order[step * settings.batch : (step + 1) * settings.batch]
            pixels = torch.from_numpy(self.sample.tiles[picked])[:, None].float() / 255
            seen = augment(pixels, strength, g, SIDE)
            inputs = ((seen - MEAN) / STD).contiguous(memory_format=torch.channels_last)
            yield inputs, torch.from_numpy(self.sample.targets[picked])


def drawn(weight: NDArray[np.float64], count: int, seed: int) -> NDArray[np.int64]:
    """So many places by weight, shuffled: of one that should come 1.4 times there are one or two, never five."""
    random = np.random.default_rng(seed)
    ends = np.cumsum(weight)
    picked = np.searchsorted(ends, (np.arange(count) + random.random()) / count * ends[-1], side="right")
    return np.asarray(random.permutation(np.minimum(picked, len(weight) - 1)), np.int64)


def _rate(settings: Settings, epoch: float) -> float:
    """Return the learning rate: it rises in the first epoch, is steady, and falls by a cosine in the last ones."""
    warm = min(settings.warm_epochs, settings.epochs / 4)
    if epoch < warm:
        return settings.rate * (epoch + 0.02) / warm
    return settings.rate * (0.002 + 0.998 * 0.5 * (1 + math.cos(math.pi * settings.falling(epoch))))
