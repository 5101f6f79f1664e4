"""Portraits of people who posed several expressions, with their landmarks, for scenes whose truth is known."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ferd.config import DetectorConfig
from ferd.models.registry import find_bundle
from ferd.types import Frame
from ferd.vision.detectors.factory import make_detector
from ferd.vision.landmarks import PRESENT, LandmarkModel, eye_distance

EYE_DISTANCE = 40.0
"""Pixels between the eyes of a scene: a face of about 100 pixels, as in front of a webcam at two metres."""
SIZE = (160, 176)
"""Width and height of a scene's pictures."""
EYES_AT = (80.0, 72.0)


@dataclass(frozen=True)
class Portrait:
    """One expression of a person. ``image``: (176, 160) gray uint8. ``points``: (40, 2) landmarks in its pixels."""

    label: str
    image: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class Person:
    name: str
    portraits: tuple[Portrait, ...]


def read_people(data: Path, half: str) -> list[Person]:
    """Read the people of one half, "tune" or "held-out": a person is wholly in one of them. Sorted by name.

    `data` contains kdef/LABEL/ and jaffe/LABEL/ (either may be missing); a portrait in which no face is found is
    left out, and so is a person with fewer than two labels.
    """
    if half not in {"tune", "held-out"}:
        raise ValueError(f"{half}: expected tune or held-out")
    files: dict[str, list[tuple[str, Path]]] = {}
    for folder, name_of in (("kdef", lambda stem: stem[1:4]), ("jaffe", lambda stem: stem.split(".")[0])):
        for path in sorted((data / folder).glob("*/*.jpg")):
            files.setdefault(f"{folder} {name_of(path.stem)}", []).append((path.parent.name, path))
    read = PortraitReader()
    people = []
    for name, pictures in sorted(files.items()):
        if (zlib.crc32(name.encode()) % 2 == 0) != (half == "tune"):
            continue
        first = dict(reversed(pictures))
        portraits = tuple(p for label, path in sorted(first.items()) if (p := read(label, path)) is not None)
        if len(portraits) > 1:
            people.append(Person(name, portraits))
    return people


class PortraitReader:
    """Find the face of a portrait and bring it to the size of a scene."""

    def __init__(self) -> None:
        self._detect = make_detector(DetectorConfig())
        self._landmarks = LandmarkModel(find_bundle("landmarks"))

    def __call__(self, label: str, path: Path) -> Portrait | None:
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if image is None:
            return None
        rim = image.shape[0] // 2
        image = cv2.copyMakeBorder(image, rim, rim, rim, rim, cv2.BORDER_REPLICATE)
        faces = self._detect(Frame(0.0, np.asarray(image, np.uint8)))
        if not faces:
            return None
        reading = self._landmarks.read(np.asarray(image, np.uint8), max(faces, key=lambda face: face.score).box)
        if reading is None or reading.presence < PRESENT:
            return None
        points = reading.points
        right, left = points[0:8].mean(axis=0), points[8:16].mean(axis=0)
        scale = EYE_DISTANCE / eye_distance(points)
        angle = float(np.degrees(np.arctan2(*(left - right)[::-1])))
        middle = (right + left) / 2
        matrix = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), angle, scale)
        matrix[:, 2] += np.array(EYES_AT) - middle
        small = cv2.warpAffine(image, matrix, SIZE, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        return Portrait(label, np.asarray(small, np.uint8), points @ matrix[:, :2].T + matrix[:, 2])
