"""Read the landmarks of each face that a detector finds."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ferd.models.registry import find_installed
from ferd.types import Face, Frame, Image, LandmarkReading
from ferd.vision.detectors.base import Detector
from ferd.vision.detectors.ferd import FerdDetector
from ferd.vision.detectors.near import near_faces
from ferd.vision.geometry import head_roll
from ferd.vision.landmarks import NAME, PRESENT, LandmarkModel, crop_of_box, five

CERTAIN = 0.99
"""A doubtful face is one when all looks at it have at least this presence."""


class LandmarkedDetector:
    """A detector whose faces carry the reading of the landmarks model and its five points.

    By these points the eyes model of that time read 95 % of 266 upright faces right, by the detector's own and a former
    five-point model's 90 %. That eyes model had been trained on the eyes of two thirds of these faces.
    """

    def __init__(self, detector: Detector, landmarks: LandmarkModel, *, near: bool = True) -> None:
        """`near`: whether a call searches for faces that are too near to be whole where it finds none."""
        self.name, self.gray = detector.name, detector.gray
        self.detector, self.landmarks = detector, landmarks
        self._near = near

    def __call__(self, frame: Frame) -> list[Face]:
        found = self.detector(frame)
        if self._near and not found:
            found = near_faces(self.detector, self.shows_face, frame)
        return [self.read(frame.image, face) for face in found]

    def prepare(self, frame: Frame) -> Image:
        return self.detector.prepare(frame)

    def search(self, image: Image) -> Any:
        return self.detector.search(image)

    def is_face(self, image: Image, face: Face) -> bool:
        """Whether all looks at a doubtful face are certain that it is one."""
        return self._presence(image, face) >= CERTAIN

    def shows_face(self, image: Image, face: Face) -> bool:
        """Whether each look at a found face shows one, so that it has landmarks."""
        return self._presence(image, face) >= PRESENT

    def read(self, image: Image, face: Face) -> Face:
        """Return a found face with its landmarks; as it is where they cannot be read or a look shows no face."""
        reading = self._look(image, face)
        return face if reading is None or reading.presence < PRESENT else with_reading(face, reading)

    def _presence(self, image: Image, face: Face) -> float:
        reading = self._look(image, face)
        return 0.0 if reading is None else reading.presence

    def _look(self, image: Image, face: Face) -> LandmarkReading | None:
        roll = math.degrees(head_roll(face.points)) if face.points else 0.0
        return self.landmarks.read_new(image, crop_of_box(face.box, roll))

    def __repr__(self) -> str:
        return f"<LandmarkedDetector {self.detector!r} {self.landmarks!r}>"


def with_reading(face: Face, reading: LandmarkReading) -> Face:
    """Return the face with a reading and the five points that follow from it."""
    return replace(face, points=five(reading.points), landmarks=reading)


def with_landmarks(detector: Detector, *, near: bool = True) -> Detector:
    """Add the installed landmarks model to a detector; return the detector as it is without one.

    `near`: see LandmarkedDetector.

    The landmarks model also decides on faces that ferd's own detector doubts. Of 432 faces held back with drawn lenses
    87 % are found then instead of 82 (dark), 94 instead of 87 (gray), 85 instead of 77 (mirroring the sky) and 83
    instead of 68 (glare of 70 %); in 290 images without a face, held back from both models, it found none more.
    """
    bundle = find_installed(NAME)
    if bundle is None:
        return detector
    landmarked = LandmarkedDetector(detector, LandmarkModel(bundle), near=near)
    if isinstance(detector, FerdDetector):
        detector.is_face = landmarked.is_face
    return landmarked
