"""What stays of a lesson: by default the features of its samples, never a picture.

One file a model in the state directory. It lets a class be added or recorded anew without the others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np

from ferd.errors import FerdError
from ferd.fs import exists
from ferd.models.finetune.samples import Collected
from ferd.models.finetune.tflite_edit import Floats
from ferd.models.registry import state_dir


@dataclass(frozen=True, slots=True)
class SavedDataset:
    """The samples of one class: `features` (samples, views, features); `names` (samples,), for reports."""

    label: str
    features: Floats
    names: tuple[str, ...]


def features_path(name: str) -> Path:
    return state_dir() / "taught" / f"{name}.npz"


def load(name: str, base: str) -> list[SavedDataset]:
    """What was kept under this name, [] when nothing was. `base`: sha256 of the network they were made with.

    Raises FerdError when the file is damaged or belongs to another network.
    """
    path = features_path(name)
    if not exists(path):
        return []
    try:
        with path.open("rb") as stream, np.load(stream) as file:
            if str(file["base"]) != base:
                raise FerdError(
                    f"{path}: was recorded with another expression network; record all classes again (--fresh)"
                )
            labels = [str(label) for label in file["labels"]]
            return [
                SavedDataset(label, file[f"features{n}"], tuple(str(s) for s in file[f"names{n}"]))
                for n, label in enumerate(labels)
            ]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise FerdError(f"{path}: is damaged ({error}). Record all classes again (--fresh)") from None


def save(name: str, base: str, lessons: Sequence[SavedDataset]) -> Path:
    path = features_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {"base": np.array(base), "labels": np.array([lesson.label for lesson in lessons])}
    for n, lesson in enumerate(lessons):
        arrays |= {f"features{n}": lesson.features, f"names{n}": np.array(lesson.names)}
    new = path.with_suffix(".new.npz")
    np.savez_compressed(new, **arrays)
    new.replace(path)
    return path


def save_pictures(name: str, classes: Sequence[Collected]) -> Path:
    """The crops as PNG files, one folder a class. Only for --keep-samples: the user asked for it."""
    folder = state_dir() / "samples" / name
    for collected in classes:
        place = folder / (re.sub(r"[^\w .-]+", "_", collected.label).strip(". ") or "class")
        place.mkdir(parents=True, exist_ok=True)
        for number, crop in enumerate(collected.crops):
            if not cv2.imwrite(str(place / f"{number:04d}.png"), crop):
                raise FerdError(f"{place}: cannot be written. Is the disk full?")
    return folder
