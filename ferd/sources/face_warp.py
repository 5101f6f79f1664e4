"""Warp a portrait so that its face smiles, looks sad or surprised, or closes its eyes. Only for the demo scene.

All positions are pixels of the portrait (512 x 600), measured by hand. The face is changed by moving the image's own
pixels with smooth displacement fields, which are computed once and blended by weight for each frame; what no pixel
shows (the inside of the mouth, a closed lid) is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.types import Image

Field = NDArray[np.float32]

PORTRAIT_SIZE = (512, 600)
"""Width and height to which the positions below refer."""

OUTLINE = (
    (218, 31), (200, 46), (186, 53), (177, 73), (175, 86), (158, 98), (151, 112), (149, 140), (150, 185),
    (154, 200), (155, 219), (161, 228), (168, 255), (175, 268), (180, 282), (197, 293), (206, 312), (201, 331),
    (166, 346), (117, 360), (80, 369), (55, 383), (40, 405), (29, 440), (22, 500), (15, 600), (509, 600),
    (508, 500), (505, 450), (501, 420), (492, 396), (464, 379), (422, 367), (365, 343), (331, 315), (331, 302),
    (349, 285), (356, 266), (361, 261), (367, 236), (369, 208), (374, 199), (374, 188), (369, 180), (370, 134),
    (368, 104), (363, 91), (351, 86), (348, 71), (335, 56), (313, 44), (299, 41), (281, 28), (249, 23), (237, 25),
)  # fmt: skip
"""The person's outline, without the flag and the wall behind her."""

LEFT, TOP, RIGHT, BOTTOM = 150, 130, 386, 366
"""The part of the portrait that is warped: the face and its surroundings."""

MOUTH_X, MOUTH_Y, MOUTH_HALF = 267.0, 277.0, 39.0
"""Middle of the closed lips and half their width."""

EYES = ((221.0, 187.0, 24.0), (306.0, 186.0, 24.0))
"""Middle of each eye and half its width: x, y, half."""


@dataclass(frozen=True, slots=True)
class Look:
    """How far each part of the face is moved: 0 is neutral, 1 about as far as it looks natural.

    ``right_lid``, ``left_lid``: one lid alone, the subject's own. ``turn``: towards the subject's left, ``bow``: down;
    both also negative, and by ten degrees or so: the head stays where it is and its features move over it.
    """

    smile: float = 0.0
    teeth: float = 0.0
    sad: float = 0.0
    brows: float = 0.0
    jaw: float = 0.0
    lids: float = 0.0
    right_lid: float = 0.0
    left_lid: float = 0.0
    turn: float = 0.0
    bow: float = 0.0


class Push(NamedTuple):
    """The pixels around (x, y) are moved by (dx, dy); the effect fades over (sx, sy), the widths of a Gaussian."""

    x: float
    y: float
    dx: float
    dy: float
    sx: float
    sy: float


PUSHES: dict[str, tuple[Push, ...]] = {
    "smile": (
        Push(227, 279, -9, -11, 17, 14), Push(308, 277, 9, -11, 17, 14), Push(267, 281, 0, 4, 18, 10),
        Push(210, 243, -3, -8, 20, 17), Push(324, 241, 3, -8, 20, 17), Push(221, 204, 0, -4, 22, 9),
        Push(306, 203, 0, -4, 22, 9),
    ),
    "sad": (
        Push(227, 280, -10, 7, 16, 15), Push(308, 279, 10, 7, 16, 15), Push(267, 274, 0, -7, 20, 11),
        Push(267, 281, 0, 3, 18, 10), Push(267, 300, 0, -7, 26, 12), Push(210, 243, -3, -7, 20, 17),
        Push(324, 241, 3, -7, 20, 17), Push(221, 204, 0, -3, 22, 9), Push(306, 203, 0, -3, 22, 9),
        Push(240, 164, 4, -9, 13, 11), Push(290, 162, -4, -9, 13, 11), Push(198, 168, 0, 5, 14, 10),
        Push(333, 164, 0, 5, 14, 10),
    ),
    "brows": (
        Push(214, 163, 0, -10, 30, 12), Push(314, 160, 0, -10, 30, 12), Push(221, 178, 0, -3, 24, 7),
        Push(306, 177, 0, -3, 24, 7),
    ),
    "turn": (Push(264, 225, 30, 0, 50, 70),),
    "bow": (Push(264, 225, 0, 25, 80, 50),),
    "jaw": (Push(267, 325, 0, 16, 48, 26), Push(227, 281, 5, 4, 14, 18), Push(308, 279, -5, 4, 14, 18)),
}  # fmt: skip

GAP = 30.0
"""Pixels between the lips when the jaw is fully open."""

TEETH, TEETH_GAP = 10.0, 0.33
"""Pixels of the upper teeth that can be seen, and the share of GAP by which the lips part to show them."""


class WarpedPortrait:
    """A portrait ((600, 512, 3) BGR) whose face can be warped. ``alpha``: (600, 512) float32, 1 on the person."""

    def __init__(self, portrait: Image) -> None:
        if portrait.shape != (PORTRAIT_SIZE[1], PORTRAIT_SIZE[0], 3):
            raise ValueError(f"the portrait is {portrait.shape}, not 600 x 512 in colour")
        self._portrait = draw_brows(portrait)
        self.alpha = outline_mask()
        self._x, self._y = np.meshgrid(
            np.arange(LEFT, RIGHT, dtype=np.float32), np.arange(TOP, BOTTOM, dtype=np.float32)
        )
        self._fields = {name: self._field(pushes) for name, pushes in PUSHES.items()}
        self._lids = closed_lids(self._portrait)

    def portrait(self, look: Look) -> Image:
        """Draw the portrait with that look, (600, 512, 3) uint8 BGR."""
        picture = self._portrait.copy()
        self._lower_lids(picture, look)
        x, y = self._moved(look)
        y, mouth = open_mouth(x, y, max(look.jaw, TEETH_GAP * look.teeth))
        face = np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR), np.uint8)
        if mouth is not None:
            paint_mouth(face, x, mouth, look.teeth)
        picture[TOP:BOTTOM, LEFT:RIGHT] = face
        return picture

    def _field(self, pushes: tuple[Push, ...]) -> tuple[Field, Field]:
        """Return where each pixel comes from at weight 1, relative to its position: (H, W) each."""
        shape = self._x.shape
        dx, dy = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for push in pushes:
            u = (self._x - push.x - push.dx / 2) / push.sx
            v = (self._y - push.y - push.dy / 2) / push.sy
            near = np.exp(-0.5 * (u * u + v * v))
            dx -= push.dx * near
            dy -= push.dy * near
        fade = edge_fade(shape)
        return dx * fade, dy * fade

    def _moved(self, look: Look) -> tuple[Field, Field]:
        x, y = self._x.copy(), self._y.copy()
        for name, (dx, dy) in self._fields.items():
            weight = getattr(look, name)
            if weight:
                x += weight * dx
                y += weight * dy
        return x, y

    def _lower_lids(self, picture: Image, look: Look) -> None:
        for lid, alone in zip(self._lids, (look.right_lid, look.left_lid), strict=True):
            lid.paint(picture, max(look.lids, alone))


def edge_fade(shape: tuple[int, ...], margin: float = 14.0) -> Field:
    """Return weights that are 1 inside and fall to 0 at the edges, so that nothing moves there."""
    height, width = shape
    rows = np.minimum(np.arange(height), np.arange(height)[::-1]) / margin
    columns = np.minimum(np.arange(width), np.arange(width)[::-1]) / margin
    return np.clip(np.minimum(rows[:, None], columns[None, :]), 0, 1).astype(np.float32)


def outline_mask() -> Field:
    """Return the person's mask, (600, 512) float32: 1 inside the outline, soft over three pixels, 0 outside."""
    mask = np.zeros((PORTRAIT_SIZE[1], PORTRAIT_SIZE[0]), np.uint8)
    cv2.fillPoly(mask, [np.array(OUTLINE, np.int32)], 255, cv2.LINE_AA)
    mask = np.asarray(cv2.erode(mask, np.ones((3, 3), np.uint8)), np.uint8)
    return (np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.2)) / 255).astype(np.float32)


class Mouth(NamedTuple):
    """An opened mouth, pixel by pixel, (H, W) each.

    ``inside`` is 1 where neither lip is, else 0. ``depth`` goes from 0 at the upper lip to 1 at the lower. ``gap`` is
    the distance between them in pixels.
    """

    inside: Field
    depth: Field
    gap: Field


def open_mouth(x: Field, y: Field, jaw: float) -> tuple[Field, Mouth | None]:
    """Part the lips. Returns y of the pixels while they were closed, and the mouth, None when they stay closed.

    Above the lip line the face is raised a little, below it lowered by `jaw` times GAP; both decrease towards nose and
    chin.
    """
    if jaw < 0.01:
        return y, None
    across = np.clip(1 - np.square((x - MOUTH_X) / MOUTH_HALF), 0, 1)
    line = MOUTH_Y + 1.5 * (1 - across)
    gap = GAP * jaw * np.sqrt(across)
    lower, upper = line + 0.78 * gap, line - 0.22 * gap
    below = np.clip(1 - (y - lower) / 85.0, 0, 1)
    above = np.clip(1 - (upper - y) / 28.0, 0, 1)
    closed = np.where(y >= lower, y - 0.78 * gap * below * below, line)
    closed = np.where(y <= upper, y + 0.22 * gap * above * above, closed)
    inside = np.clip(np.minimum(y - upper, lower - y) / 2.0 + 0.2, 0, 1) * (across > 0)
    return closed, Mouth(inside, np.clip((y - upper) / np.maximum(gap, 1e-3), 0, 1), gap)


def paint_mouth(face: Image, x: Field, mouth: Mouth, teeth: float) -> None:
    """Draw the dark inside of an open mouth, and the upper teeth (`teeth`: 0 to 1), into `face`."""
    rows, columns = np.nonzero(mouth.inside)
    if not rows.size:
        return
    part = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    x, inside, depth, gap = x[part], mouth.inside[part], mouth.depth[part], mouth.gap[part]
    dark = np.array([38, 28, 62], np.float32) + np.square(depth)[..., None] * np.array([21, 24, 48], np.float32)
    seams = 1 - 0.16 * np.exp(-np.square((np.mod(x - MOUTH_X, 9.0) - 4.5) / 0.9))
    curve = 1 - 0.35 * np.square((x - MOUTH_X) / MOUTH_HALF)
    white = np.array([196, 208, 214], np.float32) * (seams * curve)[..., None]
    shown = np.clip((0.95 - depth) * 6, 0, 1) * np.clip((TEETH - depth * gap) * 0.7, 0, 1) * teeth
    colour = dark + (white - dark) * shown[..., None]
    face[part] = (face[part] + (colour - face[part]) * inside[..., None]).astype(np.uint8)


def draw_brows(portrait: Image) -> Image:
    """Darken the portrait's light brows a little: at 48 pixels only the glasses remained of them."""
    shade = np.zeros(portrait.shape[:2], np.uint8)
    for points in (
        ((190, 168), (205, 162), (222, 161), (238, 165)),
        ((288, 163), (303, 158), (320, 158), (338, 165)),
    ):
        cv2.polylines(shade, [np.array(points, np.int32)], False, 255, 5, cv2.LINE_AA)
    weight = np.asarray(cv2.GaussianBlur(shade, (0, 0), 1.8), np.float32)[..., None] / 255 * 0.55
    hair = np.array([70, 88, 110], np.float32)
    return (portrait + (hair - portrait) * weight).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Lid:
    """An upper lid: skin, (h, w, 3) float32, that comes down over the eye whose area begins at (left, top)."""

    left: int
    top: int
    skin: Field
    cover: Field
    upper: Field
    lower: Field

    def paint(self, picture: Image, closed: float) -> None:
        """Draw the lid into `picture`, `closed` from 0 (open, nothing is drawn) to 1."""
        if closed < 0.01:
            return
        height, width = self.cover.shape
        part = slice(self.top, self.top + height), slice(self.left, self.left + width)
        rows = np.arange(height, dtype=np.float32)[:, None]
        edge = self.upper + (self.lower - self.upper) * closed
        weight = np.clip(edge - rows, 0, 1) * self.cover
        lash = np.exp(-np.square((rows - edge) / 1.3)) * self.cover * 0.75
        seen = picture[part] + (self.skin - picture[part]) * weight[..., None]
        picture[part] = (seen * (1 - lash[..., None]) + np.array([40, 45, 60]) * lash[..., None]).astype(np.uint8)


def closed_lids(portrait: Image) -> tuple[Lid, ...]:
    """Make the lids of both eyes from the skin below them."""
    return tuple(_lid(portrait, x, y, half) for x, y, half in EYES)


def _lid(portrait: Image, x: float, y: float, half: float) -> Lid:
    left, right, top, bottom = int(x - half), int(x + half), int(y - 11), int(y + 12)
    skin = portrait[bottom + 4 : bottom + 4 + (bottom - top), left:right][::-1]
    smooth = np.asarray(cv2.GaussianBlur(skin, (0, 0), 4), np.float32)
    across = (np.arange(left, right, dtype=np.float32) - x) / half
    arch = np.sqrt(np.clip(1 - np.square(across), 0, 1))
    rows = np.arange(bottom - top, dtype=np.float32)[:, None]
    crease = 1 - 0.18 * np.exp(-np.square((rows - (11 - 7 * arch)) / 1.5))
    cover = np.clip((rows - (11 - 10 * arch)) / 3, 0, 1) * np.clip((11 + 9 * arch - rows) / 3, 0, 1)
    return Lid(left, top, smooth * crease[..., None], cover, 11 - 9 * arch, 11 + 6 * arch)
