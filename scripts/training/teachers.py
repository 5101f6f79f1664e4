"""The teachers' word: what larger or other nets see in every training picture, stored once, so that an epoch costs
the small net only.

A teacher looks at the whole picture and at its mirror image; its word is the mean of both. A file holds for each set
`SET_word` (n, 26) float16 and, but for FER+ (in the order of its tiles), `SET_name`. Columns: 0-6 vicksam,
7-13 HSEmotion with a head fitted on FER+ and photos, 14-20 the same with RAF-DB, all in the order of LABELS;
21-25 Intel's net (neutral, happy, sad, surprise, anger). Columns of a missing teacher are 0.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.data import SIDE, load_ferplus
from training.sources import MissingDataError
from training.worlds import SOURCES, WORD, Tile, warn

VICKSAM = "vicksam_ferplus_pd_48.tflite"
HSEMOTION = "hsemotion_mobilenet_7_features.tflite"
HEADS = ("hse_linear_fer_photos.npz", "hse_linear_fer_photos_raf.npz")
INTEL = "emotions-recognition-retail-0003.xml"

_VICKSAM_ORDER = [4, 5, 6, 1, 3, 2, 0]  # its outputs: neutral happiness surprise sadness anger disgust fear contempt
_HSEMOTION_MEAN = np.array([103.939, 116.779, 123.68], np.float32)
FEATURES = 1024

Teacher = Callable[[Tile], NDArray[np.float32]]
Row = NDArray[np.float32]


def write(options: argparse.Namespace, folder: Path) -> None:
    """Ask the teachers about every training picture; writes word.npz into the work folder."""
    teachers = open_teachers(folder / "teachers")
    asked = tqdm(load_ferplus(folder).tiles, "ferplus", unit="picture", mininterval=5)
    stored: dict[str, NDArray[Any]] = {"ferplus_word": np.array([word(teachers, tile) for tile in asked], np.float16)}
    for source in SOURCES:
        if not (folder / source.path).exists():
            warn(f"{folder / source.path} is missing: the teachers are not asked about it")
            continue
        names, rows = [], []
        for picture in tqdm(source.pictures(folder), source.name, unit="picture", mininterval=5):
            if picture.pixels is None:
                warn(f"{source.name}: {picture.name} does not decode, skipped")
                continue
            names.append(picture.name)
            rows.append(word(teachers, picture.pixels))
        if rows:
            stored |= {f"{source.name}_name": np.array(names), f"{source.name}_word": np.array(rows, np.float16)}
    options.work.mkdir(parents=True, exist_ok=True)
    path = options.work / "word.npz"
    np.savez(path, **stored)
    print(f"{path}: {sum(len(v) for k, v in stored.items() if k.endswith('_word'))} pictures")


def open_teachers(folder: Path) -> list[tuple[slice, Teacher]]:
    """The teachers that are there, by their columns; each missing one is named. Raises MissingDataError without any."""
    teachers: list[tuple[slice, Teacher]] = []
    for columns, files, make in (
        (slice(0, 7), (VICKSAM,), _vicksam),
        (slice(7, 21), (HSEMOTION, *HEADS), _hsemotion),
        (slice(21, WORD), (INTEL, INTEL.replace(".xml", ".bin")), _intel),
    ):
        missing = [name for name in files if not (folder / name).exists()]
        if missing:
            warn(f"{folder}: {' and '.join(missing)} missing: goes on without this teacher")
            continue
        try:
            teachers.append((columns, make(folder)))
        except (
            OSError,
            ValueError,
            RuntimeError,
            KeyError,
        ) as error:  # a broken file must not cost the word of the others
            warn(f"{folder / files[0]}: {error}: goes on without this teacher")
    if not teachers:
        raise MissingDataError(f"{folder} holds no usable teacher: {VICKSAM}, {HSEMOTION} or {INTEL} is needed")
    return teachers


def word(teachers: list[tuple[slice, Teacher]], picture: Tile) -> Row:
    """All columns for one gray picture."""
    row = np.zeros(WORD, np.float32)
    for columns, teacher in teachers:
        row[columns] = (teacher(picture) + teacher(np.ascontiguousarray(picture[:, ::-1]))) / 2
    return row


class _File:
    """A float .tflite that takes one picture."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._net = Interpreter(str(path), num_threads=1)
        self._net.allocate_tensors()
        self._source = self._net.get_input_details()[0]["index"]
        self._sinks = [detail["index"] for detail in self._net.get_output_details()]

    def __call__(self, picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        self._net.set_tensor(self._source, picture[None])
        self._net.invoke()
        return [self._net.get_tensor(index)[0] for index in self._sinks]


def _vicksam(folder: Path) -> Teacher:
    net = _File(folder / VICKSAM)

    def say(picture: Tile) -> Row:
        small = _resized(picture, SIDE)
        said = _softmax(net(np.asarray(small / 255, np.float32)[:, :, None])[0])[_VICKSAM_ORDER]
        return np.asarray(said / said.sum(), np.float32)

    return say


def _hsemotion(folder: Path) -> Teacher:
    net = _File(folder / HSEMOTION)
    heads = [dict(np.load(folder / name, allow_pickle=False)) for name in HEADS]

    def say(picture: Tile) -> Row:
        gray = _resized(picture, 224, cv2.INTER_CUBIC).astype(np.float32)
        outputs = net(np.repeat(gray[:, :, None], 3, axis=2) - _HSEMOTION_MEAN)
        features = next(values for values in outputs if values.size == FEATURES).ravel()
        said = [_softmax((features - head["mean"]) / head["scale"] @ head["W"].T + head["b"]) for head in heads]
        return np.asarray(list(itertools.chain(*said)), np.float32)

    return say


def _intel(folder: Path) -> Teacher:
    try:
        import openvino
    except ImportError:
        raise RuntimeError("needs openvino, which is not installed (pip install openvino)") from None
    net = openvino.Core().compile_model(str(folder / INTEL), "CPU")

    def say(picture: Tile) -> Row:
        gray = _resized(picture, 64, cv2.INTER_LINEAR).astype(np.float32)
        return np.asarray(next(iter(net(np.repeat(gray[None, None], 3, axis=1)).values())), np.float32).ravel()

    return say


def _resized(picture: Tile, side: int, method: int = cv2.INTER_AREA) -> Tile:
    if picture.shape == (side, side):
        return picture
    return np.asarray(cv2.resize(picture, (side, side), interpolation=method), np.uint8)


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())
