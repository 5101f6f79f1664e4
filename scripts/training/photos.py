"""Press photos as a second world for the expression model: found by YuNet, cut like FER tiles.

ferd cuts by the eyes where its detector finds them and by the box where it does not, so every
second picture is cut the one way and every second the other.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ferd.data import Box, Face, Points
from ferd.face.crop import cut
from training.crop import CROP, largest, yunet
from training.data import LABELS, SIDE, TRAIN_LABELS, Judged, Sample

ZOOMED = 192  # longest side while the face is searched
PAD = 32
PER_PERSON = 24  # one actor holds nearly all of disgust, in distorted copies
SMOOTHING = 0.15  # students gave one label each: less certain than ten votes
HELD_BACK = 3  # people whose name hashes to this eighth are never trained on


def person(path: Path) -> str:
    return re.sub(r"[_\d]+$", "", path.stem)


def cut_tile(picture: NDArray[np.uint8], detector: cv2.FaceDetectorYN, eyes: bool) -> NDArray[np.uint8] | None:
    """The 48x48 tile of the largest face, cut by its eyes or by its box, or None."""
    zoom = ZOOMED / max(picture.shape)
    large = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
    large = cv2.copyMakeBorder(large, PAD, PAD, PAD, PAD, cv2.BORDER_REPLICATE)
    detector.setInputSize((large.shape[1], large.shape[0]))
    face = largest(detector.detect(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))[1])
    if face is None:
        return None
    box = Box(*(float(v) for v in (face[:4] - [PAD, PAD, 0, 0]) / zoom))
    places = ((face[4:14].reshape(5, 2) - PAD) / zoom).tolist()
    points = Points(*((x, y) for x, y in places)) if eyes else None
    return cut(picture, Face(box, points), CROP, "yunet", (SIDE, SIDE))


def load_photos(folder: Path) -> tuple[Sample, Judged]:
    """Train pictures and held-back people's pictures; both empty when there are no photos."""
    paths = sorted((folder / "photos").glob("*/*.jpg"))
    detector = yunet(folder, (ZOOMED, ZOOMED)) if paths else None
    seen: dict[str, int] = {}
    train: list[tuple[NDArray[np.uint8], int]] = []
    held: list[tuple[NDArray[np.uint8], int]] = []
    for number, path in enumerate(tqdm(paths, desc="photos", unit="picture", mininterval=2)):
        who = person(path)
        seen[who] = seen.get(who, 0) + 1
        if seen[who] > PER_PERSON:
            continue
        aside = zlib.crc32(who.encode()) % 8 == HELD_BACK
        picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        tile = cut_tile(picture, detector, eyes=aside or number % 2 == 0)
        if tile is not None:
            (held if aside else train).append((tile, LABELS.index(path.parent.name)))
    return _sample(train), _judged(held)


def _sample(pairs: list[tuple[NDArray[np.uint8], int]]) -> Sample:
    targets = np.full((len(pairs), len(TRAIN_LABELS)), SMOOTHING / len(TRAIN_LABELS), np.float32)
    for row, (_, label) in zip(targets, pairs, strict=True):
        row[label] += 1 - SMOOTHING
    return Sample(_stack(pairs), targets)


def _judged(pairs: list[tuple[NDArray[np.uint8], int]]) -> Judged:
    labels = np.array([label for _, label in pairs], dtype=np.int64)
    return Judged(_stack(pairs), labels, np.zeros(len(pairs), dtype=bool))


def _stack(pairs: list[tuple[NDArray[np.uint8], int]]) -> NDArray[np.uint8]:
    return np.array([tile for tile, _ in pairs], dtype=np.uint8).reshape(-1, SIDE, SIDE)
