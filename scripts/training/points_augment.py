"""What another moment would have made of a tile: turned, shifted, zoomed, mirrored, relit, coarse, half hidden."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ferd.vision.points import AROUND as CUT
from ferd.vision.points import SIDE
from training.points_data import TILE, Tiles

MIRRORED = torch.tensor([1, 0, 2, 4, 3])  # right and left are the subject's own
SHIFT, ZOOM = 0.07, 0.11  # standard deviations of what a detector's box is off, in boxes


def augment(tiles: Tiles, picked: Tensor, g: torch.Generator, *, change: bool = True) -> tuple[Tensor, Tensor]:
    """(n, SIDE, SIDE) uint8 and points (n, 10) in units of half the cut, from its middle.

    Without `change`: only the slips of a detector.
    """
    n = len(picked)
    pixels = tiles.pixels[picked][:, None].float() / 255
    size = tiles.sizes[picked]
    turn = _turn(n, g) if change else torch.zeros(n)
    flip = torch.where(torch.rand(n, generator=g) < 0.5, -1.0, 1.0) if change else torch.ones(n)
    half = CUT * size / 2 * torch.exp(torch.randn(n, generator=g) * ZOOM)
    centre = TILE / 2 + torch.randn(n, 2, generator=g) * SHIFT * size[:, None]
    cos, sin = torch.cos(turn), torch.sin(turn)
    rows = [torch.stack([flip * cos, -sin], 1), torch.stack([flip * sin, cos], 1)]
    matrix = torch.stack(rows, dim=1) * half[:, None, None]
    theta = torch.cat([matrix / (TILE / 2), ((centre - TILE / 2) / (TILE / 2))[:, :, None]], dim=2)
    grid = functional.affine_grid(theta, [n, 1, SIDE, SIDE], align_corners=False)
    cut = functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    points = torch.einsum("nij,nkj->nki", torch.linalg.inv(matrix), tiles.points[picked] - centre[:, None])
    points = torch.where((flip < 0)[:, None, None], points[:, MIRRORED], points)
    if change:
        cut = _degrade(cut, g)
    return (cut[:, 0].clamp(0, 1) * 255).round().to(torch.uint8), points.reshape(n, 10)


def _turn(n: int, g: torch.Generator) -> Tensor:
    """Radians: most nearly upright, a third tilted by up to 45 degrees, a few at any angle."""
    kind = torch.rand(n, generator=g)
    tilted = torch.where(kind < 0.93, _uniform(n, -0.8, 0.8, g), _uniform(n, -math.pi, math.pi, g))
    return torch.where(kind < 0.6, torch.randn(n, generator=g) * 0.17, tilted)


def _degrade(x: Tensor, g: torch.Generator) -> Tensor:
    n, side = len(x), x.shape[-1]
    x = x.clamp(1e-3, 1) ** _each(torch.exp(_uniform(n, -0.6, 0.6, g)))
    flat = _each((torch.rand(n, generator=g) < 0.5).float())
    low, high = _each(_uniform(n, 0, 0.3, g)), _each(_uniform(n, 0.45, 1.0, g))
    x = torch.where(flat > 0, low + x * (high - low), x)
    lamp = _each(_uniform(n, -0.4, 0.4, g) * (torch.rand(n, generator=g) < 0.4))
    x = x * (1 + lamp * torch.linspace(-1, 1, side).view(1, 1, 1, -1))
    coarse = torch.rand(n, generator=g) < 0.25
    if coarse.any():
        small = functional.interpolate(x[coarse], size=int(torch.randint(14, 32, (1,), generator=g)), mode="area")
        x[coarse] = functional.interpolate(small, size=side, mode="bilinear", align_corners=False)
    x = x + torch.randn(x.shape, generator=g) * _each(_uniform(n, 0, 0.05, g))
    return _cover(x, g)


def _cover(x: Tensor, g: torch.Generator) -> Tensor:
    """A hand, a cup, dark glasses: a gray rectangle over part of three faces in ten."""
    n, side = len(x), x.shape[-1]
    ticks = torch.arange(side).view(1, -1)

    def span() -> Tensor:
        start = _uniform(n, 0, side - 8, g).view(-1, 1)
        return (ticks >= start) & (ticks < start + _uniform(n, 6, 22, g).view(-1, 1))

    hidden = span()[:, None, :, None] & span()[:, None, None, :] & (_each(torch.rand(n, generator=g)) < 0.3)
    return torch.where(hidden, _each(torch.rand(n, generator=g)), x)


def _uniform(n: int, low: float, high: float, g: torch.Generator) -> Tensor:
    return torch.rand(n, generator=g) * (high - low) + low


def _each(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
