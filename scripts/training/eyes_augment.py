"""From tiles to what the eyes net sees: placed, lit, blurred and noised as cameras and detectors do it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ferd.vision.eyes import CONTRAST, LEAST_SPREAD
from training.eyes_data import CROP, OTHER, TILE
from training.eyes_net import SIDE
from training.net import MEAN, STD


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
    """(B, 64, 64) uint8 and (B,) labels -> input (B, 1, 32, 32) and labels; some eyes get sunglasses."""
    pixels = tiles[:, None].float() / 255
    pixels, labels = _sunglasses(pixels, labels, g)
    pixels = _place(pixels, g)
    pixels = _coarser(pixels, g)
    pixels = _light(pixels, g)
    pixels = _cover(pixels, g)
    noise = torch.rand((len(pixels), 1, 1, 1), generator=g) ** 2 * 0.05
    pixels = pixels + torch.randn(pixels.shape, generator=g) * noise
    return normalised(pixels.clamp(0, 1)), labels


def _uniform(count: int, low: float, high: float, g: torch.Generator) -> Tensor:
    return torch.rand(count, generator=g) * (high - low) + low


def _some(before: Tensor, after: Tensor, share: float, g: torch.Generator) -> Tensor:
    picked = torch.rand(len(before), generator=g) < share
    return torch.where(picked[:, None, None, None], after, before)


def _place(x: Tensor, g: torch.Generator) -> Tensor:
    """Points are off by some percent of the eye distance, heads are turned, a left eye is a mirrored right one."""
    n = len(x)
    flip = torch.where(torch.rand(n, generator=g) < 0.5, -1.0, 1.0)
    angle = torch.randn(n, generator=g) * 8 * math.pi / 180
    scale = CROP / TILE * torch.exp(torch.randn(n, generator=g) * 0.14)
    narrow = torch.exp(_uniform(n, -0.3, 0.1, g))  # a turned head: what lies across is pressed together
    shift_x, shift_y = torch.randn(n, generator=g) * 0.09, torch.randn(n, generator=g) * 0.09
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


def _sunglasses(x: Tensor, labels: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """A dark lens with something mirrored in it over every fifteenth eye, which then is an eye no more."""
    n, side = len(x), x.shape[-1]
    ticks = torch.linspace(-1, 1, side)
    rx, ry = _uniform(n, 0.55, 1.1, g).view(n, 1, 1, 1), _uniform(n, 0.4, 0.8, g).view(n, 1, 1, 1)
    power = _uniform(n, 2, 5, g).view(n, 1, 1, 1)
    inside = (ticks.abs().view(1, 1, 1, -1) / rx) ** power + (ticks.abs().view(1, 1, -1, 1) / ry) ** power < 1
    mirrored = functional.interpolate(torch.rand((n, 1, 4, 4), generator=g), size=side, mode="bicubic")
    depth = _uniform(n, 0.0, 0.5, g).view(n, 1, 1, 1)
    lens = _uniform(n, 0.02, 0.2, g).view(n, 1, 1, 1) + depth * mirrored.clamp(0, 1) ** 2 + 0.1 * x
    worn = (torch.rand(n, generator=g) < 1 / 15) & (labels < 2)
    x = torch.where(worn[:, None, None, None] & inside, lens, x)
    return x, torch.where(worn, torch.full_like(labels, OTHER), labels)
