"""Vary face tiles as tracking, light, cameras, hands and glasses do; add crops that show no face."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ferd.vision.landmarks import ANGLE, AROUND, CONTRAST, IN_MIRROR, LABELS, LEAST_SPREAD, LEFT_EYE, RIGHT_EYE, SIDE
from training import landmarks_lids
from training.landmarks_data import EMPTY, ROOM, TILE, UNIT

IN_VIEW, GONE = 0.9, 0.5  # share of the points inside the crop from which on it is a face; up to which it is none
OFTEN = 0.3  # share of the crops that lie far off, and of those turned by up to 35 degrees
CALM_OFTEN, CALM_PLAIN = 0.15, 0.4  # towards the end: this share, and this share of pictures as they were taken
SPAN = (0.72, 2.0)  # side of a crop that shows a face, in extents; beyond twice this, or half, it shows none
MIRRORED = torch.tensor(IN_MIRROR)


@dataclass(frozen=True)
class Faces:
    """`tiles` (n, TILE, TILE) uint8; `points` (n, 40, 2) in extents; `pose` (n, 4): yaw, pitch, eye distance, noise."""

    tiles: Tensor
    points: Tensor
    pose: Tensor
    room: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.tiles)


@dataclass(frozen=True)
class Batch:
    """What a net learns from. `unit`: eye distance in half crops; `seen` (n, 40): weight of each point."""

    pixels: Tensor  # (n, SIDE, SIDE) uint8
    points: Tensor  # (n, 40, 2) in half crops
    angles: Tensor  # (n, 3) in ANGLE
    unit: Tensor
    seen: Tensor
    present: Tensor  # 1 a face, 0 none
    sure: Tensor  # 0 where it is neither

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class Place:
    """Where the crops lie: centre in extents, half side in extents, turn in radians (clockwise), flip -1 or 1."""

    centre: Tensor
    half: Tensor
    turn: Tensor
    flip: Tensor


def tracked(n: int, g: torch.Generator, strength: float = 1.0, often: float = OFTEN) -> Place:
    """As the landmarks of the frame before place the crop: mostly well, a share of `often` off by up to 15 %."""
    wide = (torch.rand(n, generator=g) < often)[:, None]
    shift = torch.where(wide, _uniform((n, 2), -0.21, 0.21, g), torch.randn(n, 2, generator=g) * 0.05)
    zoom = torch.where(wide[:, 0], _uniform((n,), -0.22, 0.22, g), torch.randn(n, generator=g) * 0.06)
    tilted = torch.rand(n, generator=g) < often
    turn = torch.where(tilted, _uniform((n,), -0.61, 0.61, g), torch.randn(n, generator=g) * 0.12)
    flip = torch.where(torch.rand(n, generator=g) < 0.5, -1.0, 1.0)
    return Place(shift * strength, AROUND / 2 * torch.exp(zoom * strength), turn * strength, flip)


def beside(n: int, g: torch.Generator) -> Place:
    """Half of the crops lie beside the face, the rest is far too large or too small."""
    way = torch.rand(n, generator=g) * 2 * math.pi
    far = _uniform((n,), 0.55, 1.05, g)
    kind = torch.rand(n, generator=g)
    shift = torch.stack([way.cos(), way.sin()], 1) * far[:, None]
    shift = torch.where((kind < 0.6)[:, None], shift, torch.randn(n, 2, generator=g) * 0.12)
    near, wide = _uniform((n,), 0.15, 0.34, g), _uniform((n,), 1.3, 2.2, g)
    half = torch.where(kind < 0.6, _uniform((n,), 0.45, 0.85, g), torch.where(kind < 0.85, near, wide))
    flip = torch.where(torch.rand(n, generator=g) < 0.5, -1.0, 1.0)
    return Place(shift, half, torch.randn(n, generator=g) * 0.15, flip)


def cut(faces: Faces, picked: Tensor, place: Place, lids: tuple[Tensor, Tensor] | None = None) -> Batch:
    """Crops of faces at these places, not yet degraded; `lids`: how far each eye is shut and where its lids meet."""
    n = len(picked)
    cos, sin = place.turn.cos(), place.turn.sin()
    rows = [torch.stack([place.flip * cos, -sin], 1), torch.stack([place.flip * sin, cos], 1)]
    matrix = torch.stack(rows, dim=1) * place.half[:, None, None]
    scale = UNIT / (TILE / 2)
    theta = torch.cat([matrix * scale, place.centre[:, :, None] * scale], dim=2)
    grid = functional.affine_grid(theta, [n, 1, SIDE, SIDE], align_corners=False)
    upright = faces.points[picked]
    if lids is not None and (rows_shut := lids[0].amax(dim=1) > 0).any():
        shut, meet = (values[rows_shut] for values in lids)
        grid[rows_shut] = landmarks_lids.source(grid[rows_shut] / scale, upright[rows_shut], shut, meet) * scale
        upright[rows_shut] = landmarks_lids.moved(upright[rows_shut], shut, meet)
    tiles = faces.tiles[picked][:, None].float()
    pixels = functional.grid_sample(tiles, grid, padding_mode="border", align_corners=False)
    coarse = place.half > 1.0  # shrunk by more than two: averaged first
    if coarse.any():
        small = functional.avg_pool2d(tiles[coarse], 3 if bool((place.half > 1.4).any()) else 2)
        pixels[coarse] = functional.grid_sample(small, grid[coarse], padding_mode="border", align_corners=False)
    points = torch.einsum("nij,nkj->nki", torch.linalg.inv(matrix), upright - place.centre[:, None])
    points = torch.where((place.flip < 0)[:, None, None], points[:, MIRRORED], points)
    yaw, pitch, apart, _ = faces.pose[picked].unbind(1)
    roll = -torch.rad2deg(place.turn) * place.flip
    inside = (points.abs().amax(dim=2) < 1).float().mean(dim=1)
    span = 2 * place.half
    face = (inside >= IN_VIEW) & (span > SPAN[0]) & (span < SPAN[1])
    none = (inside <= GONE) | (span > 2 * SPAN[1]) | (span < SPAN[0])
    return Batch(
        pixels[:, 0] / 255,
        points,
        torch.stack([yaw * place.flip, pitch, roll], 1) / ANGLE,
        apart / place.half,
        face.float()[:, None].expand(-1, len(LABELS)).clone(),
        face.float(),
        (face | none).float(),
    )


def empty(tiles: Tensor, picked: Tensor, g: torch.Generator) -> Batch:
    """Crops that show no face, at random inside their tiles."""
    n = len(picked)
    half = _uniform((n,), 0.62, 1.0, g)
    turn = torch.randn(n, generator=g) * 0.3
    flip = torch.where(torch.rand(n, generator=g) < 0.5, -1.0, 1.0)
    cos, sin = turn.cos() * half, turn.sin() * half
    centre = _uniform((n, 2), -1, 1, g) * (1 - half)[:, None]
    theta = torch.stack(
        [torch.stack([flip * cos, -sin, centre[:, 0]], 1), torch.stack([flip * sin, cos, centre[:, 1]], 1)], dim=1
    )
    grid = functional.affine_grid(theta, [n, 1, SIDE, SIDE], align_corners=False)
    pixels = functional.grid_sample(
        tiles[picked][:, None].float() / 255, grid, padding_mode="border", align_corners=False
    )
    zeros = torch.zeros(n, len(LABELS))
    return Batch(
        *(pixels[:, 0], torch.zeros(n, len(LABELS), 2), torch.zeros(n, 3), torch.ones(n), zeros),
        *(torch.zeros(n), torch.ones(n)),
    )


def together(parts: list[Batch]) -> Batch:
    return Batch(*(torch.cat([getattr(part, name) for part in parts]) for name in Batch.__dataclass_fields__))


def make(faces: Faces, nothing: Tensor, size: int, g: torch.Generator, calm: float = 0.0) -> Batch:
    """A batch to learn from: 3 of 4 faces as tracking places them, the rest is beside faces or without any.

    `calm`: from 0 (harsh) to 1, where crops lie better and some faces are as in use, neither darkened nor blurred.
    """
    off, none = size // 10, size // 7
    picked = torch.multinomial(faces.weights, size - off - none, replacement=True, generator=g)
    roomy = torch.multinomial((faces.room > ROOM).double(), off, replacement=True, generator=g)
    place = tracked(len(picked), g, often=OFTEN + calm * (CALM_OFTEN - OFTEN))
    lids = landmarks_lids.draw(faces.points[picked], faces.pose[picked, 2], g)
    good = cut(faces, picked, place, lids)
    untouched = round(calm * CALM_PLAIN * len(picked))
    harsh = together(
        [
            _rows(good, slice(untouched, None)),
            cut(faces, roomy, beside(off, g)),
            empty(nothing, torch.randint(len(nothing), (none,), generator=g), g),
        ]
    )
    made = degrade(harsh, g)
    return together([made, plain(_rows(good, slice(untouched)))]) if untouched else made


def _rows(batch: Batch, rows: slice) -> Batch:
    return Batch(*(getattr(batch, name)[rows] for name in Batch.__dataclass_fields__))


def degrade(batch: Batch, g: torch.Generator) -> Batch:
    """Glasses, hands, light, blur, noise: in the order in which the world adds them."""
    pixels = glasses(batch.pixels, batch.points, batch.present, g)
    pixels, hidden = _cover(pixels, batch.points, g)
    covered = (hidden * batch.seen).sum(1) / batch.seen.sum(1).clamp(min=1)
    pixels = _light(pixels[:, None], g)
    pixels = _blur(pixels, g)
    grain = _uniform((len(batch),), 0, 1, g) ** 3 * 0.045
    pixels = pixels + torch.randn(pixels.shape, generator=g) * _each(grain)
    return Batch(
        level(pixels[:, 0]),
        batch.points,
        batch.angles,
        batch.unit,
        batch.seen * (1 - 0.6 * hidden),
        batch.present,
        batch.sure * ((covered < 0.6) | (batch.present < 0.5)).float(),
    )


def plain(batch: Batch) -> Batch:
    """The batch as it was cut."""
    return Batch(level(batch.pixels), *(getattr(batch, name) for name in list(Batch.__dataclass_fields__)[1:]))


def level(x: Tensor) -> Tensor:
    """(n, SIDE, SIDE) of 0 to 1 as whole pixel values of the brightness and contrast that the model is given."""
    pixels = (x.clamp(0, 1) * 255).round()
    std, mean = torch.std_mean(pixels, dim=(1, 2), correction=0)
    gain = CONTRAST / std.clamp(min=LEAST_SPREAD)
    return ((pixels - mean[:, None, None]) * gain[:, None, None] + 128).round().clamp(0, 255).to(torch.uint8)


def glasses(x: Tensor, points: Tensor, present: Tensor, g: torch.Generator, share: float = 0.22) -> Tensor:
    """Draw glasses on some faces: frames of many forms; lenses clear, gray, dark, mirroring or with glare."""
    worn = (torch.rand(len(x), generator=g) < share) & (present > 0)
    if not worn.any():
        return x
    x = x.clone()
    x[worn] = _worn(x[worn], points[worn], g)
    return x


def _worn(x: Tensor, points: Tensor, g: torch.Generator) -> Tensor:
    n = len(x)
    eyes = torch.stack([points[:, RIGHT_EYE].mean(1), points[:, LEFT_EYE].mean(1)], 1)
    between = eyes[:, 1] - eyes[:, 0]
    apart = between.norm(dim=1).clamp(min=0.2)
    along = between / apart[:, None]
    ticks = (torch.arange(SIDE) + 0.5) / (SIDE / 2) - 1
    at = torch.stack([ticks.view(1, -1).expand(SIDE, -1), ticks.view(-1, 1).expand(-1, SIDE)], -1)
    wide = apart * _uniform((n,), 0.3, 0.43, g)
    high = wide * _uniform((n,), 0.55, 1.0, g)
    round_ones = (torch.rand(n, generator=g) < 0.5)[:, None, None]
    lower = _uniform((n,), -0.02, 0.1, g) * apart
    depth = torch.full((n, SIDE, SIDE), 9.0)
    sides = []
    for eye in range(2):
        away = at[None] - eyes[:, eye, None, None]
        u = (away * along[:, None, None]).sum(-1)
        v = away[..., 1] * along[:, 0, None, None] - away[..., 0] * along[:, 1, None, None] - lower[:, None, None]
        across, down = (u / wide[:, None, None]).square(), (v / high[:, None, None]).square()
        d = torch.where(round_ones, across + down, (across.square() + down.square()).sqrt()).sqrt()
        depth = torch.minimum(depth, d)
        sides.append((u, v))
    u0, v0 = sides[0]
    bridge = (u0 > wide[:, None, None]) & (u0 < (apart - wide)[:, None, None])
    temples = (u0 < -wide[:, None, None]) | (u0 > (apart + wide)[:, None, None])
    level = (v0 + 0.25 * high[:, None, None]).abs()
    thick = apart * _uniform((n,), 0.02, 0.1, g)
    bars = ((bridge | temples) & (level < thick[:, None, None] * 0.5)).float()
    frame = torch.sigmoid((thick / wide)[:, None, None] * 12 - (depth - 1).abs() * 24)
    frame = torch.maximum(frame, bars)
    frame = frame * (torch.rand(n, generator=g) < 0.85).float()[:, None, None]  # some have no rim
    lens = torch.sigmoid((1 - depth) * 24)
    kind = torch.rand(n, generator=g)
    tint = torch.where(kind < 0.4, _uniform((n,), 0, 0.15, g), _uniform((n,), 0.3, 1.0, g))
    shade = torch.where(kind < 0.8, _uniform((n,), 0, 0.25, g), _uniform((n,), 0.3, 1.0, g))[:, None, None]
    mirror = x[torch.randperm(n, generator=g)].roll(int(torch.randint(SIDE, (1,), generator=g)), 2)
    shown = torch.where((kind > 0.9)[:, None, None], 0.5 * shade + 0.6 * mirror, shade)
    x = torch.lerp(x, shown, lens * tint[:, None, None])
    glare = torch.rand(n, generator=g) < 0.35
    slope, offset = _uniform((n,), -1.5, 1.5, g), _uniform((n,), -0.6, 0.6, g) * wide
    band = torch.zeros_like(x)
    for u, v in sides:
        off = (u + slope[:, None, None] * v - offset[:, None, None]).abs()
        band = torch.maximum(band, torch.sigmoid(12 - 24 * off / (wide * 0.5)[:, None, None]) * lens)
    power_of_glare = _uniform((n,), 0.3, 1.0, g) * glare.float()
    x = torch.lerp(x, torch.ones_like(x), band * power_of_glare[:, None, None])
    ink = torch.where(torch.rand(n, generator=g) < 0.75, _uniform((n,), 0, 0.3, g), _uniform((n,), 0.4, 1, g))
    return torch.lerp(x, ink[:, None, None].expand_as(x), frame)


def _cover(x: Tensor, points: Tensor, g: torch.Generator, share: float = 0.25) -> tuple[Tensor, Tensor]:
    """Hands, cups, hair: one or two blobs or bars of plain gray, or of another picture. Also which points they hide."""
    hidden = torch.zeros(points.shape[:2], dtype=torch.bool)
    x = x.clone()
    for _ in range(2):
        worn = torch.rand(len(x), generator=g) < share * 0.7
        if worn.any():
            other = x[torch.randperm(len(x), generator=g)[: int(worn.sum())]]
            x[worn], under = _blob(x[worn], other, points[worn], g)
            hidden[worn] |= under
    return x, hidden.float()


def _blob(x: Tensor, other: Tensor, points: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    n = len(x)
    ticks = (torch.arange(SIDE) + 0.5) / (SIDE / 2) - 1
    at = torch.stack([ticks.view(1, -1).expand(SIDE, -1), ticks.view(-1, 1).expand(-1, SIDE)], -1).reshape(1, -1, 2)
    centre, axes = _uniform((n, 1, 2), -0.9, 0.9, g), _uniform((n, 2), 0.08, 0.5, g)
    turn = _uniform((n,), 0, math.pi, g)[:, None]
    round_ones = torch.rand(n, generator=g)[:, None] < 0.5

    def inside(where: Tensor) -> Tensor:
        away = where - centre
        u = (away[..., 0] * turn.cos() + away[..., 1] * turn.sin()).abs() / axes[:, :1]
        v = (away[..., 1] * turn.cos() - away[..., 0] * turn.sin()).abs() / axes[:, 1:]
        return torch.where(round_ones, u.square() + v.square(), torch.maximum(u, v)) < 1

    mask = inside(at.expand(n, -1, -1)).view(n, SIDE, SIDE)
    shift = torch.randint(SIDE, (2,), generator=g).tolist()
    gray = torch.rand(n, generator=g)[:, None, None].expand_as(x)
    skin = torch.rand(n, generator=g)[:, None, None] < 0.6
    return torch.where(mask, torch.where(skin, other.roll(shift, (1, 2)), gray), x), inside(points)


def _light(x: Tensor, g: torch.Generator) -> Tensor:
    n = len(x)
    x = x.clamp(1e-3, 1) ** _each(torch.exp(_uniform((n,), -0.7, 0.7, g)))
    flat = _each((torch.rand(n, generator=g) < 0.4).float())
    low = _uniform((n,), 0, 0.3, g)
    high = low + torch.exp(_uniform((n,), math.log(0.15), math.log(0.9), g))
    x = torch.where(flat > 0, _each(low) + x * _each(high - low), x)
    way = torch.rand(n, generator=g) * 2 * math.pi
    ticks = torch.linspace(-1, 1, SIDE)
    across = ticks.view(1, 1, -1) * way.cos()[:, None, None] + ticks.view(1, -1, 1) * way.sin()[:, None, None]
    lamp = _uniform((n,), 0, 0.6, g) * (torch.rand(n, generator=g) < 0.4)
    x = x * (1 + lamp[:, None, None] * across)[:, None]
    edge = torch.sigmoid((across - _uniform((n,), -0.6, 0.6, g)[:, None, None]) * 20)[:, None]
    shadow = _each(_uniform((n,), 0.2, 0.6, g) * (torch.rand(n, generator=g) < 0.15))
    return x * (1 - shadow * edge)


def _blur(x: Tensor, g: torch.Generator) -> Tensor:
    """Few pixels, out of focus, moved."""
    n = len(x)
    kind = torch.rand(n, generator=g)
    coarse = kind < 0.25
    if coarse.any():
        size = int(torch.randint(16, 44, (1,), generator=g))
        small = functional.interpolate(x[coarse], size=size, mode="area")
        x[coarse] = functional.interpolate(small, size=SIDE, mode="bilinear", align_corners=False)
    soft = (kind > 0.25) & (kind < 0.4)
    if soft.any():
        sigma = float(_uniform((1,), 0.5, 1.6, g))
        taps = torch.exp(-(torch.arange(-4.0, 5.0) ** 2) / (2 * sigma**2))
        taps = taps / taps.sum()
        padded = functional.pad(x[soft], (4, 4, 4, 4), mode="replicate")
        x[soft] = functional.conv2d(functional.conv2d(padded, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))
    moved = kind > 0.92
    if moved.any():
        length = 3 + 2 * int(torch.randint(3, (1,), generator=g))
        kernel = torch.zeros(1, 1, 7, 7)
        if torch.rand(1, generator=g) < 0.6:
            kernel[0, 0, 3, :length] = 1 / length
        else:
            kernel[0, 0, :length, 3] = 1 / length
        shift = (length - 1) // 2 - 3  # keeps the picture in its place
        dims = (3,) if kernel[0, 0, 3, 0] > 0 else (2,)
        x[moved] = functional.conv2d(
            functional.pad(x[moved], (3, 3, 3, 3), mode="replicate"), kernel.roll(-shift, dims)
        )
    return x


def _uniform(shape: tuple[int, ...], low: float, high: float, g: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=g) * (high - low) + low


def _each(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


assert EMPTY >= SIDE  # a tile without a face is never enlarged
