"""The prepared pictures as one file in the work folder: decoding and cutting take minutes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data import Judged, Sample, load_ferplus, training_sample, validation_pictures
from training.photos import load_photos


@dataclass(frozen=True)
class Pictures:
    train: Sample  # FER+ and photos
    validation: Judged  # FER+ public test, twins of train pictures included
    photos: Judged  # people held back, may be empty


def pictures(folder: Path, work: Path) -> Pictures:
    path = work / "pictures.npz"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        _prepare(folder, path)
    with np.load(path) as kept:
        return Pictures(
            Sample(kept["tiles"], kept["targets"]),
            Judged(kept["val_tiles"], kept["val_labels"], kept["val_duplicate"]),
            Judged(kept["photo_tiles"], kept["photo_labels"], kept["photo_duplicate"]),
        )


def _prepare(folder: Path, path: Path) -> None:
    fer = load_ferplus(folder)
    train, judged = training_sample(fer), validation_pictures(fer)
    photos, held = load_photos(folder)
    train = train + photos
    np.savez_compressed(
        path,
        tiles=train.tiles,
        targets=train.targets,
        val_tiles=judged.tiles,
        val_labels=judged.labels,
        val_duplicate=judged.duplicate,
        photo_tiles=held.tiles,
        photo_labels=held.labels,
        photo_duplicate=held.duplicate,
    )
