"""Labelled pictures to judge a classifier by: a folder with one folder a label, or FER2013 with FER+ votes."""

from __future__ import annotations

import logging
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.errors import FerdError
from ferd.fs import exists, is_dir, is_file
from ferd.types import Image

log = logging.getLogger(__name__)

PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".tif", ".tiff", ".webp"})
FER_SIDE = 48
FER_ROW = 170
VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "no face")


@dataclass(frozen=True, slots=True)
class Sample:
    """`picture`: uint8, gray or BGR, of any size. `label`: what it is, by those who labelled it."""

    name: str
    picture: Image
    label: str


@dataclass(slots=True)
class Samples:
    """Iterate to read one picture at a time. `problems` fills meanwhile: what was passed over, and why."""

    labels: tuple[str, ...]
    source: Iterator[Sample]
    total: int
    problems: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Sample]:
        return self.source


def read_samples(data: Path) -> Samples:
    """The samples at a path. Raises FerdError with the remedy when it is nothing that we know."""
    if is_dir(data):
        return _read_folders(data)
    if data.suffix == ".npz" and is_file(data):
        return _read_ferplus(data)
    what = "is neither a folder nor an .npz file" if exists(data) else "is not there"
    raise FerdError(f"{data}: {what}. A classifier is judged by a folder with one folder a label, or by ferplus.npz")


def _read_folders(data: Path) -> Samples:
    folders = sorted(path for path in data.iterdir() if is_dir(path))
    if not folders:
        raise FerdError(f"{data}: holds no folders. One folder a label is expected: {data}/happiness/….jpg")
    files = {folder: sorted(f for f in folder.iterdir() if f.suffix.lower() in PICTURES) for folder in folders}
    problems = [f"{folder}: no pictures in it" for folder, inside in files.items() if not inside]
    labels = tuple(folder.name for folder in folders)

    def pictures() -> Iterator[Sample]:
        for folder, inside in files.items():
            for file in inside:
                picture = read_picture(file)
                if picture is None:
                    problems.append(f"{file}: {'does not decode' if is_file(file) else 'is no file'}")
                else:
                    yield Sample(str(file), picture, folder.name)

    return Samples(labels, pictures(), sum(map(len, files.values())), problems)


def read_picture(file: Path) -> Image | None:
    """Gray or BGR uint8; None when it does not decode."""
    try:
        data = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError:
        return None
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    return None if picture is None else np.asarray(picture, np.uint8)


def read_arrays(data: Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """Arrays of an .npz file. Raises FerdError with what is wrong with it."""
    if not zipfile.is_zipfile(data):  # numpy takes it for a pickle, and says so at length
        raise FerdError(f"{data}: is no whole .npz file")
    try:
        with np.load(data) as file:
            missing = [name for name in names if name not in file]
            if missing:
                raise FerdError(f"{data}: holds no {' and no '.join(missing)}, only {', '.join(file) or 'nothing'}")
            return [np.asarray(file[name]) for name in names]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise FerdError(f"{data}: is no whole .npz file ({error})") from None


def _read_ferplus(data: Path) -> Samples:
    """FER2013's validation part by FER+'s majority protocol (Barsoum et al., 2016, section 3.1).

    Single votes are dropped; a picture stays when one label has more than half of the votes that remain and is a
    face with an expression. Those with an identical twin in the training part are dropped. The file holds `votes`
    (N, 10), `split` (1: validation) and `duplicate_in_train`; the pictures are a lossless mosaic of 48x48 tiles
    beside it, under the same name, 170 a row.
    """
    mosaic_file = next((data.with_suffix(s) for s in (".webp", ".png") if is_file(data.with_suffix(s))), None)
    if mosaic_file is None:
        raise FerdError(f"{data.with_suffix('.webp')}: is not there; it holds the pictures of {data.name}")
    arrays = read_arrays(data, ("votes", "split", "duplicate_in_train"))
    votes, split, twin = (array if array.dtype.kind in "biu" else array.astype(object) for array in arrays)
    count = len(votes) if votes.ndim else 0
    if object in (votes.dtype, split.dtype, twin.dtype) or votes.shape != (count, len(VOTES)):
        raise FerdError(f"{data}: votes must be (N, {len(VOTES)}), split and duplicate_in_train (N), whole numbers")
    if split.shape != (count,) or twin.shape != (count,):
        raise FerdError(f"{data}: votes, split and duplicate_in_train are not of one length")
    twin = twin.astype(bool)
    mosaic = cv2.imread(str(mosaic_file), cv2.IMREAD_GRAYSCALE)
    tiles = None if mosaic is None else _tiles(np.asarray(mosaic, np.uint8))
    if tiles is None or len(tiles) < len(votes):
        raise FerdError(f"{mosaic_file}: does not hold {len(votes)} tiles of 48x48, 170 a row")
    kept = np.where(votes <= 1, 0, votes)
    top = kept.argmax(axis=1)
    clear = (kept.max(axis=1) * 2 > kept.sum(axis=1)) & (top < VOTES.index("unknown"))
    chosen = np.flatnonzero(clear & (split == 1) & ~twin)
    samples = (Sample(f"{data.name}:{i}", tiles[i], VOTES[top[i]]) for i in chosen)
    return Samples(VOTES[:8], samples, len(chosen))


def _tiles(mosaic: Image) -> Image | None:
    rows, rest = divmod(mosaic.shape[0], FER_SIDE)
    if rest or mosaic.shape[1] != FER_SIDE * FER_ROW:
        return None
    grid = mosaic.reshape(rows, FER_SIDE, FER_ROW, FER_SIDE).transpose(0, 2, 1, 3)
    return grid.reshape(-1, FER_SIDE, FER_SIDE)
