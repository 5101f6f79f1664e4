"""FER2013 tiles with FER+ votes, as uint8 arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.sources import MissingDataError

LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
TRAIN_LABELS = (*LABELS, "contempt")  # trained with 8, shipped with 7
SIDE = 48
PER_ROW = 170

# Columns of the votes: neutral, happiness, surprise, sadness, anger, disgust, fear, contempt,
# unknown, not a face. Here in the order of TRAIN_LABELS.
_COLUMNS = [4, 5, 6, 1, 3, 2, 0, 7]
_NO_LABEL = -1


@dataclass(frozen=True)
class Ferplus:
    tiles: NDArray[np.uint8]  # (N, 48, 48)
    votes: NDArray[np.float32]  # (N, 8), votes of one dropped
    others: NDArray[np.float32]  # (N,), votes for unknown and not a face
    majority: NDArray[np.int64]  # index into TRAIN_LABELS, -1 without a majority
    validation: NDArray[np.bool_]
    duplicate: NDArray[np.bool_]  # validation pictures with an identical twin in train


def load_ferplus(folder: Path) -> Ferplus:
    labels = np.load(folder / "ferplus.npz")
    mosaic = cv2.imread(str(folder / "ferplus.webp"), cv2.IMREAD_GRAYSCALE)
    if mosaic is None:
        raise MissingDataError(f"{folder / 'ferplus.webp'} is not a picture that OpenCV can read: fetch it again")
    count = len(labels["votes"])
    grid = mosaic.reshape(-1, SIDE, PER_ROW, SIDE).transpose(0, 2, 1, 3)
    tiles = np.ascontiguousarray(grid.reshape(-1, SIDE, SIDE)[:count])

    votes = labels["votes"].astype(np.float32)
    votes[votes <= 1] = 0  # the paper's protocol: a single vote is an outlier
    total = votes.sum(axis=1)
    top = votes.argmax(axis=1)
    clear = (votes.max(axis=1) > total / 2) & (top < 8)
    order = {column: index for index, column in enumerate(_COLUMNS)}
    majority = np.array([order[t] if c else _NO_LABEL for t, c in zip(top, clear, strict=True)], dtype=np.int64)
    return Ferplus(
        tiles=tiles,
        votes=votes[:, _COLUMNS],
        others=votes[:, 8:].sum(axis=1),
        majority=majority,
        validation=labels["split"] == 1,
        duplicate=labels["duplicate_in_train"].astype(bool),
    )
