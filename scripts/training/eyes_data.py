"""Crops of eyes and mouths, open and closed, and of what is neither: as gray tiles with a margin around the crop.

A tile is 64 pixels wide and its middle 48 are the crop as ferd cuts it; crops that come ready cut get a margin
of repeated edge pixels.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ferd.types import Landmarks
from ferd.vision.eyes import LABELS, crop_regions, cut_square

CROP, TILE = 48, 64
EYE_CLOSED, EYE_OPEN, MOUTH_CLOSED, MOUTH_OPEN, OTHER = range(5)
HELD_PEOPLE = 6  # one person in so many is held back, of the eyes that the daemon meets
TWINS = 0.97  # correlation of two pictures at 16x16 from which on they are twins
Tile = NDArray[np.uint8]
GLASSES_WEIGHT = 6.0  # how much more often real sunglasses are drawn than other things without an eye
# drivers/ with sunglasses, told by looking
SUNGLASSES = {
    "yawn": (1, 8, 10, 20, 22, 34, 35, 51, 53, 54, 94, 100, 105, 122, 128, 129, 131, 146, 147, 167, 175, 177, 178, 202,
             237, 242, 249),
    "no-yawn": (4, 8, 25, 32, 33, 41, 43, 64, 70, 77, 80, 81, 83, 86, 91, 92, 93, 97, 100, 114, 118, 127, 128, 133,
                134, 139, 161, 179, 180, 182, 191, 218, 224, 231, 245, 247),
}  # fmt: skip


@dataclass(frozen=True)
class Tiles:
    """One source: `tiles` (N, 64, 64) uint8 gray, `labels` (N,) indices into LABELS, `weights` (N,) how often
    each is drawn, `held` (N,) kept for validation."""

    name: str
    tiles: Tile
    labels: NDArray[np.int64]
    weights: NDArray[np.float32]
    held: NDArray[np.bool_]

    def part(self, held: bool) -> Tiles:
        keep = self.held == held
        return Tiles(self.name, self.tiles[keep], self.labels[keep], self.weights[keep], self.held[keep])


def sources(folder: Path, cache: Path) -> dict[str, Tiles]:
    """All sources by name, from the cache file if it is there."""
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        made = [
            *(_infrared(folder), _colour(folder), _mouths(folder), _faces(folder), _met(folder)),
            *(_drivers(folder), _others(folder)),
        ]
        flat = {f"{t.name}/{k}": getattr(t, k) for t in made for k in ("tiles", "labels", "weights", "held")}
        np.savez_compressed(cache, **flat)
    with np.load(cache) as kept:
        names = sorted({key.partition("/")[0] for key in kept})
        return {n: Tiles(n, *(kept[f"{n}/{k}"] for k in ("tiles", "labels", "weights", "held"))) for n in names}


def held_back(name: str, parts: int = 5) -> bool:
    """One name in `parts`, always the same ones."""
    return zlib.crc32(name.encode()) % parts == 0


def with_margin(crop: Tile) -> Tile:
    """A ready crop, gray, any size, as a tile."""
    method = cv2.INTER_AREA if min(crop.shape) > CROP else cv2.INTER_LINEAR
    small = cv2.resize(crop, (CROP, CROP), interpolation=method)
    edge = (TILE - CROP) // 2
    return np.asarray(cv2.copyMakeBorder(small, edge, edge, edge, edge, cv2.BORDER_REPLICATE), np.uint8)


def tile_at(gray: Tile, square: tuple[float, float, float, float]) -> Tile:
    x, y, side, roll = square
    return cut_square(gray, (x, y, side * TILE / CROP, roll), TILE)


def _tiles(
    name: str, pairs: list[tuple[Tile, int]], groups: list[str] | NDArray[np.int64], parts: int = 5, power: float = 0.5
) -> Tiles:
    """Groups are held back as a whole; a group counts as size ** power pictures."""
    names = [f"{name} {group}" for group in groups]
    sizes = dict(zip(*np.unique(names, return_counts=True), strict=True))
    return Tiles(
        name,
        np.stack([tile for tile, _ in pairs]),
        np.array([label for _, label in pairs], np.int64),
        np.array([sizes[n] ** (power - 1) for n in names], np.float32),
        np.array([held_back(n, parts) for n in names]),
    )


def _infrared(folder: Path) -> Tiles:
    data = np.load(folder / "eyes_ir.npz")
    pairs = [(with_margin(i), EYE_OPEN if o else EYE_CLOSED) for i, o in zip(data["images"], data["open"], strict=True)]
    return _tiles("infrared", pairs, data["group"])


def _colour(folder: Path) -> Tiles:
    files = sorted((folder / "eyes_rgb").glob("*/*.jpg"))
    labels = [EYE_OPEN if f.parent.name == "open" else EYE_CLOSED for f in files]
    tiles = [with_margin(_gray(f)) for f in files]
    return _tiles("colour", list(zip(tiles, labels, strict=True)), twins(tiles))


def _mouths(folder: Path) -> Tiles:
    data = np.load(folder / "mouths.npz")
    tiles = [with_margin(image) for image in data["images"]]
    labels = [MOUTH_OPEN if o else MOUTH_CLOSED for o in data["open"]]
    return _tiles("mouths", list(zip(tiles, labels, strict=True)), twins(tiles))


def _faces(folder: Path) -> Tiles:
    """Both eyes of whole faces. Many heads lie or stand upside down, where the file's points are wrong: see _turned."""
    pairs, groups = [], []
    lines = (folder / "faces_eye_state.jsonl").read_text(encoding="utf-8").splitlines()
    for line in tqdm(lines, "faces_eye_state", mininterval=5):
        face = json.loads(line)
        gray, points = _turned(folder, folder / face["file"], as_points(face["points"]))
        label = EYE_OPEN if face["eyes"] == "open" else EYE_CLOSED
        for square in crop_regions(points)[:2]:
            pairs.append((tile_at(gray, square), label))
            groups.append(face["file"])
    return _tiles("faces", pairs, groups, parts=3)


def _turned(folder: Path, file: Path, points: Landmarks) -> tuple[Tile, Landmarks]:
    """The picture in gray, turned by the eighth of a circle at which YuNet is surest, and its points."""
    picture = cv2.imread(str(file))
    best, best_score = (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), points), 0.0
    height, width = picture.shape[:2]
    side = round(1.2 * max(height, width))
    for degrees in range(0, 360, 45):
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
        matrix[:, 2] += (side - width) / 2, (side - height) / 2
        shown = cv2.warpAffine(picture, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
        row = _largest(folder, shown)
        if row is not None and row[14] > best_score + (0.02 if best_score else 0.0):
            best_score = float(row[14])
            best = (cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY), as_points([float(v) for v in row[4:14]]))
    return best


def _met(folder: Path) -> Tiles:
    """Eyes as the daemon meets them; the labels take turns, however rare they are."""
    from training.eyes_met import met

    eyes = met(folder)
    tiles = [(tile_at(eye.gray, eye.square), eye.label) for eye in eyes]
    made = _tiles("met", tiles, [eye.who for eye in eyes], parts=HELD_PEOPLE)
    shares = {EYE_CLOSED: 0.25, EYE_OPEN: 0.65, OTHER: 0.1}
    of_label = {label: max(1e-9, float(made.weights[made.labels == label].sum())) for label in shares}
    weights = made.weights * np.array([shares[int(label)] / of_label[int(label)] for label in made.labels], np.float32)
    return Tiles(made.name, made.tiles, made.labels, weights, made.held)


def _drivers(folder: Path) -> Tiles:
    """Mouths that yawn or not; all are held back, the same dozen people are in every part of them."""
    pairs = []
    for name, label in (("yawn", MOUTH_OPEN), ("no-yawn", MOUTH_CLOSED)):
        for file in sorted((folder / "drivers" / name).glob("*.jpg")):
            if (points := _found(folder, file)) is not None:
                pairs.append((tile_at(_gray(file), crop_regions(points).mouth), label))
    made = _tiles("drivers", pairs, [str(n) for n in range(len(pairs))], power=1.0)
    return Tiles(made.name, made.tiles, made.labels, made.weights, np.ones(len(pairs), bool))


def _others(folder: Path) -> Tiles:
    """Rooms and things, the rest of faces, sunglasses."""
    rng = np.random.default_rng(8322)
    pairs: list[tuple[Tile, int]] = []
    groups: list[str] = []

    def add(gray: Tile, square: tuple[float, float, float, float], group: str) -> None:
        pairs.append((tile_at(gray, square), OTHER))
        groups.append(group)

    for file in tqdm(sorted((folder / "no_faces").glob("*.jpg")), "no_faces", mininterval=5):
        gray = _gray(file)
        for _ in range(3):
            side = float(np.exp(rng.uniform(np.log(16), np.log(160))))
            add(gray, (*rng.uniform((0, 0), gray.shape[::-1]), side, rng.uniform(-0.5, 0.5)), file.name)
    for line in tqdm((folder / "faces.jsonl").read_text(encoding="utf-8").splitlines(), "faces", mininterval=5):
        row = json.loads(line)
        gray = None
        for face in row["faces"]:
            if face["box"][2] < 50:
                continue
            gray = _gray(folder / row["file"]) if gray is None else gray
            for square in _beside(as_points(face["points"]), rng):
                add(gray, square, row["file"])
    for name, numbers in SUNGLASSES.items():
        for number in numbers:
            file = folder / "drivers" / name / f"{number:03}.jpg"
            if (points := _found(folder, file)) is not None:
                for square in crop_regions(points)[:2]:
                    add(_gray(file), square, f"glasses {number // 10}")
    made = _tiles("others", pairs, groups, power=1.0)
    weights = np.array([GLASSES_WEIGHT if group.startswith("glasses ") else 1.0 for group in groups], np.float32)
    return Tiles(made.name, made.tiles, made.labels, weights, made.held)


def _beside(points: Landmarks, rng: np.random.Generator) -> list[tuple[float, float, float, float]]:
    """Squares on a face or just beside it that show neither a whole eye nor the mouth."""
    where = crop_regions(points)
    side, roll = where.right_eye[2], where.right_eye[3]
    middle = np.array(points.nose)
    found: list[tuple[float, float, float, float]] = []
    for _ in range(12):
        at = middle + rng.uniform(-2.2, 2.2, 2) * side
        eyes = min(float(np.hypot(*(at - s[:2]))) for s in where[:2])
        mouth = float(np.hypot(*(at - where.mouth[:2])))
        if eyes > 0.75 * side and mouth > 1.0 * side and len(found) < 2:
            found.append((*at, side * rng.uniform(0.7, 1.5), roll + rng.uniform(-0.4, 0.4)))
    return found


def twins(tiles: list[Tile]) -> NDArray[np.int64]:
    """A group number for each picture: pictures that look the same (also mirrored) share one."""
    small = np.stack([cv2.resize(t, (16, 16), interpolation=cv2.INTER_AREA) for t in tiles]).astype(np.float32)
    both = [_unit(s.reshape(len(tiles), -1)) for s in (small, small[:, :, ::-1])]
    group = np.arange(len(tiles))
    for number, row in enumerate(both[0]):
        alike = (np.maximum(both[0] @ row, both[1] @ row) > TWINS).nonzero()[0]
        group[np.isin(group, group[alike])] = group[number]
    return group.astype(np.int64)


def as_points(values: list[float]) -> Landmarks:
    return Landmarks(*zip(values[::2], values[1::2], strict=True))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6)


def _found(folder: Path, file: Path) -> Landmarks | None:
    """The points of the largest face, by YuNet."""
    picture = cv2.imread(str(file))
    row = None if picture is None else _largest(folder, picture)
    return None if row is None else as_points([float(v) for v in row[4:14]])


def _largest(folder: Path, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """YuNet's row of the largest face in a colour picture."""
    size = (picture.shape[1], picture.shape[0])
    detector = cv2.FaceDetectorYN.create(str(next((folder / "yunet").glob("*.onnx"))), "", size, 0.6)
    rows = detector.detect(picture)[1]
    return None if rows is None else max(rows, key=lambda row: row[2] * row[3])


def _gray(file: Path) -> Tile:
    picture = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise ValueError(f"{file} is not a picture that OpenCV can read")
    return np.asarray(picture, np.uint8)


assert len(LABELS) == OTHER + 1
