"""The face net: 320x256 gray in, 15 numbers for each cell of three grids out.

320x256 holds a 640x480 picture at half its size and tall pictures a little larger than 320x240 would; both sides
divide by 32, so that nothing is cropped on the way up. The first three layers are plain convolutions, which keep
what makes out small faces; from a stride of 8 on, depthwise and pointwise pairs (MobileNet, Howard et al. 2017) buy
twice the depth and width for the same multiply-adds.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ferd.vision.detectors.ferd import VALUES

WIDTH, HEIGHT = 320, 256


def _conv(inputs: int, outputs: int, stride: int = 1, size: int = 3, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Pair(nn.Module):
    """Depthwise 3x3, then pointwise; added to what came in where both have one shape."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = _conv(inputs, inputs, stride, groups=inputs)
        self.pointwise = _conv(inputs, outputs, size=1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        new = torch.relu(self.pointwise(torch.relu(self.depthwise(x))))
        return x + new if self.adds else new


class FaceNet(nn.Module):
    def __init__(self, stem: int = 8, early: int = 16, fine: int = 48, middle: int = 80, coarse: int = 96) -> None:
        super().__init__()
        self.early = nn.Sequential(_conv(1, stem, 2), nn.ReLU(), _conv(stem, early, 2), nn.ReLU())
        self.fine = nn.Sequential(_conv(early, fine, 2), nn.ReLU(), Pair(fine, fine), Pair(fine, fine))
        self.middle = nn.Sequential(Pair(fine, middle, 2), Pair(middle, middle), Pair(middle, middle))
        self.coarse = nn.Sequential(Pair(middle, coarse, 2), Pair(coarse, coarse))
        self.to_middle = _conv(coarse, middle, size=1)
        self.to_fine = _conv(middle, fine, size=1)
        self.middle_out = Pair(middle, middle)
        self.fine_out = Pair(fine, fine)
        self.heads = nn.ModuleList([nn.Conv2d(width, VALUES, 1) for width in (fine, middle, coarse)])
        for head in self.heads:
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            nn.init.constant_(head.bias[:1], -4.0)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, 256, 320) normalised gray -> (B, cells, 15), cells in the order of ferd.vision.detectors.ferd.grid."""
        fine = self.fine(self.early(x))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        middle = self.middle_out(torch.relu(middle + _double(self.to_middle(coarse))))
        fine = self.fine_out(torch.relu(fine + _double(self.to_fine(middle))))
        said = [head(level) for head, level in zip(self.heads, (fine, middle, coarse), strict=True)]
        return torch.cat([s.permute(0, 2, 3, 1).flatten(1, 2) for s in said], dim=1)


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")
