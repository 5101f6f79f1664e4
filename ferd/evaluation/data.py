"""Read labelled data: a folder per label, FER2013 with FER+ votes, files with one JSON object per line."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.errors import FerdError
from ferd.fs import exists, is_dir, is_file
from ferd.types import Image
from ferd.vision.images import IMAGE_SUFFIXES, read_image

T = TypeVar("T")

FER_SIDE = 48
FER_ROW = 170
VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "no face")


@dataclass(frozen=True, slots=True)
class Sample:
    """A labelled image: uint8, gray or BGR, of any size."""

    name: str
    image: Image
    label: str


@dataclass(slots=True)
class Samples:
    """Iterate to read one image at a time. `problems` collects what was skipped, and why."""

    labels: tuple[str, ...]
    source: Iterator[Sample]
    total: int
    problems: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Sample]:
        return self.source


def read_samples(data: Path) -> Samples:
    """Open the samples at a path. Raises FerdError with the remedy when the format is not known."""
    if is_dir(data):
        return _read_folders(data)
    if data.suffix == ".npz" and is_file(data):
        return _read_ferplus(data)
    what = "is neither a folder nor an .npz file" if exists(data) else "is not there"
    raise FerdError(
        f"{data}: {what}. A classifier is evaluated on a folder with one folder per label, or on ferplus.npz"
    )


def _read_folders(data: Path) -> Samples:
    folders = sorted(path for path in data.iterdir() if is_dir(path))
    if not folders:
        raise FerdError(f"{data}: holds no folders. One folder per label is expected: {data}/happiness/….jpg")
    files = {folder: sorted(f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES) for folder in folders}
    problems = [f"{folder}: no images in it" for folder, inside in files.items() if not inside]
    labels = tuple(folder.name for folder in folders)

    def images() -> Iterator[Sample]:
        for folder, inside in files.items():
            for file in inside:
                image = read_image(file)
                if image is None:
                    problems.append(why_unread(file))
                else:
                    yield Sample(str(file), image, folder.name)

    return Samples(labels, images(), sum(map(len, files.values())), problems)


def read_arrays(data: Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """Read arrays of an .npz file. Raises FerdError with what is wrong with it."""
    if not zipfile.is_zipfile(data):  # numpy would take it for a pickle
        raise FerdError(f"{data}: is not a complete .npz file")
    try:
        with np.load(data) as file:
            missing = [name for name in names if name not in file]
            if missing:
                raise FerdError(f"{data}: holds no {' and no '.join(missing)}, only {', '.join(file) or 'nothing'}")
            return [np.asarray(file[name]) for name in names]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise FerdError(f"{data}: is not a complete .npz file ({error})") from None


def _read_ferplus(data: Path) -> Samples:
    """Read FER2013's validation part by FER+'s majority protocol (Barsoum et al., 2016, section 3.1).

    Single votes are dropped; an image stays when one label has more than half of the remaining votes and is an
    expression. Images with an identical copy in the training part are dropped. The file holds `votes` (N, 10), `split`
    (1: validation) and `duplicate_in_train`; the images are a lossless mosaic of 48x48 tiles beside it, under the same
    name, 170 per row.
    """
    mosaic_file = next((data.with_suffix(s) for s in (".webp", ".png") if is_file(data.with_suffix(s))), None)
    if mosaic_file is None:
        raise FerdError(f"{data.with_suffix('.webp')}: is not there; it holds the images of {data.name}")
    arrays = read_arrays(data, ("votes", "split", "duplicate_in_train"))
    votes, split, copied = (array if array.dtype.kind in "biu" else array.astype(object) for array in arrays)
    count = len(votes) if votes.ndim else 0
    if object in (votes.dtype, split.dtype, copied.dtype) or votes.shape != (count, len(VOTES)):
        raise FerdError(f"{data}: votes must be (N, {len(VOTES)}), split and duplicate_in_train (N), whole numbers")
    if split.shape != (count,) or copied.shape != (count,):
        raise FerdError(f"{data}: votes, split and duplicate_in_train differ in length")
    copied = copied.astype(bool)
    mosaic = cv2.imread(str(mosaic_file), cv2.IMREAD_GRAYSCALE)
    tiles = None if mosaic is None else _tiles(np.asarray(mosaic, np.uint8))
    if tiles is None or len(tiles) < len(votes):
        raise FerdError(f"{mosaic_file}: does not hold {len(votes)} tiles of 48x48, 170 per row")
    kept = np.where(votes <= 1, 0, votes)
    top = kept.argmax(axis=1)
    clear = (kept.max(axis=1) * 2 > kept.sum(axis=1)) & (top < VOTES.index("unknown"))
    chosen = np.flatnonzero(clear & (split == 1) & ~copied)
    samples = (Sample(f"{data.name}:{i}", tiles[i], VOTES[top[i]]) for i in chosen)
    return Samples(VOTES[:8], samples, len(chosen))


def _tiles(mosaic: Image) -> Image | None:
    rows, rest = divmod(mosaic.shape[0], FER_SIDE)
    if rest or mosaic.shape[1] != FER_SIDE * FER_ROW:
        return None
    grid = mosaic.reshape(rows, FER_SIDE, FER_ROW, FER_SIDE).transpose(0, 2, 1, 3)
    return grid.reshape(-1, FER_SIDE, FER_SIDE)


def read_lines(data: Path, problems: list[str], take: Callable[[dict[str, Any]], T]) -> Iterator[tuple[int, T]]:
    """Read a file with one JSON object per line; yield (line number, what `take` returns for the object).

    `take` raises KeyError, TypeError or ValueError for a wrong line; the reason is added to the problems. Empty lines
    are skipped.
    """
    try:
        text = data.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise FerdError(f"{data}: cannot be read ({error.strerror})") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield number, take(_row(line))
        except json.JSONDecodeError as error:
            problems.append(f"{data}:{number}: is not JSON ({error.msg} at column {error.colno})")
        except KeyError as error:
            problems.append(f"{data}:{number}: has no {error}")
        except (TypeError, ValueError) as error:
            problems.append(f"{data}:{number}: {error}")


def _row(line: str) -> dict[str, Any]:
    row = json.loads(line)
    if not isinstance(row, dict):
        raise TypeError("is not an object in braces")
    return row


def image_of(data: Path, row: dict[str, Any]) -> Path:
    """Return the image that a line names, beside the file."""
    file = row["file"]
    if not isinstance(file, str) or not file or "\0" in file:
        raise TypeError("file must be the name of an image")
    return data.parent / file


def why_unread(file: Path) -> str:
    """Explain why an image could not be read."""
    if is_file(file):
        return f"{file}: does not decode"
    return f"{file}: {'is no file' if exists(file) else 'is not there'}"
