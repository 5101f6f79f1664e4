"""The face net: 320x256 gray in, 15 numbers for each cell of three grids out; plain convolutions.

320x256 holds a 640x480 picture at half its size and tall pictures a little larger than 320x240 would; both sides
divide by 32, so that nothing is cropped on the way up.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ferd.face.own import VALUES

WIDTH, HEIGHT = 320, 256


def _conv(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


class FaceNet(nn.Module):
    def __init__(self, stem: int = 8, early: int = 16, fine: int = 28, middle: int = 48, coarse: int = 64) -> None:
        super().__init__()
        self.early = nn.Sequential(_conv(1, stem, 2), nn.ReLU(), _conv(stem, early, 2), nn.ReLU())
        self.fine_in = nn.Sequential(_conv(early, fine, 2), nn.ReLU())
        self.fine = _conv(fine, fine)
        self.middle_in = nn.Sequential(_conv(fine, middle, 2), nn.ReLU())
        self.middle = _conv(middle, middle)
        self.coarse_in = nn.Sequential(_conv(middle, coarse, 2), nn.ReLU())
        self.coarse = _conv(coarse, coarse)
        self.to_middle = _conv(coarse, middle, size=1)
        self.to_fine = _conv(middle, fine, size=1)
        self.heads = nn.ModuleList([nn.Conv2d(width, VALUES, 1) for width in (fine, middle, coarse)])
        for head in self.heads:
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            nn.init.constant_(head.bias[:1], -4.0)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, 256, 320) normalised gray -> (B, cells, 15), cells in the order of ferd.face.own.grid."""
        fine = self.fine_in(self.early(x))
        fine = fine + torch.relu(self.fine(fine))
        middle = self.middle_in(fine)
        middle = middle + torch.relu(self.middle(middle))
        coarse = self.coarse_in(middle)
        coarse = coarse + torch.relu(self.coarse(coarse))
        middle = torch.relu(middle + _double(self.to_middle(coarse)))
        fine = torch.relu(fine + _double(self.to_fine(middle)))
        said = [head(level) for head, level in zip(self.heads, (fine, middle, coarse), strict=True)]
        return torch.cat([s.permute(0, 2, 3, 1).flatten(1, 2) for s in said], dim=1)


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")
