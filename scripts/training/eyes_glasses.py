"""Draw glasses over the tiles of eyes that the net learns from: rims, tints, veils, glare, mirrors, brow shadows.

A lens is what it shows instead of the eye, and how much of the eye that hides, pixel by pixel. An eye that can be seen
keeps its label; one that is hidden becomes `other`; between the two the target is shared.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from training.eyes_data import EYE_OPEN

WORN = 0.6
"""Share of the eyes that get glasses."""
SHADED = 0.2
"""Share of the eyes that lie in the shadow of something above them."""
SEEN, HIDDEN = 0.4, 0.7
"""Share of the eye that a lens hides: up to the first it keeps its label, from the second on it is `other`."""
EYE_WIDE, EYE_HIGH = 0.4, 0.22
"""Standard deviations of the weight with which a tile's pixels count as the eye, in half tiles."""
CLEAR, PARTLY, DARK, MIRRORING, BRIGHT = range(5)
KINDS = (0.40, 0.17, 0.13, 0.19, 0.11)
"""How often a lens is clear, a partial veil, dark or gray, mirroring, or white with glare."""


def wear(x: Tensor, labels: Tensor, g: torch.Generator, share: float = WORN) -> tuple[Tensor, Tensor]:
    """Draw glasses over a share of the eyes.

    Args:
        x: (n, 1, side, side) tiles, 0 to 1. Those that show no eye give what mirrors show.
        labels: (n,) indices into LABELS.

    Returns:
        The tiles, and (n,) the share of `other` in each target, 0 for what is not an eye.
    """
    worn = (torch.rand(len(x), generator=g) < share) & (labels <= EYE_OPEN)
    other = torch.zeros(len(x))
    if worn.any():
        x = x.clone()
        shaded = (torch.rand(len(x), generator=g) < SHADED) & (labels <= EYE_OPEN)
        x[shaded] = _shadow(x[shaded], g)
        scenes = x[labels > EYE_OPEN]
        x[worn], hidden = _worn(x[worn], scenes if len(scenes) else x, g)
        other[worn] = smooth((hidden - SEEN) / (HIDDEN - SEEN))
    return x, other


def smooth(x: Tensor) -> Tensor:
    """0 up to 0, 1 from 1 on, without a corner between."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def _worn(x: Tensor, scenes: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """The tiles with glasses, and how much of the eye they hide."""
    n, side = len(x), x.shape[-1]
    u, v = _grid(n, side, g)
    inside, edge = _lens(u, v, g)
    kind = torch.multinomial(torch.tensor(KINDS), n, replacement=True, generator=g)
    cover, shown = _glass(kind, u, v, scenes, g)
    glare = _glare(u, v, g)
    cover, shown = _over(cover, shown, glare * (torch.rand(n, generator=g) < 0.35).float().view(n, 1, 1, 1))
    cover = cover * inside
    x = x * (1 - cover) + shown * cover
    ticks = torch.linspace(-1, 1, side)
    weight = torch.exp(-0.5 * ((ticks.view(1, -1) / EYE_WIDE) ** 2 + ((ticks.view(-1, 1) - 0.08) / EYE_HIGH) ** 2))
    hidden = (cover[:, 0] * weight).sum((1, 2)) / weight.sum()
    # Many rims are dark; metal and clear plastic are light. Every sixth pair has none.
    ink = torch.where(_chance(n, 0.7, g), _each(n, 0, 0.3, g), _each(n, 0.4, 1, g))
    rim = edge * _each(n, 0.6, 1, g) * _chance(n, 0.84, g).float()
    return x * (1 - rim) + ink * rim, hidden


def _glass(kind: Tensor, u: Tensor, v: Tensor, scenes: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """How much each kind of lens hides, and what it shows instead; both (n, 1, side, side)."""
    n, side = len(kind), u.shape[-1]
    noise = _noise(n, side, g)
    uneven = noise * _each(n, 0, 0.15, g) * _chance(n, 0.6, g).float()
    veil = torch.where(_chance(n, 0.6, g), _each(n, 0.7, 1, g), _each(n, 0, 1, g)).expand(n, 1, side, side)
    dark = torch.where(_chance(n, 0.6, g), _each(n, 0.0, 0.35, g), _each(n, 0.2, 0.75, g)) + uneven
    bright = _each(n, 0.75, 1, g) + uneven
    mirror = _mirrored(u, v, noise, scenes, g)
    shown = torch.stack([veil, veil, dark, mirror, bright])[kind, torch.arange(n)]
    shares = torch.tensor([[0.0, 0.2], [0.2, 0.8], [0.75, 1.0], [0.75, 1.0], [0.65, 1.0]])[kind]
    cover = shares[:, 0] + (shares[:, 1] - shares[:, 0]) * torch.rand(n, generator=g)
    cover = cover.view(n, 1, 1, 1).expand(n, 1, side, side)
    # Lenses that are dark above and clear below, in the sun or by their make
    fade = torch.sigmoid(_each(n, 2, 8, g) * (_each(n, -0.6, 0.9, g) - v))
    return torch.where(_chance(n, 0.15, g), cover * fade, cover), shown.clamp(0, 1)


def _mirrored(u: Tensor, v: Tensor, noise: Tensor, scenes: Tensor, g: torch.Generator) -> Tensor:
    """Scenes near and far, the sky, shapes without a name, and the bent image of a light or a dark thing."""
    n, side = len(u), u.shape[-1]
    taken = scenes[torch.randint(len(scenes), (n,), generator=g)].flip(3)
    near = functional.interpolate(taken[:, :, side // 4 : -side // 4, side // 4 : -side // 4], size=side)
    scene = torch.where(_chance(n, 0.5, g), taken, near) * _each(n, 0.5, 1.2, g) + _each(n, -0.1, 0.3, g)
    slope = _each(n, -0.5, 0.5, g) * v + _each(n, -0.15, 0.15, g) * u
    sky = _each(n, 0.3, 1, g) + slope + 0.1 * noise
    shapes = _each(n, 0.2, 0.8, g) + _each(n, 0.05, 0.5, g) * noise
    far = ((u - _each(n, -0.7, 0.7, g)) / _each(n, 0.15, 1, g)) ** 2
    far = far + ((v - _each(n, -0.7, 0.7, g)) / _each(n, 0.15, 1, g)) ** 2
    bent = _each(n, 0, 1, g) + _each(n, -1, 1, g) * torch.exp(-far) + slope
    which = torch.rand(n, generator=g).view(n, 1, 1, 1)
    return torch.where(which < 0.4, scene, torch.where(which < 0.55, sky, torch.where(which < 0.8, shapes, bent)))


def _glare(u: Tensor, v: Tensor, g: torch.Generator) -> Tensor:
    """Mirror images of lamps and windows: spots, panes and bands of light, many of them beside the eye."""
    n = len(u)
    x, y = _each(n, -0.9, 0.9, g), _each(n, -0.7, 0.7, g)
    wide, high = _each(n, 0.05, 0.6, g), _each(n, 0.05, 0.45, g)
    turn = _each(n, -0.6, 0.6, g)
    a = ((u - x) * turn.cos() + (v - y) * turn.sin()).abs() / wide
    b = ((v - y) * turn.cos() - (u - x) * turn.sin()).abs() / high
    form = torch.where(_chance(n, 0.5, g), (a.square() + b.square()).sqrt(), torch.maximum(a, b))
    form = torch.where(_chance(n, 0.3, g), a, form)
    return torch.sigmoid((1 - form) * _each(n, 4, 30, g)) * _each(n, 0.4, 1, g)


def _over(cover: Tensor, shown: Tensor, light: Tensor) -> tuple[Tensor, Tensor]:
    """White light of this strength over a lens."""
    both = 1 - (1 - cover) * (1 - light)
    return both, (shown * cover * (1 - light) + light) / both.clamp(min=1e-3)


def _lens(u: Tensor, v: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inside of a lens, and its rim; in half lenses."""
    n, side = len(u), u.shape[-1]
    power = _each(n, 1.3, 6, g)
    high = _each(n, 0.42, 0.9, g) * (1 + _each(n, -0.25, 0.25, g) * u)  # higher towards nose or temple
    wide = _each(n, 0.68, 1.1, g)
    down = v - _each(n, -0.05, 0.25, g)
    across, along = (u.abs() / wide).clamp(max=3), (down.abs() / high).clamp(max=3)
    form = (across**power + along**power) ** (1 / power)
    soft = side / 3
    inside = torch.sigmoid((1 - form) * soft)
    thick = _each(n, 0.02, 0.14, g)
    edge = torch.sigmoid((thick - (form - 1).abs()) * soft)
    upper = _chance(n, 0.15, g) & (down > 0)
    edge = torch.where(upper, torch.zeros(()), edge)
    bar = ((down + _each(n, -0.1, 0.5, g) * high).abs() < thick * 0.7) & (form > 1) & _chance(n, 0.7, g)
    return inside, torch.maximum(edge, bar.float())


def _grid(n: int, side: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Coordinates around the middle of a lens, which sits about the eye, a little tilted."""
    ticks = torch.linspace(-1, 1, side)
    turn = torch.randn(n, generator=g).view(n, 1, 1, 1) * 0.1
    x = ticks.view(1, 1, 1, -1) - torch.randn(n, generator=g).view(n, 1, 1, 1) * 0.12
    y = ticks.view(1, 1, -1, 1) - torch.randn(n, generator=g).view(n, 1, 1, 1) * 0.08
    return x * turn.cos() + y * turn.sin(), y * turn.cos() - x * turn.sin()


def _shadow(x: Tensor, g: torch.Generator) -> Tensor:
    """The shadow of brow, hat or frame over the upper part of an eye, which can still be seen."""
    n, side = len(x), x.shape[-1]
    ticks = torch.linspace(-1, 1, side)
    line = _each(n, -0.5, 0.7, g) + _each(n, -0.3, 0.3, g) * ticks - ticks.view(1, 1, -1, 1)
    return x * (1 - torch.sigmoid(line * _each(n, 3, 15, g)) * _each(n, 0.2, 0.7, g))


def _noise(n: int, side: int, g: torch.Generator) -> Tensor:
    """Patterns of -1 to 1, from one wave to many, drawn out across or down, soft or with hard edges."""
    parts = []
    for count in (n // 3, n // 3, n - 2 * (n // 3)):
        knots = torch.randint(2, 15, (2,), generator=g).tolist()
        rough = torch.rand((count, 1, *knots), generator=g) * 2 - 1
        parts.append(functional.interpolate(rough, size=side, mode="bilinear", align_corners=True))
    waves = torch.cat(parts)
    return torch.where(_chance(n, 0.4, g), torch.tanh(waves * _each(n, 1, 20, g)), waves)


def _each(n: int, low: float, high: float, g: torch.Generator) -> Tensor:
    return (torch.rand(n, generator=g) * (high - low) + low).view(n, 1, 1, 1)


def _chance(n: int, share: float, g: torch.Generator) -> Tensor:
    return (torch.rand(n, generator=g) < share).view(n, 1, 1, 1)


assert math.isclose(sum(KINDS), 1)
