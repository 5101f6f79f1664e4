"""What a camera, a room and a detector do to a face, for a whole batch at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Change = Callable[[Tensor, torch.Generator], Tensor]
JPEG = (25, 80)  # quality of a webcam's stream


def augment(pixels: Tensor, strength: float, generator: torch.Generator, side: int) -> Tensor:
    """(B, 1, H, W) in 0..1 with a margin to (B, 1, side, side); strength 1 is full, 0 is a flip only."""
    g = generator
    out = _flip_and_place(pixels, strength, g, side)
    if strength <= 0:
        return out
    out = _some(out, 0.3 * strength, _low_resolution, g)
    out = _some(out, 0.2 * strength, _blur, g)
    out = _light(out, strength, g)
    out = _some(out, 0.3 * strength, _noise, g)
    out = _some(out, 0.15 * strength, _jpeg, g)
    out = _some(out, 0.3 * strength, _cover, g)
    return out.clamp(0, 1)


def _uniform(count: int, low: float, high: float, g: torch.Generator) -> Tensor:
    return torch.rand(count, generator=g) * (high - low) + low


def _some(x: Tensor, share: float, change: Change, g: torch.Generator) -> Tensor:
    """Change this share of the batch, in place."""
    picked = torch.rand(len(x), generator=g) < share
    if picked.any():
        x[picked] = change(x[picked], g)
    return x


def _flip_and_place(x: Tensor, strength: float, g: torch.Generator, side: int) -> Tensor:
    """Flip, roll, scale, stretch and shift: detectors cut no face twice alike."""
    n = len(x)
    flip = torch.where(torch.rand(n, generator=g) < 0.5, -1.0, 1.0)
    inner = side / x.shape[-1]  # without the margin
    angle = _uniform(n, -16, 16, g) * strength * math.pi / 180
    scale = (1 + _uniform(n, -0.16, 0.16, g) * strength) * inner
    stretch = 1 + _uniform(n, -0.08, 0.08, g) * strength
    shift_x = _uniform(n, -0.18, 0.18, g) * strength * inner  # of half a side
    shift_y = _uniform(n, -0.18, 0.18, g) * strength * inner
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.stack(
        [
            torch.stack([flip * cos * scale * stretch, -sin * scale, shift_x], dim=1),
            torch.stack([flip * sin * scale, cos * scale / stretch, shift_y], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(theta, [n, 1, side, side], align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _low_resolution(x: Tensor, g: torch.Generator) -> Tensor:
    """A far face: fewer pixels, enlarged again."""
    side = int(torch.randint(18, 36, (1,), generator=g))
    small = functional.interpolate(x, size=side, mode="area")
    return functional.interpolate(small, size=x.shape[-1], mode="bilinear", align_corners=False)


def _blur(x: Tensor, g: torch.Generator) -> Tensor:
    sigma = float(_uniform(1, 0.5, 1.3, g))
    ticks = torch.arange(-2.0, 3.0)
    line = torch.exp(-(ticks**2) / (2 * sigma**2))
    line = line / line.sum()
    x = functional.pad(x, (2, 2, 2, 2), mode="replicate")
    return functional.conv2d(functional.conv2d(x, line.view(1, 1, 1, 5)), line.view(1, 1, 5, 1))


def _light(x: Tensor, strength: float, g: torch.Generator) -> Tensor:
    """Gamma, contrast, brightness; for half of the faces a lamp from one side."""
    n = len(x)
    shape = (n, 1, 1, 1)
    gamma = torch.exp(_uniform(n, -0.45, 0.45, g) * strength).view(shape)
    contrast = torch.exp(_uniform(n, -0.45, 0.3, g) * strength).view(shape)
    bright = (_uniform(n, -0.15, 0.15, g) * strength).view(shape)
    x = x.clamp(1e-3, 1) ** gamma
    middle = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (x - middle) * contrast + middle + bright
    return _some(x, 0.5 * strength, _side_lamp, g)


def _side_lamp(x: Tensor, g: torch.Generator) -> Tensor:
    shape = (len(x), 1, 1, 1)
    ramp = torch.linspace(-1, 1, x.shape[-1])
    across = _uniform(len(x), -0.2, 0.2, g).view(shape) * ramp.view(1, 1, 1, -1)
    down = _uniform(len(x), -0.15, 0.15, g).view(shape) * ramp.view(1, 1, -1, 1)
    return x * (1 + across + down)


def _noise(x: Tensor, g: torch.Generator) -> Tensor:
    return x + torch.randn(x.shape, generator=g) * 0.03


def _jpeg(x: Tensor, g: torch.Generator) -> Tensor:
    """The blocks of a compressed stream, which do not begin at the face's corner."""
    out = x.clone()
    for row, quality in zip(out, torch.randint(*JPEG, (len(x),), generator=g).tolist(), strict=True):
        tile = (row[0].clamp(0, 1) * 255).byte().numpy()
        coded = cv2.imencode(".jpg", tile, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
        row[0] = torch.from_numpy(decoded).float() / 255
    return out


def _cover(x: Tensor, g: torch.Generator) -> Tensor:
    """A hand, a cup, a strand of hair: a gray rectangle over part of the face."""
    n, side = len(x), x.shape[-1]
    ticks = torch.arange(side).view(1, -1)

    def span() -> Tensor:
        length = _uniform(n, 6, 18, g).view(-1, 1)
        start = _uniform(n, -4, side - 4, g).view(-1, 1)
        return (ticks >= start) & (ticks < start + length)

    covered = span()[:, None, :, None] & span()[:, None, None, :]
    shade = torch.rand(n, generator=g).view(n, 1, 1, 1)
    return torch.where(covered, shade, x)
