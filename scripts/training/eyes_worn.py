"""Judge by drawn glasses whether hidden eyes come out as not seen, and whether clear glasses change anything.

Nothing here is drawn in training: the rims have other forms (hexagon, aviator, cat's eye, one shield for both eyes),
the lenses show other things (a landscape, blinds, a screen, fog, drops, rings of colour, a patch), and the people are
held back. On whole faces the glasses are drawn on the picture, at the landmarks that the detector found on the bare
face, and read as the daemon reads a face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.types import Landmarks
from ferd.vision.eyes import EYE_DOWN, EYE_SIDE, EyeMouthReading, EyeReader
from training.eyes_data import CROP, EYE_CLOSED, EYE_OPEN, TILE, Tiles

Gray = NDArray[np.uint8]
Image = NDArray[np.float64]
Outline = NDArray[np.float64]
"""(n, 2): x away from the nose and y down, in half lenses."""

OUTLINES: dict[str, Outline] = {
    "hexagon": np.array([(1, 0), (0.55, -1), (-0.55, -1), (-1, 0), (-0.55, 1), (0.55, 1)]),
    "aviator": np.array(
        [(-0.95, -0.7), (-0.3, -0.95), (0.8, -0.9), (1, -0.4), (0.85, 0.4), (0.4, 0.9), (0, 1), (-0.5, 0.75), (-0.9, 0)]
    ),
    "cat": np.array([(-1, -0.45), (-0.2, -0.8), (1.15, -1), (0.95, 0.2), (0.5, 0.8), (-0.4, 0.85), (-0.9, 0.4)]),
    "shield": np.array([(-1.6, -0.9), (1, -0.9), (1.25, -0.2), (0.9, 0.8), (-0.4, 0.9), (-1.6, 0.3)]),
}
HIDING = ("landscape", "blinds", "screen", "fog", "drops", "rings", "patch")
CLEAR = "clear"
HALF_WIDE = (0.31, 0.42)  # of a lens, in eye distances
HALF_HIGH = (0.2, 0.34)


@dataclass(frozen=True)
class Worn:
    """What was read of faces or crops with glasses, as (eyes open or closed, reading)."""

    hidden: list[tuple[str, str, EyeMouthReading]]  # kind of lens, state, reading
    clear: list[tuple[str, EyeMouthReading]]


def figures(reader: EyeReader, worn: Worn) -> dict[str, Any]:
    """Shares of what was read with glasses on."""

    def share(parts: Iterable[EyeMouthReading], wanted: Callable[[EyeMouthReading], bool]) -> float:
        found = [wanted(part) for part in parts]
        return float(np.mean(found)) if found else float("nan")

    def closed(part: EyeMouthReading) -> bool:
        return reader.sure(part) and part.share > 0.5

    def unsure(part: EyeMouthReading) -> bool:
        return not reader.sure(part)

    kinds = {kind: share((p for k, _, p in worn.hidden if k == kind), unsure) for kind in HIDING}
    return {
        "hidden_not_seen": share((part for *_, part in worn.hidden), unsure),
        "hidden_read_closed": share((part for *_, part in worn.hidden), closed),
        "hidden_not_seen_by_lens": kinds,
        "clear_closed_read_closed": share((part for state, part in worn.clear if state == "closed"), closed),
        "clear_open_read_closed": share((part for state, part in worn.clear if state == "open"), closed),
        "clear_open_not_seen": share((part for state, part in worn.clear if state == "open"), unsure),
        "n": len(worn.hidden) + len(worn.clear),
    }


def on_crops(reader: EyeReader, tiles: Tiles, seed: int = 8322) -> Worn:
    """Glasses on crops of one eye: each crop with every kind of lens."""
    edge = (TILE - CROP) // 2
    apart = CROP / EYE_SIDE
    worn = Worn([], [])
    for number, (tile, label) in enumerate(zip(tiles.tiles, tiles.labels, strict=True)):
        if label not in (EYE_CLOSED, EYE_OPEN):
            continue
        state = "closed" if label == EYE_CLOSED else "open"
        eye = complex(CROP / 2, CROP / 2 - EYE_DOWN * apart)
        crop = tile[edge:-edge, edge:-edge]
        for kind, seen in _each(crop, eye, eye + apart, seed + number):
            _add(worn, kind, state, reader.read(seen, "eye"))
    return worn


def on_faces(reader: EyeReader, faces: Iterable[tuple[Gray, Landmarks, str]], seed: int = 8322) -> Worn:
    """Glasses on whole faces, in gray, with their landmarks and the state of their eyes."""
    worn = Worn([], [])
    for number, (gray, points, state) in enumerate(faces):
        right, left = complex(*points.right_eye), complex(*points.left_eye)
        for kind, seen in _each(gray, right, left, seed + number):
            _add(worn, kind, state, reader(seen, points).eyes)
    return worn


def _add(worn: Worn, kind: str, state: str, part: EyeMouthReading) -> None:
    if kind == CLEAR:
        worn.clear.append((state, part))
    else:
        worn.hidden.append((kind, state, part))


def _each(gray: Gray, right: complex, left: complex, seed: int) -> Iterator[tuple[str, Gray]]:
    for number, kind in enumerate((CLEAR, *HIDING)):
        yield kind, draw(gray, right, left, kind, np.random.default_rng((seed, number)))


def draw(gray: Gray, right: complex, left: complex, kind: str, rng: np.random.Generator) -> Gray:
    """The picture (H, W) with glasses of a kind. `right`, `left`: the subject's eyes, in pixels."""
    apart = left - right
    unit = max(abs(apart), 1e-3)
    along = apart / unit
    form = str(rng.choice(list(OUTLINES)))
    half = complex(rng.uniform(*HALF_WIDE), rng.uniform(*HALF_HIGH)) * unit
    drop = rng.uniform(0, 0.1) * unit
    picture: Image = gray.astype(np.float64)
    lens, rim = np.zeros_like(picture), np.zeros_like(picture)
    width = max(1, round(float(rng.uniform(0.015, 0.07)) * unit))
    centres = right + drop * along * 1j, left + drop * along * 1j
    for centre, outwards in zip(centres, (-1, 1), strict=True):
        corners = OUTLINES[form] * (half.real * outwards, half.imag)
        at = centre + (corners[:, 0] + 1j * corners[:, 1]) * along
        _fill(lens, at)
        _line(rim, at, width, closed=True)
        end = centre + outwards * complex(2.5 * half.real, -0.3 * half.imag) * along
        _line(rim, np.array([centre + outwards * half.real * along - 0.5j * half.imag * along, end]), width)
    lens = np.minimum(lens, 1)
    _line(rim, np.array([c + s * half.real * 0.9 * along for c, s in zip(centres, (1, -1), strict=True)]), width)
    height, wide = gray.shape
    ys, xs = np.mgrid[:height, :wide] + 0.5
    # coordinates in lenses of the nearer eye, upright with the head
    us, vs = [], []
    for centre in centres:
        away = ((xs - centre.real) + 1j * (ys - centre.imag)) / along
        us.append(away.real / half.real)
        vs.append(away.imag / half.imag)
    nearer = np.abs(us[0]) < np.abs(us[1])
    shown, cover = _lens(kind, picture, np.where(nearer, *us), np.where(nearer, *vs), unit, rng)
    picture += (shown - picture) * cover * lens
    ink = float(rng.uniform(0, 80) if rng.random() < 0.7 else rng.uniform(120, 255))
    if rng.random() < 0.9:
        picture += (ink - picture) * np.minimum(rim, 1)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _lens(
    kind: str, picture: Image, u: Image, v: Image, unit: float, rng: np.random.Generator
) -> tuple[Image, float | Image]:
    """What a lens shows, and how much of what lies behind it that hides."""
    if kind == CLEAR:
        x, y, reach = rng.uniform(-0.9, 0.9), rng.choice([-0.75, 0.75]), rng.uniform(0.06, 0.16)
        spot = ((u - x) ** 2 + (v - y) ** 2 < reach**2).astype(np.float64)
        return np.full_like(picture, 255.0), np.maximum(0.9 * spot, rng.uniform(0, 0.12))
    cover = float(rng.uniform(0.88, 1))
    low, high = sorted(rng.uniform(20, 245, 2))
    if kind == "fog":
        soft = np.asarray(cv2.GaussianBlur(picture, (0, 0), max(0.6, 0.22 * unit)), np.float64)
        return 0.3 * soft + 0.7 * rng.uniform(120, 240), 1.0
    return {"landscape": _landscape, "blinds": _blinds, "screen": _screen, "drops": _drops, "rings": _rings,
            "patch": _patch}[kind](u, v, low, high, unit, rng), cover  # fmt: skip


def _landscape(u: Image, v: Image, low: float, high: float, _unit: float, rng: np.random.Generator) -> Image:
    waves = sum(rng.uniform(0.05, 0.2) * np.sin(u * rng.uniform(2, 9) + rng.uniform(0, 6)) for _ in range(3))
    ground = 0.5 + 0.5 * np.tanh((v - rng.uniform(-0.4, 0.5) - waves) * 12)
    return np.asarray(high + 15 * v + (low - high) * ground)


def _blinds(u: Image, v: Image, low: float, high: float, _unit: float, rng: np.random.Generator) -> Image:
    turn = rng.uniform(-0.5, 0.5)
    stripes = np.sin((v + turn * u) * rng.uniform(4, 14) + rng.uniform(0, 6)) > rng.uniform(-0.4, 0.4)
    return np.where(stripes, high, low)


def _screen(u: Image, v: Image, low: float, _high: float, _unit: float, rng: np.random.Generator) -> Image:
    pane = (np.abs(u - rng.uniform(-0.2, 0.2)) < 0.75) & (np.abs(v - rng.uniform(-0.2, 0.2)) < 0.7)
    text = (np.sin(v * rng.uniform(12, 25)) > 0) & (np.sin(u * rng.uniform(3, 9)) > -0.4)
    return np.where(pane, np.where(text, 245.0, 215.0), low * 0.5)


def _drops(u: Image, _v: Image, _low: float, _high: float, unit: float, rng: np.random.Generator) -> Image:
    rough = rng.uniform(0, 1, u.shape)
    blobs = np.asarray(cv2.GaussianBlur(rough, (0, 0), max(0.6, 0.03 * unit)), np.float64)
    return np.asarray(rng.uniform(90, 220) + 30 * (blobs - blobs.mean()) / (blobs.std() + 1e-9))


def _rings(u: Image, v: Image, low: float, high: float, _unit: float, rng: np.random.Generator) -> Image:
    far = np.hypot(u - rng.uniform(-0.5, 0.5), v - rng.uniform(-0.5, 0.5))
    return np.asarray(low + (high - low) * (0.5 + 0.5 * np.cos(far * rng.uniform(2, 6))))


def _patch(u: Image, _v: Image, _low: float, _high: float, _unit: float, rng: np.random.Generator) -> Image:
    return np.full_like(u, rng.uniform(0, 255))


def _fill(mask: Image, at: NDArray[np.complex128]) -> None:
    drawn = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(drawn, [_corners(at)], 255, cv2.LINE_AA, 4)
    np.maximum(mask, drawn / 255, out=mask)


def _line(mask: Image, at: NDArray[np.complex128], width: int, *, closed: bool = False) -> None:
    drawn = np.zeros(mask.shape, np.uint8)
    cv2.polylines(drawn, [_corners(at)], closed, 255, width, cv2.LINE_AA, 4)
    np.maximum(mask, drawn / 255, out=mask)


def _corners(at: NDArray[np.complex128]) -> NDArray[np.int32]:
    """OpenCV counts from the centre of the first pixel, and with 4 bits behind the point."""
    return np.rint((np.stack([at.real, at.imag], axis=1) - 0.5) * 16).astype(np.int32)
