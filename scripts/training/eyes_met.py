"""Eyes of people as the daemon meets them: faces found by its detector, cut at its landmarks, labelled by two models.

Nobody labelled these eyes. The landmarks model measures how far the lids are apart, the shipped eyes model, which saw
none of these faces, gives its word; where the two agree an eye is open or closed. Where the lids seem to be apart and
the word is a certain "closed", the eye is hidden, most often by sunglasses. All others are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ferd.models.bundle import read_bundle
from ferd.types import Face, Frame
from ferd.vision.detectors.ferd import FerdDetector
from ferd.vision.detectors.landmarked import with_landmarks
from ferd.vision.eyes import EyeMouthReading, EyeReader, Square, crop_regions
from ferd.vision.landmarks import PRESENT, LandmarkModel
from training.face_data import person
from training.sources import REPO

CLOSED, OPEN, HIDDEN = 0, 1, 4  # indices into ferd.vision.eyes.LABELS
LEAST_FACE = 32  # pixels
LEAST_APART = 14  # pixels between the eyes
TURNED = 40  # degrees of yaw from which on the further eye is not labelled
SMALL = 200  # pixels: pictures below are cut tightly and get a margin
APART, TOGETHER = 0.08, 0.025  # lids' aperture in eye distances; medians of these sets are 0.09 to 0.13
SURELY_APART = 0.11
Gray = NDArray[np.uint8]


class Eye(NamedTuple):
    """One eye of a face in a gray picture. `label`: index into LABELS. `who`: what is held back together."""

    gray: Gray
    square: Square
    label: int
    who: str


class Picture(NamedTuple):
    file: Path
    who: str


class Meeting:
    """The chain of the daemon with the models in models/."""

    def __init__(self, models: Path = REPO / "models") -> None:
        self.detect = with_landmarks(FerdDetector(read_bundle(models / "face.tflite"), LEAST_FACE))
        self.landmarks = LandmarkModel(read_bundle(models / "landmarks.tflite"))
        self.reader = EyeReader(read_bundle(models / "eyes.tflite"))

    def faces(self, image: NDArray[np.uint8]) -> tuple[Gray, list[Face]]:
        """The picture in gray, with a margin where it is small, and its faces."""
        if max(image.shape[:2]) < SMALL:
            edge = max(image.shape) // 3
            image = np.asarray(cv2.copyMakeBorder(image, edge, edge, edge, edge, cv2.BORDER_REPLICATE), np.uint8)
        faces = [face for face in self.detect(Frame(0.0, image)) if face.points is not None]
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8), faces

    def eyes(self, picture: Picture) -> Iterator[Eye]:
        """The eyes of a picture that can be labelled."""
        image = cv2.imread(str(picture.file))
        if image is None:
            return
        gray, faces = self.faces(np.asarray(image, np.uint8))
        for face in faces:
            seen = self.landmarks.read(gray, face.box)
            if face.points is None or seen is None or seen.presence < PRESENT or abs(seen.yaw) >= TURNED:
                continue
            word, where = self.reader(gray, face.points), crop_regions(face.points)
            both = (where.right_eye, seen.right_aperture, word.right_eye), (where.left_eye, seen.left_aperture,
                                                                            word.left_eye)  # fmt: skip
            for square, aperture, said in both:
                label = label_of(aperture, said)
                if label is not None and square[2] >= LEAST_APART * 0.65:
                    yield Eye(gray, square, label, picture.who)


def label_of(aperture: float, said: EyeMouthReading) -> int | None:
    """The label that two models agree on; None where they do not."""
    if said.share < 0.5:
        return OPEN if aperture >= APART and said.sure >= 0.3 else None
    if said.share > 0.9 and said.sure > 0.8 and aperture < TOGETHER:
        return CLOSED
    return HIDDEN if said.sure > 0.6 and aperture >= SURELY_APART else None


def pictures(folder: Path) -> Iterator[Picture]:
    """All pictures of faces without a word about their eyes: TV frames, portraits, near infrared, posed, press."""
    lines = (folder / "faces.jsonl").read_text(encoding="utf-8").splitlines()
    for file in dict.fromkeys(str(json.loads(line)["file"]) for line in lines):
        yield Picture(folder / file, person(file))
    if (folder / "nir.jsonl").exists():
        for line in (folder / "nir.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield Picture(folder / row["file"], f"nir {row['person']}")
    for file in sorted((folder / "kdef").glob("*/*.jpg")):
        yield Picture(file, f"kdef {file.name[1:4]}")
    for file in sorted((folder / "photos").glob("*/*.jpg")):
        yield Picture(file, re.sub(r"[_\d]+$", "", file.stem))


def met(folder: Path) -> list[Eye]:
    """All eyes that can be labelled."""
    meeting = Meeting()
    every = list(pictures(folder))
    return [eye for picture in tqdm(every, "eyes as the daemon meets them", mininterval=5) for eye in
            meeting.eyes(picture)]  # fmt: skip
