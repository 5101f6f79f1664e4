"""How good the eyes model is: on crops of eyes (or mouths), or on whole pictures through the whole chain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ferd.errors import ConfigError, FerdError
from ferd.evaluation.faces import FaceVerdict, Seen
from ferd.evaluation.judge import verdict
from ferd.evaluation.lines import picture_of, read_lines, why_unread
from ferd.evaluation.photograph import surest
from ferd.evaluation.samples import PICTURES, read_arrays, read_picture
from ferd.fs import exists, is_dir, is_file
from ferd.types import Face, Frame, Image
from ferd.vision import score
from ferd.vision.detectors.base import Detector
from ferd.vision.eyes import EyeOrMouth, EyeReader

What = Literal["eye", "mouth"]
Answer = tuple[str, str | None, bool]
"""True label, told label (None: nothing to read), whether the reader was sure."""


@dataclass(slots=True)
class _Cases:
    """(name, picture, label) one by one; in `whole` pictures the face has to be found first."""

    items: Iterator[tuple[str, Image, str]]
    total: int
    whole: bool
    problems: list[str] = field(default_factory=list)


def evaluate_eyes(
    reader: EyeReader, detector: Detector, thorough: Detector, data: Path, *, what: What, seen: Seen
) -> FaceVerdict:
    """`data`: an .npz with `images` (N, H, W) and `open` (N), a folder with open/ and closed/ (crops), or a file like
    faces_eye_state.jsonl (one picture a line: file, eyes "open" or "closed"), whose faces must be found first.

    `accuracy` is over all cases: an unsure reader must choose, and a face that is not found is wrong. Whole pictures
    are photographs that show a face: `thorough`, a detector that tells also what it is little sure of, looks at them
    as in ferd.evaluation.photograph. `first_sight`: the same by one look of `detector`, as the daemon takes it.
    """
    cases = _cases(data, what)
    answers: list[Answer] = []
    at_sight: list[Answer] = []
    chances: list[tuple[float, float]] = []
    for _, picture, label in seen(cases.items, cases.total):
        if cases.whole:
            part = surest(thorough, picture, lambda look, face: _part(reader, look, face, what))
            face = _largest(detector, picture)
            at_once = None if face is None else _part(reader, picture, face, what)
            at_sight.append(_answer(reader, label, at_once, what))
        else:
            part = reader.read(picture, what)
        answers.append(_answer(reader, label, part, what))
        chances.append(_chances(part, what))
    if not answers:
        raise FerdError("\n  ".join([f"{data}: nothing was left to judge", *cases.problems[:10]]))
    figures = score.eyes(answers)
    by_label = {label: [told == true for true, told, _ in answers if true == label] for label in ("closed", "open")}
    return FaceVerdict(
        {
            "n": figures.n,
            "accuracy": round(figures.accuracy_forced, 4),
            "recall": {label: round(float(np.mean(right)), 4) for label, right in by_label.items() if right},
            "unsure": round(figures.unsure, 4),
            "accuracy_when_sure": round(figures.accuracy, 4),
        }
        | ({"first_sight": _in_short(at_sight)} if at_sight else {}),
        cases.problems,
        verdict(("closed", "open"), [label for label, _, _ in answers], np.array(chances)),
    )


def _in_short(answers: list[Answer]) -> dict[str, float]:
    figures = score.eyes(answers)
    return {
        "accuracy": round(figures.accuracy_forced, 4),
        "unsure": round(figures.unsure, 4),
        "accuracy_when_sure": round(figures.accuracy, 4),
    }


def _chances(part: EyeOrMouth | None, what: What) -> tuple[float, float]:
    """Of closed and of open; both 0 where there was nothing to read."""
    if part is None:
        return 0.0, 0.0
    closed = part.share if what == "eye" else 1 - part.share
    return closed, 1 - closed


def _answer(reader: EyeReader, label: str, part: EyeOrMouth | None, what: What) -> Answer:
    return label, None if part is None else _told(part, what), part is not None and reader.sure(part)


def _largest(detector: Detector, picture: Image) -> Face | None:
    faces = [face for face in detector(Frame(0.0, picture)) if face.points]
    return max(faces, key=lambda face: face.box.area, default=None)


def _told(part: EyeOrMouth, what: What) -> str:
    """An eye's share counts how closed it is, a mouth's how open."""
    return "closed" if (part.share > 0.5) == (what == "eye") else "open"


def _part(reader: EyeReader, picture: Image, face: Face, what: What) -> EyeOrMouth:
    assert face.points is not None
    said = reader(picture, face.points)
    return said.eyes if what == "eye" else said.mouth


def _cases(data: Path, what: What) -> _Cases:
    if data.suffix == ".npz" and is_file(data):
        return _from_npz(data)
    if is_dir(data):
        return _from_folders(data)
    if data.suffix == ".jsonl" and is_file(data):
        return _from_lines(data, what)
    problem = "is nothing that eyes can be judged by" if exists(data) else "is not there"
    raise FerdError(f"{data}: {problem}. An .npz with images and open, a folder with open/ and closed/, or a .jsonl")


def _from_npz(data: Path) -> _Cases:
    images, opened = (np.asarray(array) for array in read_arrays(data, ("images", "open")))
    sizes = images.ndim in (3, 4) and min(images.shape[1:]) > 0 and (images.ndim == 3 or images.shape[3] in (1, 3))
    if images.dtype != np.uint8 or not sizes:
        raise FerdError(
            f"{data}: images must be (N, height, width) gray or (N, height, width, 3) BGR, uint8; "
            f"they are {images.shape} {images.dtype}"
        )
    if opened.shape != images.shape[:1] or not np.isin(opened, (0, 1)).all():
        raise FerdError(
            f"{data}: open must say 0 or 1 for each of the {len(images)} images; it is {opened.shape} {opened.dtype}"
        )
    label = ("closed", "open")
    pictures = images[..., 0] if images.shape[3:] == (1,) else images
    items = ((f"{data.name}:{i}", np.asarray(pictures[i]), label[int(opened[i])]) for i in range(len(images)))
    return _Cases(items, len(images), whole=False)


def _from_folders(data: Path) -> _Cases:
    files = [
        (file, label)
        for label in ("closed", "open")
        if is_dir(data / label)
        for file in sorted((data / label).iterdir())
        if file.suffix.lower() in PICTURES
    ]
    if not files:
        raise FerdError(f"{data}: no pictures in {data}/open and {data}/closed")
    there = {label for _, label in files}
    missing = [f"{data / label}: no pictures in it" for label in ("closed", "open") if label not in there]
    others = sorted(path for path in data.iterdir() if is_dir(path) and path.name not in ("closed", "open"))
    unknown = [f"{path}: is neither open/ nor closed/" for path in others]
    cases = _Cases(iter(()), len(files), whole=False, problems=missing + unknown)

    def items() -> Iterator[tuple[str, Image, str]]:
        for file, label in files:
            picture = read_picture(file)
            if picture is None:
                cases.problems.append(why_unread(file))
            else:
                yield str(file), picture, label

    cases.items = items()
    return cases


def _from_lines(data: Path, what: What) -> _Cases:
    cases = _Cases(iter(()), 0, whole=True)
    key = "eyes" if what == "eye" else "mouth"

    def take(row: dict[str, Any]) -> tuple[Path, str]:
        file, label = picture_of(data, row), row[key]
        if label not in ("open", "closed"):
            raise ValueError(f"{key} must be open or closed, not {label!r}")
        return file, label

    lines = list(read_lines(data, cases.problems, take))

    def items() -> Iterator[tuple[str, Image, str]]:
        for number, (file, label) in lines:
            picture = read_picture(file)
            if picture is None:
                cases.problems.append(f"{data}:{number}: {why_unread(file)}")
            else:
                yield str(file), picture, label

    cases.items, cases.total = items(), len(lines)
    return cases


def needs_points(detector: Detector) -> None:
    """Raises ConfigError when the detector cannot say where the eyes are."""
    if detector.name == "haar":
        raise ConfigError(
            "eyes are cut at a face's points, and the haar detector has none: "
            'set detector.kind = "face", or bring YuNet (detector.yunet)'
        )
