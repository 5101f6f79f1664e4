"""Turn samples into features, and save and load them.

By default only features are saved, never an image: one file per model in the state directory. It lets a class be added
or recorded again without the others.
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
from numpy.typing import NDArray

from ferd.errors import FerdError
from ferd.fs import exists, state_dir
from ferd.models.bundle import Bundle
from ferd.models.finetune.collect import Collected, vary
from ferd.models.finetune.tflite_edit import Floats, features_file
from ferd.models.runtime import Network
from ferd.scratch import scratch_folder
from ferd.types import Image
from ferd.vision.classifier import Classifier

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples as features. `features` (n, f), `labels` (n,), `source` (n,): index of the image each was made from."""

    features: Floats
    labels: Ints
    source: Ints

    def only(self, sources: NDArray[np.bool_]) -> Dataset:
        """Return the samples whose image is selected; `sources` (images,)."""
        mine = sources[self.source]
        return Dataset(self.features[mine], self.labels[mine], self.source[mine])


@dataclass(frozen=True, slots=True)
class SavedDataset:
    """Samples of one class. `features` (samples, views, features); `names` (samples,), for reports."""

    label: str
    features: Floats
    names: tuple[str, ...]


class FeatureNet:
    """Run a classifier without its last layer, on crops of the bundle's size, gray."""

    def __init__(self, bundle: Bundle) -> None:
        """Load a bundle. Raises ModelError when it is broken or its last layer cannot be replaced."""
        self.bundle = bundle
        self.whole = Classifier(bundle)
        self.model = bundle.path.read_bytes()
        with scratch_folder("teach") as folder:
            file = folder / "features.tflite"
            file.write_bytes(features_file(self.model))
            self._network = Network(file)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of a crop."""
        return self.whole.input.width, self.whole.input.height

    def __call__(self, crops: Sequence[Image]) -> Floats:
        """Return (n, features) float32."""
        rows = [self._network.invoke(self.whole.prepare(crop)).reshape(-1) for crop in crops]
        return np.stack([self._network.outputs[0].dequantise(row) for row in rows])


def to_features(net: FeatureNet, collected: Collected, *, flip: bool) -> SavedDataset:
    """Compute the features of every sample and of its augmentations."""
    rows = [net(vary(crop, flip=flip)) for crop in collected.crops]
    return SavedDataset(collected.label, np.stack(rows), tuple(collected.names))


def features_path(name: str) -> Path:
    """Return the file that holds the features of a model's samples."""
    return state_dir() / "taught" / f"{name}.npz"


def load(name: str, base: str) -> list[SavedDataset]:
    """Load the saved samples of a model, [] when there are none. `base`: digest of the network that made the features.

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


def save(name: str, base: str, datasets: Sequence[SavedDataset]) -> Path:
    """Save the samples of a model as features, and return the file."""
    path = features_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {"base": np.array(base), "labels": np.array([dataset.label for dataset in datasets])}
    for n, dataset in enumerate(datasets):
        arrays |= {f"features{n}": dataset.features, f"names{n}": np.array(dataset.names)}
    new = path.with_suffix(".new.npz")
    try:
        np.savez_compressed(new, **arrays)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return path


def save_images(name: str, classes: Sequence[Collected]) -> Path:
    """Save the crops as PNG files, one folder per class. Only for --keep-samples, which the user must give."""
    folder = state_dir() / "samples" / name
    for collected in classes:
        place = folder / (re.sub(r"[^\w .-]+", "_", collected.label).strip(". ") or "class")
        place.mkdir(parents=True, exist_ok=True)
        for number, crop in enumerate(collected.crops):
            if not cv2.imwrite(str(place / f"{number:04d}.png"), crop):
                raise FerdError(f"{place}: cannot be written. Is the disk full?")
    return folder
