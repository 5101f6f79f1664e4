"""The points net: 48x48 gray in, ten numbers out; 1.1 million multiply-adds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ferd.vision.points import SIDE


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs))


class PointsNet(nn.Module):
    """(B, 1, 48, 48) normalised gray -> (B, 10): five points (x, y), in units of half the cut, from its middle."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv(1, 8, 2)
        self.early = _conv(8, 16, 2)
        self.early_more = _conv(16, 16)
        self.late = _conv(16, 32, 2)
        self.late_more = _conv(32, 32)
        self.inner = nn.Linear(32 * (SIDE // 8) ** 2, 64)  # flattened, not pooled: where is what matters
        self.outer = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.early(torch.relu(self.stem(x))))
        x = x + torch.relu(self.early_more(x))
        x = torch.relu(self.late(x))
        x = x + torch.relu(self.late_more(x))
        return self.outer(torch.relu(self.inner(x.flatten(1))))
