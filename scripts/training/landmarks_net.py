"""The landmarks net: 64x64 gray in, presence, pose and 40 points out; under 8 million multiply-adds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ferd.vision.landmarks import SIDE, VALUES

UNITS = 96  # of the layer in which all places meet


def _conv(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.relu(self.first(x))


class LandmarksNet(nn.Module):
    """(B, 1, 64, 64) normalised gray to (B, VALUES).

    Position is what matters, so the features of all 8x8 places meet in one layer, unpooled; narrowed to 20 channels
    before it. The last layer stays in float in the shipped file: an int8 output would put landmarks on a grid of 2 %
    of the eye distance.
    """

    def __init__(self, units: int = UNITS) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(_conv(1, 16, 2), nn.ReLU()),
            *(_conv(16, 32, 2), nn.ReLU(), Residual(32)),
            *(_conv(32, 48, 2), nn.ReLU(), Residual(48), Residual(48)),
            *(_conv(48, 20, size=1), nn.ReLU()),
        )
        # A convolution over everything, rather than a linear layer: its batch norm keeps its units alive.
        self.inner = nn.Sequential(nn.Conv2d(20, units, SIDE // 8, bias=False), nn.BatchNorm2d(units))
        self.outer = nn.Linear(units, VALUES)

    def forward(self, x: Tensor) -> Tensor:
        features = torch.relu(self.inner(self.body(x))).flatten(1)
        if self.training:
            # In bfloat16 an output near 1 has steps of 0.4 %: too coarse for the gap between lids.
            with torch.autocast("cpu", enabled=False):
                return self.outer(features.float())
        return self.outer(features)
