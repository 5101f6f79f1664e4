"""From tiles to what the eyes net sees: placed, lit, blurred and noised as cameras and detectors do it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ferd.vision.eyes import CONTRAST, EYE_SIDE, HEIGHTS, LABELS, LEAST_SPREAD
from training.eyes_data import CROP, OTHER, TILE
from training.eyes_glasses import wear
from training.eyes_net import SIDE
from training.net import MEAN, STD

REACH = 1.3 * max(HEIGHTS) / (EYE_SIDE / 2 * TILE / CROP)
"""How far from its place a hidden eye is cut, in half tiles."""


def centre(tiles: Tensor) -> Tensor:
    """(B, 64, 64) uint8 tiles -> (B, 1, 32, 32) normalised input, the crop as it was cut."""
    edge = (TILE - CROP) // 2
    crops = tiles[:, None, edge:-edge, edge:-edge].float() / 255
    return normalised(functional.interpolate(crops, size=SIDE, mode="area"))


def normalised(pixels: Tensor) -> Tensor:
    """ferd.vision.eyes.level, then the card's mean and std; (B, 1, H, W) in 0..1."""
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
    spread = pixels.std(dim=(1, 2, 3), keepdim=True, correction=0).clamp(min=LEAST_SPREAD / 255)
    levelled = ((pixels - mean) * (CONTRAST / 255) / spread + 128 / 255).clamp(0, 1)
    return (levelled - MEAN) / STD


def augment(tiles: Tensor, labels: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """(B, 64, 64) uint8 and (B,) labels -> input (B, 1, 32, 32) and targets (B, 5); many eyes get glasses."""
    pixels, other = wear(tiles[:, None].float() / 255, labels, g)
    targets = functional.one_hot(labels, len(LABELS)).float() * (1 - other[:, None])
    targets[:, OTHER] += other
    pixels = _place(pixels, other > 0.9, g)
    pixels = _coarser(pixels, g)
    pixels = _light(pixels, g)
    pixels = _cover(pixels, g)
    noise = torch.rand((len(pixels), 1, 1, 1), generator=g) ** 2 * 0.05
    pixels = pixels + torch.randn(pixels.shape, generator=g) * noise
    return normalised(pixels.clamp(0, 1)), targets


def _uniform(count: int, low: float, high: float, g: torch.Generator) -> Tensor:
    return torch.rand(count, generator=g) * (high - low) + low


def _some(before: Tensor, after: Tensor, share: float, g: torch.Generator) -> Tensor:
    picked = torch.rand(len(before), generator=g) < share
    return torch.where(picked[:, None, None, None], after, before)


def _place(x: Tensor, hidden: Tensor, g: torch.Generator) -> Tensor:
    """Points are off by some percent of the eye distance, heads are turned, a left eye is a mirrored right one.

    Hidden eyes are cut at all heights that the reader tries, and a little beyond.
    """
    n = len(x)
    flip = torch.where(torch.rand(n, generator=g) < 0.5, -1.0, 1.0)
    angle = torch.randn(n, generator=g) * 8 * math.pi / 180
    scale = CROP / TILE * torch.exp(torch.randn(n, generator=g) * 0.14)
    narrow = torch.exp(_uniform(n, -0.3, 0.1, g))  # a turned head: what lies across is pressed together
    shift_x, shift_y = torch.randn(n, generator=g) * 0.09, torch.randn(n, generator=g) * 0.09
    shift_y = torch.where(hidden, _uniform(n, -REACH, REACH, g), shift_y)
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.stack(
        [
            torch.stack([flip * cos * scale / narrow, -sin * scale, shift_x], dim=1),
            torch.stack([flip * sin * scale / narrow, cos * scale, shift_y], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(theta, [n, 1, CROP, CROP], align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _coarser(x: Tensor, g: torch.Generator) -> Tensor:
    """Far faces, out of focus, compressed: at every side from 8 pixels on, then the net's own."""
    out = []
    for part in x.chunk(8):
        side = 48 if torch.rand(1, generator=g) < 0.4 else int(torch.randint(9, 32, (1,), generator=g))
        small = functional.interpolate(part, size=side, mode="area")
        method = "area" if side > SIDE else "bilinear"
        corners = None if method == "area" else False
        small = functional.interpolate(small, size=SIDE, mode=method, align_corners=corners)
        if torch.rand(1, generator=g) < 0.3:
            small = functional.avg_pool2d(functional.pad(small, (1, 1, 1, 1), mode="replicate"), 3, 1)
        out.append(small)
    return torch.cat(out)


def _light(x: Tensor, g: torch.Generator) -> Tensor:
    """Gamma, a lamp from one side, highlights that clip; brightness and contrast are levelled out anyway."""
    n = len(x)
    gamma = torch.exp(_uniform(n, -0.6, 0.6, g)).view(n, 1, 1, 1)
    x = x.clamp(1e-3, 1) ** gamma
    ramp = torch.linspace(-1, 1, x.shape[-1])
    across = _uniform(n, -0.5, 0.5, g).view(n, 1, 1, 1) * ramp.view(1, 1, 1, -1)
    down = _uniform(n, -0.3, 0.3, g).view(n, 1, 1, 1) * ramp.view(1, 1, -1, 1)
    x = _some(x, x * (1 + across + down), 0.5, g)
    gain = _uniform(n, 0.9, 1.6, g).view(n, 1, 1, 1)
    x = _some(x, (x * gain).clamp(0, 1), 0.25, g)
    return _some(x, _spot(x, g), 0.08, g)


def _spot(x: Tensor, g: torch.Generator) -> Tensor:
    """The lamp's mirror image in glasses."""
    n, side = len(x), x.shape[-1]
    ticks = torch.linspace(0, 1, side)
    px, py, r = (_uniform(n, *span, g).view(n, 1, 1, 1) for span in ((0.1, 0.9), (0.1, 0.9), (0.03, 0.1)))
    inside = (ticks.view(1, 1, 1, -1) - px) ** 2 + (ticks.view(1, 1, -1, 1) - py) ** 2 < r**2
    return torch.where(inside, torch.ones(()), x)


def _cover(x: Tensor, g: torch.Generator) -> Tensor:
    """A strand of hair or the rim of glasses: a thin bar."""
    n, side = len(x), x.shape[-1]
    ticks = torch.arange(side).float()
    angle = _uniform(n, -math.pi, math.pi, g).view(n, 1, 1, 1)
    offset = _uniform(n, 4, 14, g).view(n, 1, 1, 1)
    along = (ticks.view(1, 1, 1, -1) - side / 2) * torch.cos(angle)
    along = along + (ticks.view(1, 1, -1, 1) - side / 2) * torch.sin(angle)
    shade = torch.rand(n, generator=g).view(n, 1, 1, 1) * 0.5
    width = _uniform(n, 0.5, 2.0, g).view(n, 1, 1, 1)
    return _some(x, torch.where((along - offset).abs() < width, shade, x), 0.15, g)
