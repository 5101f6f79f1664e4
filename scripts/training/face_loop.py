"""One training loop for the small nets `face` and `eyes`: AdamW, cosine rate, averaged weights, checkpoints."""

from __future__ import annotations

import copy
import csv
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from training.fit import half_precision


@dataclass(frozen=True)
class Plan:
    """All that decides the weights: a checkpoint of another plan is not resumed."""

    name: str
    epochs: int
    steps: int  # of one epoch
    batch: int
    rate: float = 2e-3
    decay: float = 1e-2
    warm_steps: int = 200
    average: float = 0.998
    seed: int = 8322


class Run:
    """What one training holds between its steps."""

    def __init__(self, net: nn.Module, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        # The copy keeps its weights contiguous: litert-torch converts a first layer in channels_last wrongly.
        self.average = copy.deepcopy(net).eval()
        self.net = net.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(_groups(net, plan.decay), plan.rate)
        self.epochs = 0
        self.steps = 0

    def save(self) -> None:
        state = {
            "plan": asdict(self.plan),
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epochs": self.epochs,
            "steps": self.steps,
        }
        torch.save(state, self.folder / "checkpoint.new")
        (self.folder / "checkpoint.new").replace(self.folder / "checkpoint.pt")

    def load(self) -> bool:
        """Take up the checkpoint in the folder, if there is one of the same plan."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, weights_only=True)
        if state["plan"] != asdict(self.plan):
            return False
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epochs, self.steps = int(state["epochs"]), int(state["steps"])
        return True

    def step(self, loss: Tensor) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimizer.step()
        self.steps += 1
        keep = min(self.plan.average, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            for mine, new in zip(self.average.state_dict().values(), self.net.state_dict().values(), strict=True):
                if mine.dtype.is_floating_point:
                    mine.lerp_(new, 1 - keep)
                else:
                    mine.copy_(new)

    def rate(self) -> float:
        plan = self.plan
        if self.steps < plan.warm_steps:
            return plan.rate * (self.steps + 1) / plan.warm_steps
        done = (self.steps - plan.warm_steps) / max(1, plan.epochs * plan.steps - plan.warm_steps)
        return plan.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def fit(
    net: nn.Module,
    plan: Plan,
    folder: Path,
    batches: Callable[[int], Iterable[tuple[Tensor, Any]]],
    loss_of: Callable[[Tensor, Any], Tensor],
    judge: Callable[[nn.Module], dict[str, float]],
    *,
    resume: bool = True,
) -> nn.Module:
    """Train, or go on where the checkpoint in the folder stopped; returns the averaged net.

    `batches(epoch)` gives (input, target); the seed must be the epoch's own, so that resuming changes nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(plan.seed)
    run = Run(net, plan, folder)
    curve = folder / "curve.csv"
    if not (resume and run.load()):
        curve.unlink(missing_ok=True)
    while run.epochs < plan.epochs:
        mean = _epoch(run, batches, loss_of)
        run.epochs += 1
        figures = judge(run.average)
        row = {"epoch": run.epochs, "rate": f"{run.rate():.5f}", "loss": f"{mean:.4f}"}
        row |= {name: f"{value:.4f}" for name, value in figures.items()}
        new = not curve.exists()
        with curve.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        tqdm.write(" ".join(f"{name} {value}" for name, value in row.items()))
        run.save()
    return run.average


def _epoch(run: Run, batches: Callable[[int], Iterable[Any]], loss_of: Callable[[Tensor, Any], Tensor]) -> float:
    plan = run.plan
    run.net.train()
    total = 0.0
    bar = tqdm(batches(run.epochs), f"{plan.name} {run.epochs + 1}/{plan.epochs}", plan.steps, mininterval=5)
    for step, (inputs, target) in enumerate(bar):
        with torch.autocast("cpu", torch.bfloat16, enabled=half_precision()):
            output = run.net(inputs.contiguous(memory_format=torch.channels_last))
        loss = loss_of(output.float(), target)
        run.step(loss)
        total += loss.item()
        left = (plan.epochs - run.epochs) * plan.steps - step - 1
        if step % 20 == 0 and (speed := bar.format_dict["rate"]):
            bar.set_postfix(loss=f"{total / (step + 1):.3f}", left_min=f"{left / speed / 60:.0f}")
    return total / plan.steps


def _groups(net: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weights shrink; biases and the batch norms' scales do not."""
    weights = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def plot(folder: Path) -> Path:
    """Draw the columns of curve.csv into curve.png beside it; returns its path."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with (folder / "curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) for row in rows]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    left.plot(epochs, [float(row["loss"]) for row in rows], label="loss")
    left.set(xlabel="epoch", ylabel="training loss", yscale="log")
    for name in list(rows[0])[3:]:
        right.plot(epochs, [float(row[name]) for row in rows], label=name.replace("_", " "))
    right.set(xlabel="epoch", ylabel="validation", ylim=(0, 1.02))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    target = folder / "curve.png"
    figure.savefig(target, dpi=110)
    return target
