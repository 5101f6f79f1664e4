"""Press photos as a second world for the expression model, each in the three ways in which a face may be cut.

ferd cuts by the eyes where its detector finds them and by the box where it does not; people who evaluate a folder
of faces bring them cut by whatever they had. So a photo is trained on by its eyes, by its box (tight to loose) and
uncut.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ferd.types import Box, Face, Landmarks
from ferd.vision.align import cut
from training.crop import CROP, largest, yunet
from training.data import LABELS, SIDE, TRAIN_LABELS, Judged, Sample

ZOOMED = 192  # longest side while the face is searched
PAD = 32
PER_PERSON = 24  # a film actor holds nearly all of disgust, in distorted copies whose labels say little
SMOOTHING = 0.15  # students gave one label each: less certain than ten votes
HELD_BACK = 3  # people whose name hashes to this eighth are never trained on
LOOSE = (0.9, 1.3)  # a cut by the box, in units of the cut that the card asks for

Tile = NDArray[np.uint8]


@dataclass(frozen=True)
class Held:
    """The same held-back people, cut by their eyes and uncut."""

    cut: Judged
    whole: Judged


def person(path: Path) -> str:
    return re.sub(r"[_\d]+$", "", path.stem)


def load_photos(folder: Path) -> tuple[Sample, Held]:
    """Pictures to train on and held-back people's pictures; all empty when there are no photos."""
    paths = sorted((folder / "photos").glob("*/*.jpg"))
    detector = yunet(folder, (ZOOMED, ZOOMED)) if paths else None
    seen: dict[str, int] = {}
    train: list[tuple[Tile, int]] = []
    held_cut: list[tuple[Tile, int]] = []
    held_whole: list[tuple[Tile, int]] = []
    for path in tqdm(paths, desc="photos", unit="picture", mininterval=2):
        who, name = person(path), path.parent.name
        aside = zlib.crc32(who.encode()) % 8 == HELD_BACK
        seen[who] = seen.get(who, 0) + 1
        if seen[who] > PER_PERSON:
            continue
        label = LABELS.index(name)
        picture = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)
        face = find(picture, detector)
        if aside:
            held_whole.append((uncut(picture), label))
            if face:
                held_cut.append((by_eyes(picture, face), label))
        else:
            spread = np.random.default_rng(zlib.crc32(path.name.encode()))
            tiles = [uncut(picture)] + ([by_eyes(picture, face), by_box(picture, face, spread)] if face else [])
            train += [(tile, label) for tile in tiles]
    return _sample(train), Held(_judged(held_cut), _judged(held_whole))


def find(picture: Tile, detector: cv2.FaceDetectorYN) -> Face | None:
    """The largest face of a picture that may be cut so tightly that detectors want more room."""
    zoom = ZOOMED / max(picture.shape)
    large = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
    large = cv2.copyMakeBorder(large, PAD, PAD, PAD, PAD, cv2.BORDER_REPLICATE)
    detector.setInputSize((large.shape[1], large.shape[0]))
    face = largest(detector.detect(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))[1])
    if face is None:
        return None
    places = ((face[4:14].reshape(5, 2) - PAD) / zoom).tolist()
    return Face(Box(*(float(v) for v in (face[:4] - [PAD, PAD, 0, 0]) / zoom)), Landmarks(*((x, y) for x, y in places)))


def by_eyes(picture: Tile, face: Face) -> Tile:
    return cut(picture, face, CROP, "yunet", (SIDE, SIDE))


def by_box(picture: Tile, face: Face, spread: np.random.Generator) -> Tile:
    """As by a detector without eyes: tighter or looser than it should be."""
    x, y, w, h = face.box
    by = spread.uniform(*LOOSE)
    box = Box(x - w * (by - 1) / 2, y - h * (by - 1) / 2, w * by, h * by)
    return cut(picture, Face(box), CROP, "yunet", (SIDE, SIDE))


def uncut(picture: Tile) -> Tile:
    """As `ferd model eval` takes a picture that is a face."""
    method = cv2.INTER_AREA if picture.shape[0] > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=method), np.uint8)


def _sample(pairs: list[tuple[Tile, int]]) -> Sample:
    targets = np.full((len(pairs), len(TRAIN_LABELS)), SMOOTHING / len(TRAIN_LABELS), np.float32)
    for row, (_, label) in zip(targets, pairs, strict=True):
        row[label] += 1 - SMOOTHING
    return Sample(stack([tile for tile, _ in pairs]), targets)


def _judged(pairs: list[tuple[Tile, int]]) -> Judged:
    labels = np.array([label for _, label in pairs], dtype=np.int64)
    return Judged(stack([tile for tile, _ in pairs]), labels, np.zeros(len(pairs), dtype=bool))


def stack(tiles: list[Tile]) -> Tile:
    return np.array(tiles, dtype=np.uint8).reshape(-1, SIDE, SIDE)
