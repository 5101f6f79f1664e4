"""A training that can be stopped: net, averaged net and optimizer, saved after every epoch."""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from training.net import ExpressionNet, Shape
from training.worlds import warn


@dataclass(frozen=True)
class Settings:
    """All that decides the weights: a checkpoint of other settings is not resumed.

    Only `epochs` and `steady` may differ, as long as the rate has not begun to fall.
    """

    shape: Shape
    epochs: int
    steps: int = 250  # of an epoch
    batch: int = 128
    rate: float = 0.1
    decay: float = 5e-4
    warm_epochs: int = 1
    steady: float = 0.5  # share of the epochs before the rate begins to fall
    average: float = 0.999
    strength: float = 0.7  # of the augmentation
    seed: int = 8322
    pictures: int = 0

    def falling(self, epoch: float) -> float:
        """Return how much of the fall of the rate is over at this epoch, from 0 to 1."""
        begins = self.steady * self.epochs
        return max(0.0, min(1.0, (epoch - begins) / (self.epochs - begins)))


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
        pairs = zip(self.net.state_dict().values(), net.state_dict().values(), strict=True)
        with torch.no_grad():
            for mine, new in pairs:
                if mine.dtype.is_floating_point:
                    mine.lerp_(new, 1 - keep)
                else:
                    mine.copy_(new)


class Run:
    """What one training holds between its steps."""

    def __init__(self, settings: Settings, folder: Path, start: ExpressionNet | None = None) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.folder = folder
        self.net = ExpressionNet(settings.shape).to(memory_format=torch.channels_last)
        if start:
            self.net.load_state_dict(start.state_dict())
        self.average = Average(self.net, settings.average)
        self.optimizer = torch.optim.SGD(_groups(self.net, settings.decay), settings.rate, momentum=0.9, nesterov=True)
        self.epochs = 0

    def save(self) -> None:
        state = {
            "settings": asdict(self.settings),
            "net": self.net.state_dict(),
            "average": self.average.net.state_dict(),
            "steps": self.average.steps,
            "optimizer": self.optimizer.state_dict(),
            "epochs": self.epochs,
        }
        torch.save(state, self.folder / "checkpoint.new")
        (self.folder / "checkpoint.new").replace(self.folder / "checkpoint.pt")

    def load(self) -> bool:
        """Resume from the checkpoint in the folder, if there is one of the same settings."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return False
        try:
            state = torch.load(path, weights_only=True)
            if not self._continues(state["settings"], int(state["epochs"])):
                return False
        except (OSError, EOFError, RuntimeError, KeyError, pickle.UnpicklingError) as error:
            warn(f"{path} is no checkpoint of this training, starts again: {error}")
            return False
        self.net.load_state_dict(state["net"])
        self.average.net.load_state_dict(state["average"])
        self.average.steps = state["steps"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.epochs = int(state["epochs"])
        return True

    def _continues(self, stored: dict[str, Any], epochs: int) -> bool:
        """Whether the epochs that are done would have been the same with today's settings."""
        then = replace(self.settings, epochs=stored["epochs"], steady=stored["steady"])
        if asdict(then) != stored:
            return False
        return then == self.settings or then.falling(epochs) == self.settings.falling(epochs) == 0


def _groups(net: ExpressionNet, decay: float) -> list[dict[str, Any]]:
    """Weights shrink; biases and the batch norms' scales do not."""
    weights = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
