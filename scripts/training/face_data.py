"""Pictures with faces and without, in memory, and which of them are held back.

594 pictures of faces.jsonl stand in two lines each, whose boxes tell of two different pictures: one had been written
over the other of the same name. There only what the teacher sees now holds.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ferd.types import Face
from training.face_teacher import Labelled, Teacher, by_file, labelled, read

HELD_PARTS = 6  # one group in so many is kept for validation
HELD_EMPTY = 3  # one picture without a face in so many
HELD_EYE_STATE = 3  # as training.eyes_data holds back
SAME_CAR = 20.0  # mean difference of two drivers' thumbnails, of 255 steps, below which they show the same person


@dataclass(frozen=True)
class HeldFace:
    """`again`: the faces as the teacher sees them now; `told`: as the file tells them, None where it tells two."""

    file: Path
    again: list[Face]
    told: list[Face] | None


@dataclass(frozen=True)
class Data:
    faces: list[Labelled]
    empty: list[Labelled]
    held_faces: list[HeldFace]
    held_drivers: list[HeldFace]
    held_empty: list[Path]


def load(folder: Path) -> Data:
    teacher = Teacher(folder)
    faces, held = _pictures(folder, teacher)
    drivers, held_drivers = _drivers(folder, teacher)
    everything = [*faces, *drivers, *_photos(folder, teacher), *_eye_state(folder, teacher)]
    empty = sorted((folder / "no_faces").glob("*.jpg"))
    return Data(
        [picture for picture in everything if len(picture.boxes)],
        [labelled(file.name, read(file), []) for file in empty if not _aside(file.name, HELD_EMPTY)],
        held,
        held_drivers,
        [file for file in empty if _aside(file.name, HELD_EMPTY)],
    )


def person(file: str) -> str:
    """The group of a picture: one name where many pictures show the same person, else its own."""
    stem = Path(file).stem
    if stem.startswith(("p1_keypoints", "p2_keypoints", "p3_keypoints")):
        return re.sub(r"^p\d_keypoints_|_\d+$", "", stem)
    if match := re.match(r"nomask_chandrika_\d+_\d+_(\w+)_\d+$", stem):
        return match.group(1)
    return stem


def _pictures(folder: Path, teacher: Teacher) -> tuple[list[Labelled], list[HeldFace]]:
    faces, held = [], []
    told_by_file = by_file((folder / "faces.jsonl").read_text(encoding="utf-8").splitlines())
    for file, told in tqdm(told_by_file.items(), "teacher", mininterval=5):
        picture = read(folder / file)
        seen = teacher.faces(picture, told or [])
        if _aside(person(file), HELD_PARTS):
            held.append(HeldFace(folder / file, [face for face, doubted in seen if not doubted], told))
        else:
            faces.append(labelled(file, picture, seen))
    return faces, held


def _drivers(folder: Path, teacher: Teacher) -> tuple[list[Labelled], list[HeldFace]]:
    """Drivers who yawn or not, some of them held back with all their pictures."""
    faces, held = [], []
    files = sorted((folder / "drivers").glob("*/*.jpg"))
    for group in _same(files):
        aside = _aside(f"{group[0].parent.name} {group[0].name}", HELD_PARTS)
        for file in group:
            picture = read(file)
            seen = teacher.close(picture)
            if aside:
                held.append(HeldFace(file, [face for face, doubted in seen if not doubted], None))
            else:
                faces.append(labelled(str(file), picture, seen))
    return faces, held


def _same(files: list[Path]) -> Iterator[list[Path]]:
    """Files in groups: linked by nearly equal thumbnails, since a driver keeps the seat and the shirt."""
    small = [cv2.resize(read(file), (20, 15), interpolation=cv2.INTER_AREA).astype(np.float32) for file in files]
    left = list(range(len(files)))
    while left:
        group = [left.pop(0)]
        for member in group:  # grows while it is walked through
            near = [other for other in left if np.abs(small[member] - small[other]).mean() < SAME_CAR]
            left = [other for other in left if other not in near]
            group += near
        yield [files[member] for member in group]


def _photos(folder: Path, teacher: Teacher) -> Iterator[Labelled]:
    """Press photos of one face each, those of some people left to others who validate on them."""
    for file in tqdm(sorted((folder / "photos").glob("*/*.jpg")), "photos", mininterval=5):
        if not _aside(re.sub(r"[_\d]+$", "", file.stem), 8):
            picture = read(file)
            yield labelled(str(file), picture, teacher.close(picture), weight=0.35)


def _eye_state(folder: Path, teacher: Teacher) -> Iterator[Labelled]:
    """Whole faces, of which one in five lies on its side or stands on its head."""
    for file in tqdm(sorted((folder / "faces_eye_state").glob("*.jpg")), "faces_eye_state", mininterval=5):
        if not _aside(f"faces faces_eye_state/{file.name}", HELD_EYE_STATE):
            yield labelled(str(file), *teacher.turned(read(file)), weight=1.5)


def _aside(name: str, parts: int) -> bool:
    return zlib.crc32(name.encode()) % parts == 0
