"""The sets of pictures that the expression model learns from, each prepared as uint8 tiles with targets.

A set ("world") is a kind of picture: web faces, press photos, posed faces of a laboratory. Every person of a set is
either trained on or held back, never both.
"""

from __future__ import annotations

import json
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.models.preprocess import Crop, Relation
from ferd.types import Box, Face, Landmarks
from ferd.vision.align import cut
from training.crop import CROP, largest, yunet
from training.data import LABELS, SIDE, TRAIN_LABELS, load_ferplus

MARGIN = 6  # pixels of surroundings on each side of a tile, so that a shifted tile shows what was there
WIDE = SIDE + 2 * MARGIN
ZOOMED, PAD = 192, 32  # longest side while the face is searched, and the rim around it
LOOSE = (0.9, 1.3)  # a cut by the box, in units of the cut that the card asks for
WORD = 26  # columns of the teachers' word
PER_PERSON = 24  # press photos: one film actor holds nearly all of disgust, in distorted copies

Tile = NDArray[np.uint8]
EYES, BOX, UNCUT = 0, 1, 2  # how a tile was cut


class Picture(NamedTuple):
    """One picture of a set, before it is cut. `label`: None where nobody labelled it."""

    name: str
    person: str
    label: str | None
    pixels: Tile | None  # None: does not decode


@dataclass(frozen=True)
class World:
    """Tiles of one set. `picture`: which picture a tile was cut from; the other arrays have a row a picture."""

    tiles: Tile  # (M, WIDE, WIDE)
    picture: NDArray[np.int64]  # (M,)
    cut: NDArray[np.int64]  # (M,) EYES, BOX or UNCUT
    targets: NDArray[np.float32]  # (N, 8) over TRAIN_LABELS, rows of 0 without a label
    label: NDArray[np.int64]  # (N,) index into TRAIN_LABELS, -1 without one
    held: NDArray[np.bool_]  # (N,) people held back
    word: NDArray[np.float32]  # (N, WORD) the teachers' word, rows of 0 where it is missing


def held_back(people: Iterable[str], every: int) -> set[str]:
    """One of `every` people, by their place in the sorted list."""
    return set(sorted(set(people))[every // 2 :: every])


def _decode(data: NDArray[np.uint8]) -> Tile | None:
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        return None
    return None if pixels is None else np.asarray(pixels, np.uint8)


def _read(path: Path) -> Tile | None:
    try:
        return _decode(np.frombuffer(path.read_bytes(), np.uint8))
    except OSError:
        return None


def folder_pictures(folder: Path, person: Callable[[str], str], known: tuple[str, ...]) -> Iterator[Picture]:
    """Pictures of a set that has one folder a label; folders of unknown names are named and skipped."""
    for part in sorted(p for p in folder.iterdir() if p.is_dir()):
        if part.name not in known:
            warn(f"{part}: unknown label, skipped; known are {', '.join(known)}")
            continue
        for path in sorted(p for p in part.iterdir() if p.is_file()):
            yield Picture(f"{folder.name}/{part.name}/{path.name}", person(path.stem), part.name, _read(path))


def packed_pictures(path: Path) -> Iterator[Picture]:
    """Pictures of a packed set: JPEG bytes one after the other in an npz."""
    with np.load(path, allow_pickle=False) as packed:
        data, offset, names, label = (packed[k] for k in ("jpg", "offset", "name", "label"))
        clean = packed["clean"] if "clean" in packed else np.ones(len(names), bool)
        labels = [str(v) for v in packed["labels"]]
    unknown = sorted(set(labels) - set(LABELS))
    if unknown:
        warn(f"{path}: unknown labels {', '.join(unknown)}: their pictures are skipped")
    for row, name in enumerate(names):
        said = labels[label[row]] if 0 <= label[row] < len(labels) else ""
        if said not in LABELS:
            continue
        yield Picture(str(name), str(name), said if clean[row] else None, _decode(data[offset[row] : offset[row + 1]]))


def nir_pictures(folder: Path) -> Iterator[Picture]:
    """Infrared frames whose annotator saw a neutral or a happy face; the poses of the others are too mild."""
    told = {0: "neutral", 1: "happiness"}
    path = folder / "nir.jsonl"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            name, person, place = row["file"], str(row["person"]), row["face"]
            label = told.get(int(float(row["expression"] or -1)))
            left, top, right, bottom = _with_rim(place) if place else (0, 0, 0, 0)
        except (ValueError, KeyError, TypeError) as error:
            warn(f"{path}:{number}: not a line of this set, skipped: {error!r}")
            continue
        if label and place:
            pixels = _read(folder / name)
            yield Picture(name, person, label, None if pixels is None else pixels[top:bottom, left:right])


def _with_rim(place: list[float]) -> tuple[int, int, int, int]:
    x, y, w, h = place
    rim = int(0.25 * max(w, h))
    return max(0, int(x) - rim), max(0, int(y) - rim), int(x + w) + rim, int(y + h) + rim


def warn(text: str) -> None:
    print(text, file=sys.stderr)


_WIDE_CROP = Crop(
    eyes=tuple(((x * SIDE + MARGIN) / WIDE, (y * SIDE + MARGIN) / WIDE) for x, y in CROP.eyes or ()),  # type: ignore[arg-type]
    least=CROP.least * WIDE / SIDE,
    relations={name: Relation(r.dx, r.dy, r.scale * WIDE / SIDE) for name, r in CROP.relations.items()},
)


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
    return cut(picture, face, _WIDE_CROP, "yunet", (WIDE, WIDE))


def by_box(picture: Tile, face: Face, spread: np.random.Generator) -> Tile:
    """As by a detector without eyes: tighter or looser than it should be."""
    x, y, w, h = face.box
    by = spread.uniform(*LOOSE)
    box = Box(x - w * (by - 1) / 2, y - h * (by - 1) / 2, w * by, h * by)
    return cut(picture, Face(box), _WIDE_CROP, "yunet", (WIDE, WIDE))


def uncut(picture: Tile) -> Tile:
    """As `ferd model eval` takes a picture that is a face."""
    method = cv2.INTER_AREA if picture.shape[0] > SIDE else cv2.INTER_LINEAR
    return with_margin(np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=method), np.uint8))


def with_margin(tile: Tile) -> Tile:
    return np.asarray(cv2.copyMakeBorder(tile, *[MARGIN] * 4, cv2.BORDER_REPLICATE), np.uint8)


@dataclass(frozen=True)
class Source:
    """Where a set lies and how it is read. `tight`: its pictures are faces, usable uncut. `every`: held-back share."""

    name: str
    path: str
    pictures: Callable[[Path], Iterator[Picture]]
    every: int
    tight: bool
    per_person: int = 1_000_000
    hashed: int | None = None  # held back by the hash of the name, as the file before: people whose crc % every is this


def _photo_person(stem: str) -> str:
    return re.sub(r"[_\d]+$", "", stem)


SOURCES = (
    Source(
        "photos",
        "photos",
        lambda root: folder_pictures(root / "photos", _photo_person, LABELS),
        8,
        True,
        PER_PERSON,
        hashed=3,
    ),
    Source("rafdb", "rafdb.npz", lambda root: packed_pictures(root / "rafdb.npz"), 10, True),
    Source(
        "affectnet_ffhq", "affectnet_ffhq.npz", lambda root: packed_pictures(root / "affectnet_ffhq.npz"), 12, False
    ),
    Source("kdef", "kdef", lambda root: folder_pictures(root / "kdef", lambda stem: stem[1:4], LABELS), 6, True),
    Source(
        "ckplus48",
        "ckplus48",
        lambda root: folder_pictures(root / "ckplus48", lambda stem: stem.split("_")[0], TRAIN_LABELS),
        6,
        True,
    ),
    Source("jaffe", "jaffe", lambda root: folder_pictures(root / "jaffe", lambda stem: stem[:2], LABELS), 5, False),
    Source("nir", "nir.jsonl", nir_pictures, 4, False),
)


def load(source: Source, root: Path, words: Mapping[str, NDArray[np.float32]]) -> World:
    """Read, cut and label every picture of a set; pictures that do not decode are named and skipped."""
    detector = yunet(root, (ZOOMED, ZOOMED)) if any((root / "yunet").glob("*.onnx")) else None
    if detector is None:
        warn(f"{root / 'yunet'} holds no .onnx file: the faces of {source.name} are not searched, taken uncut at best")
    tiles: list[Tile] = []
    of: list[int] = []
    how: list[int] = []
    kept: list[Picture] = []
    seen: dict[str, int] = {}
    for picture in source.pictures(root):
        if picture.pixels is None:
            warn(f"{source.name}: {picture.name} does not decode, skipped")
            continue
        seen[picture.person] = seen.get(picture.person, 0) + 1
        if seen[picture.person] > source.per_person:
            continue
        pixels = picture.pixels
        face = find(pixels, detector) if detector else None
        spread = np.random.default_rng(zlib.crc32(picture.name.encode()))
        cuts = [(EYES, by_eyes(pixels, face)), (BOX, by_box(pixels, face, spread))] if face else []
        if source.tight or (picture.pixels.shape[0] <= 2 * SIDE and not face and picture.label):
            cuts.append((UNCUT, uncut(pixels)))
        if not cuts:
            continue
        for kind, tile in cuts:
            tiles.append(tile)
            of.append(len(kept))
            how.append(kind)
        kept.append(picture._replace(pixels=None))
    if source.hashed is None:
        aside = held_back([p.person for p in kept], source.every)
    else:
        aside = {p.person for p in kept if zlib.crc32(p.person.encode()) % source.every == source.hashed}
    label = np.array([-1 if p.label is None else TRAIN_LABELS.index(p.label) for p in kept], np.int64)
    targets = np.zeros((len(kept), len(TRAIN_LABELS)), np.float32)
    for row, index in zip(targets, label, strict=True):
        if index >= 0:
            row[index] = 1
    nothing = np.zeros(WORD, np.float32)
    word = np.array([words.get(f"{source.name}:{p.name}", nothing) for p in kept], np.float32).reshape(-1, WORD)
    return World(
        np.array(tiles, np.uint8).reshape(-1, WIDE, WIDE),
        np.array(of, np.int64),
        np.array(how, np.int64),
        targets,
        label,
        np.array([p.person in aside for p in kept], bool),
        word,
    )


def load_words(path: Path) -> dict[str, NDArray[np.float32]]:
    """What the teachers say: `ferplus` in the order of its tiles, one picture of the other sets by "SET:NAME"."""
    words: dict[str, NDArray[np.float32]] = {}
    with np.load(path, allow_pickle=False) as stored:
        for key in stored.files:
            rows = stored[key]
            if key.endswith("_word") and (rows.ndim != 2 or rows.shape[1] != WORD):
                raise ValueError(f"{key} has the shape {rows.shape}, not (pictures, {WORD})")
            if key == "ferplus_word":
                words["ferplus"] = rows.astype(np.float32)
            elif key.endswith("_name"):
                name = key.removesuffix("_name")
                said = stored[f"{name}_word"].astype(np.float32)
                words |= {f"{name}:{n}": row for n, row in zip(rows, said, strict=True)}
    return words


def load_votes(root: Path, words: Mapping[str, NDArray[np.float32]]) -> World:
    """FER+: pictures on which the crowd saw a face and an expression, with its votes; the public test is held back."""
    fer = load_ferplus(root)
    word = words.get("ferplus", np.zeros((len(fer.tiles), WORD), np.float32))
    if len(word) != len(fer.tiles):
        warn(f"the teachers' word of FER+ is of {len(word)} pictures, not {len(fer.tiles)}: goes on without it")
        word = np.zeros((len(fer.tiles), WORD), np.float32)
    faces = fer.votes.sum(axis=1)
    keep = np.where(fer.validation, (fer.majority >= 0) & ~fer.duplicate, (faces > fer.others) & (faces > 0))
    votes = fer.votes[keep]
    count = int(keep.sum())
    return World(
        np.stack([with_margin(tile) for tile in fer.tiles[keep]]),
        np.arange(count),
        np.full(count, UNCUT),
        votes / np.maximum(votes.sum(axis=1, keepdims=True), 1),
        fer.majority[keep],
        fer.validation[keep],
        word[keep],
    )
