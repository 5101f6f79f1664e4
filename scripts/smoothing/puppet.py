"""Animate portraits: crossfade from one expression to another, talk, blink, sway; all by moving landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ferd.vision.landmarks import index
from smoothing.people import EYE_DISTANCE, SIZE, Portrait

STEP = 4
"""Displacements are interpolated on a grid of this many pixels."""
INNER = tuple(index(f"{name}_inner") for name in ("mouth_right", "lip_upper", "mouth_left", "lip_lower"))
LOWER_LIP = index("lip_lower_outer"), index("lip_lower_inner")
UPPER_LIP = index("lip_upper_outer"), index("lip_upper_inner")
CORNERS = (
    (index("mouth_right"), index("mouth_right_inner"), 1.0),
    (index("mouth_left"), index("mouth_left_inner"), -1.0),
)
CHIN = index("chin")
LIDS = tuple(
    (index(f"{side}_eye_{upper}"), index(f"{side}_eye_{lower}"))
    for side in ("right", "left")
    for upper, lower in (("upper_outer", "lower_outer"), ("upper", "lower"), ("upper_inner", "lower_inner"))
)


@dataclass(frozen=True)
class Pose:
    """What a face does in one frame, beside its expression.

    ``jaw``: how far the lower lip is lowered, in eye distances. ``spread``: how far the corners of the mouth are moved
    outwards (negative: a rounded mouth), in eye distances. ``lids``: 0 open to 1 shut.
    """

    jaw: float = 0.0
    spread: float = 0.0
    lids: float = 0.0


def move(points: np.ndarray, pose: Pose) -> np.ndarray:
    """Return the landmarks in that pose."""
    moved = points.copy()
    down = pose.jaw * EYE_DISTANCE
    for lip in LOWER_LIP:
        moved[lip, 1] += down
    for lip in UPPER_LIP:
        moved[lip, 1] -= 0.12 * down
    moved[CHIN, 1] += 0.9 * down
    for outer, inner, outwards in CORNERS:
        shift = np.array([-outwards * pose.spread * EYE_DISTANCE, 0.35 * down])
        moved[outer] += shift
        moved[inner] += shift
    for upper, lower in LIDS:
        moved[upper] += pose.lids * 0.9 * (points[lower] - points[upper])
    return moved


class Puppet:
    """Draw one person between two portraits."""

    def __init__(self) -> None:
        xs, ys = np.arange(0, SIZE[0] + STEP, STEP), np.arange(0, SIZE[1] + STEP, STEP)
        self._grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).astype(float)
        self._shape = len(ys), len(xs)
        w, h = SIZE
        self._rim = np.array([(x, y) for x in (0, w / 2, w) for y in (0, h / 2, h) if (x, y) != (w / 2, h / 2)])
        self._x, self._y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))

    def draw(self, old: Portrait, new: Portrait, share: float, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """Draw the face at `share` of the way from one expression to the next: (176, 160) float32, and its landmarks.

        The neutral places of both portraits are mixed, both portraits are warped there, and their pixels are mixed.
        """
        points = move((1 - share) * old.points + share * new.points, pose)
        image = np.zeros((SIZE[1], SIZE[0]), np.float32)
        for portrait, weight in ((old, 1 - share), (new, share)):
            if weight > 0:
                image += np.float32(weight) * self._warped(portrait, points)
        self._open_mouth(image, points, pose)
        return image, points

    def _warped(self, portrait: Portrait, points: np.ndarray) -> np.ndarray:
        """Warp a portrait so that its landmarks lie at `points`, with a thin-plate spline."""
        centres = np.concatenate([points, self._rim])
        wanted = np.concatenate([portrait.points - points, np.zeros_like(self._rim)])
        n = len(centres)
        system = np.zeros((n + 3, n + 3))
        system[:n, :n] = _kernel(centres, centres) + 20.0 * np.eye(n)  # a little smoothing: no folds
        system[:n, n], system[:n, n + 1 :] = 1, centres
        system[n, :n], system[n + 1 :, :n] = 1, centres.T
        weights = np.linalg.solve(system, np.concatenate([wanted, np.zeros((3, 2))]))
        field = _kernel(self._grid, centres) @ weights[:n] + weights[n] + self._grid @ weights[n + 1 :]
        field = field.reshape(*self._shape, 2).astype(np.float32)
        size = (self._shape[1] * STEP, self._shape[0] * STEP)
        # Samples of the grid lie at multiples of STEP, those of cv2.resize in the middles of cells.
        shift = np.array([[STEP, 0, 0], [0, STEP, 0]], np.float32)
        full = cv2.warpAffine(field, shift, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        full = full[: SIZE[1], : SIZE[0]]
        return np.asarray(
            cv2.remap(
                portrait.image.astype(np.float32), self._x + full[..., 0], self._y + full[..., 1],
                cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
            ),
            np.float32,
        )  # fmt: skip

    def _open_mouth(self, image: np.ndarray, points: np.ndarray, pose: Pose) -> None:
        """Darken what a closed mouth's pixels cannot show."""
        if pose.jaw < 0.02:
            return
        right, upper, left, lower = (points[i] for i in INNER)
        turn = np.linspace(0, np.pi, 12)
        across = (right + left) / 2 + np.cos(turn)[:, None] * (right - left) / 2
        top = across + np.sin(turn)[:, None] * (upper - (right + left) / 2)
        bottom = across + np.sin(turn)[:, None] * (lower - (right + left) / 2)
        mask = np.zeros(image.shape, np.uint8)
        outline = np.rint(np.concatenate([top, bottom[::-1]]) * 8).astype(np.int32)
        cv2.fillPoly(mask, [outline], 255, cv2.LINE_AA, 3)
        share = cv2.GaussianBlur(mask, (0, 0), 0.7).astype(np.float32) / 255 * min(1.0, pose.jaw / 0.12) * 0.8
        image *= 1 - share
        image += share * 35


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    square = np.square(a[:, None, :] - b[None, :, :]).sum(axis=-1)
    return 0.5 * square * np.log(square + 1e-9)
