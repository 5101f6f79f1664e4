"""Winks to judge by: half a face with open eyes beside half a face with shut ones, both of people held back.

Training shuts lids by moving skin (training.landmarks_lids); here the shut eye is real, and only the seam is not.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ferd.vision.landmarks import LABELS, LEFT_EYE, LIP_LOWER, NOSE_TIP, RIGHT_EYE
from training.landmarks_augment import Faces
from training.landmarks_data import TILE, UNIT
from training.landmarks_lids import gaps

SHUT, OPEN = 0.05, 0.12  # eye distances: both eyes at most, both at least
FRONTAL = 25.0  # degrees of yaw
SEAM = 4.0  # pixels of the tile over which one half fades into the other
NEAREST = 3  # open faces joined to each shut one
SIDE_OF = {"right": 0, "left": 1}


def joined(faces: Faces) -> tuple[Faces, NDArray[np.int64]]:
    """Return the joined faces, and which eye of each is shut: 0 the right one, 1 the left one."""
    apertures = gaps(faces.points, faces.pose[:, 2]).numpy()
    ahead = faces.pose[:, 0].abs().numpy() < FRONTAL
    shut = np.flatnonzero(ahead & (apertures.max(axis=1) < SHUT))
    opened = np.flatnonzero(ahead & (apertures.min(axis=1) > OPEN))
    pose = faces.pose[:, :2].numpy()
    tiles, points, rows, sides = [], [], [], []
    for one in shut.tolist():
        far = np.abs(pose[opened] - pose[one]).sum(axis=1)
        for other in opened[np.argsort(far, kind="stable")[:NEAREST]].tolist():
            side = len(sides) % 2
            tile, places = _join(faces, one, other, side)
            tiles.append(tile)
            points.append(places)
            rows.append(one)
            sides.append(side)
    if not rows:
        raise ValueError("no face with shut eyes, or none with open ones, is held back")
    kept = torch.tensor(rows)
    made = Faces(
        torch.from_numpy(np.stack(tiles)),
        torch.from_numpy(np.stack(points)),
        *(values[kept] for values in (faces.pose, faces.room, faces.weights)),
    )
    return made, np.array(sides)


def figures(points: Tensor, apart: Tensor, sides: NDArray[np.int64]) -> dict[str, float]:
    """Return how far apart the lids of the open and of the shut eye are read, and how well one tells them apart."""
    read = gaps(points, apart).numpy()
    rows = np.arange(len(sides))
    shut, opened = read[rows, sides], read[rows, 1 - sides]
    return {
        "wink_shut": float(shut.mean()),
        "wink_open": float(opened.mean()),
        "wink_side_right": float((shut < opened).mean()),
        "wink_auc": float((opened[:, None] > shut[None]).mean()),
    }


def _join(faces: Faces, shut: int, opened: int, side: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The shut face with the other's half in place of its own, on the side away from the eye that stays shut."""
    theirs, mine = faces.points[opened].numpy(), faces.points[shut].numpy()
    move = _similarity(_anchors(theirs), _anchors(mine))
    matrix = np.array([[move[0].real, -move[0].imag, move[1].real], [move[0].imag, move[0].real, move[1].imag]])
    in_pixels = matrix.copy()  # of the tile: position in extents * UNIT + TILE / 2, pixels counted from their centres
    in_pixels[:, 2] = matrix[:, 2] * UNIT + (np.eye(2) - matrix[:, :2]) @ np.full(2, TILE / 2 - 0.5)
    moved = cv2.warpAffine(faces.tiles[opened].numpy(), in_pixels, (TILE, TILE), borderMode=cv2.BORDER_REPLICATE)
    placed = theirs @ matrix[:, :2].T + matrix[:, 2]
    eyes = [mine[RIGHT_EYE].mean(axis=0), mine[LEFT_EYE].mean(axis=0)]
    across = (eyes[1] - eyes[0]) / np.linalg.norm(eyes[1] - eyes[0])
    middle = (eyes[0] + eyes[1]) / 2
    ticks = (np.arange(TILE) + 0.5 - TILE / 2) / UNIT
    x, y = np.meshgrid(ticks, ticks)
    # The seam runs from between the eyes to the chin; on a head turned a little it is not at right angles to the eyes.
    chin = mine[LABELS.index("chin")] - middle
    slope = (chin @ across) / max(float(np.hypot(*chin)), 1e-3)
    down = np.array([-across[1], across[0]])
    off = (x - middle[0]) * across[0] + (y - middle[1]) * across[1]
    off -= slope * ((x - middle[0]) * down[0] + (y - middle[1]) * down[1])
    own = 1 / (1 + np.exp(np.clip(off * UNIT / SEAM * 4, -50, 50)))  # 1 on the picture's left: the right eye
    if side == SIDE_OF["left"]:
        own = 1 - own
    base = faces.tiles[shut].numpy().astype(np.float64)
    face = (np.abs(x - middle[0]) < 0.4) & (np.abs(y - middle[1] - 0.2) < 0.4)
    gain = base[face].std() / max(moved[face].std(), 1.0)
    other = (moved - moved[face].mean()) * gain + base[face].mean()
    tile = np.clip(np.rint(own * base + (1 - own) * other), 0, 255).astype(np.uint8)
    away = (mine - middle) @ across - slope * ((mine - middle) @ down)
    keep = 1 / (1 + np.exp(np.clip(away * UNIT / SEAM * 4, -50, 50)))
    keep = (1 - keep if side == SIDE_OF["left"] else keep)[:, None]
    return tile, (keep * mine + (1 - keep) * placed).astype(np.float32)


def _anchors(points: NDArray[np.float32]) -> NDArray[np.complex128]:
    """Corners of the eyes, the nose's tip and the lower lip."""
    rows = (RIGHT_EYE.start, RIGHT_EYE.start + 4, LEFT_EYE.start, LEFT_EYE.start + 4, NOSE_TIP, LIP_LOWER)
    return np.array([complex(*points[row]) for row in rows])


def _similarity(a: NDArray[np.complex128], b: NDArray[np.complex128]) -> tuple[complex, complex]:
    """The turn and shift that take a nearest to b."""
    from_middle = a - a.mean()
    turn = complex((from_middle.conj() @ (b - b.mean())) / max(float((np.abs(from_middle) ** 2).sum()), 1e-9))
    return turn, complex(b.mean() - turn * a.mean())
