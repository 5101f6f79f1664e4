"""Shut the lids of open eyes in pictures, one eye or both, by moving the picture's own skin over the eye."""

from __future__ import annotations

import torch
from torch import Tensor

from ferd.vision.landmarks import LABELS, LEFT_EYE, LOWER, RIGHT_EYE, UPPER

OPEN = 0.09  # eye distances: lids further apart than this can be shut
SHARE = 0.4  # of the faces with open eyes
MEET = (0.75, 1.0)  # where the lids meet, from the upper lid (0) to the lower one (1)
LID = 0.75  # share of the skin between the brow and the upper lid that is stretched
BELOW = 0.6  # half eye widths below the lower lid that are stretched where it rises
EYES = (  # landmarks of the eye, of the brow above it, of the iris; the sign that makes "down" from its corners
    (RIGHT_EYE, LABELS.index("right_brow_middle"), LABELS.index("right_iris"), 1.0),
    (LEFT_EYE, LABELS.index("left_brow_middle"), LABELS.index("left_iris"), -1.0),
)


def gaps(points: Tensor, apart: Tensor) -> Tensor:
    """Return the aperture of the right and the left eye, (n, 2) in eye distances; `points` (n, 40, 2)."""
    each = []
    for eye, *_ in EYES:
        own = points[:, eye]
        each.append((own[:, list(LOWER)] - own[:, list(UPPER)]).norm(dim=2).mean(1))
    return torch.stack(each, 1) / apart[:, None]


def draw(points: Tensor, apart: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return how far each eye is shut, (n, 2) from 0 (as it is) to 1, and where its lids meet, (n, 1)."""
    n = len(points)
    shut = torch.where(torch.rand(n, 2, generator=g) < 0.6, _uniform((n, 2), 0.85, 1, g), _uniform((n, 2), 0.2, 1, g))
    way = torch.rand(n, 1, generator=g)
    one = torch.rand(n, 1, generator=g) < 0.5
    other = _uniform((n, 1), 0, 0.25, g) * (torch.rand(n, 1, generator=g) < 0.4)  # a wink narrows the other eye a bit
    wink = torch.where(torch.cat([one, ~one], 1), shut, other.expand(-1, 2))
    shut = torch.where(way < 0.65, wink, torch.where(way < 0.8, shut, shut[:, :1].expand(-1, 2)))
    chosen = (torch.rand(n, 1, generator=g) < SHARE) & (gaps(points, apart) > OPEN).all(dim=1, keepdim=True)
    return shut * chosen, _uniform((n, 1), *MEET, g)


def moved(points: Tensor, shut: Tensor, meet: Tensor) -> Tensor:
    """Return the points with the lids shut that far; the iris goes with them."""
    points = points.clone()
    for side, (eye, _, iris, _) in enumerate(EYES):
        own = points[:, eye]
        low, up = own[:, list(LOWER)], own[:, list(UPPER)]
        way = (low - up) * shut[:, side, None, None]
        own[:, list(UPPER)] = up + way * meet[:, :, None]
        own[:, list(LOWER)] = low - way * (1 - meet[:, :, None])
        middle = own[:, list(UPPER + LOWER)].mean(1)
        points[:, iris] = torch.lerp(points[:, iris], middle, shut[:, side, None])
    return points


def source(at: Tensor, points: Tensor, shut: Tensor, meet: Tensor) -> Tensor:
    """Return where the pixels of the picture with shut lids come from.

    Across the eye's corners the skin between brow and upper lid is stretched down and the eye itself is pressed
    together; the skin below stretches up to a lower lid that rises.

    Args:
        at: (n, height, width, 2), positions in the picture with shut lids.
        points: (n, 40, 2), the landmarks as they are, in the units of `at`.
    """
    at = at.clone()
    for side, (eye, brow, _, sign) in enumerate(EYES):
        own = points[:, eye]
        half = (own[:, 4] - own[:, 0]) / 2  # from the middle to the inner corner
        width = half.norm(dim=1).clamp(min=1e-4)
        along = half / width[:, None]
        down = torch.stack([-along[:, 1], along[:, 0]], 1) * sign
        away = at - ((own[:, 0] + own[:, 4]) / 2)[:, None, None]
        u = _along(away, along) / width[:, None, None]
        v = _along(away, down) / width[:, None, None]
        lids = own - ((own[:, 0] + own[:, 4]) / 2)[:, None]
        upper = _curve(u, lids[:, list(UPPER)], along, down, width)
        lower = torch.maximum(_curve(u, lids[:, list(LOWER)], along, down, width), upper)
        above = (points[:, brow] - own[:, list(UPPER)].mean(1)).mul(-down).sum(1) / width
        top = upper - (LID * above.clamp(min=0.2))[:, None, None]
        bottom = lower + BELOW
        way = (lower - upper) * shut[:, side, None, None]
        new_upper = upper + way * meet[:, :, None]
        new_lower = lower - way * (1 - meet[:, :, None])
        back = torch.where(v < new_upper, _between(v, top, new_upper, top, upper), v)
        back = torch.where((v >= new_upper) & (v < new_lower), _between(v, new_upper, new_lower, upper, lower), back)
        back = torch.where((v >= new_lower) & (v < bottom), _between(v, new_lower, bottom, lower, bottom), back)
        change = torch.where((v > top) & (v < bottom) & (u.abs() < 1), back - v, torch.zeros_like(v))
        at += change[..., None] * (down * width[:, None])[:, None, None]
    return at


def _along(away: Tensor, axis: Tensor) -> Tensor:
    return (away * axis[:, None, None]).sum(-1)


def _curve(u: Tensor, three: Tensor, along: Tensor, down: Tensor, width: Tensor) -> Tensor:
    """Height of a lid at u: (1 - u^2)(a + b u), which ends in the corners, nearest to its three landmarks."""
    x = ((three * along[:, None]).sum(-1) / width[:, None]).clamp(-0.95, 0.95)
    y = (three * down[:, None]).sum(-1) / width[:, None]
    p = 1 - x.square()
    q = p * x
    pp, pq, qq, py, qy = p.square().sum(1), (p * q).sum(1), q.square().sum(1), (p * y).sum(1), (q * y).sum(1)
    base = (pp * qq - pq.square()).clamp(min=1e-4)
    a, b = (py * qq - qy * pq) / base, (qy * pp - py * pq) / base
    return (1 - u.square()).clamp(min=0) * (a[:, None, None] + b[:, None, None] * u)


def _between(v: Tensor, low: Tensor, high: Tensor, to_low: Tensor, to_high: Tensor) -> Tensor:
    return to_low + (v - low) / (high - low).clamp(min=1e-3) * (to_high - to_low)


def _uniform(shape: tuple[int, ...], low: float, high: float, g: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=g) * (high - low) + low
