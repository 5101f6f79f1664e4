"""How good a face detector is: on pictures with known faces, or on pictures without any."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ferd.errors import FerdError
from ferd.evaluation.judge import Verdict
from ferd.evaluation.lines import picture_of, read_lines, why_unread
from ferd.evaluation.samples import PICTURES, read_picture
from ferd.fs import exists, is_dir, is_file
from ferd.types import Face, Frame
from ferd.vision import score
from ferd.vision.detectors.base import Detector

Seen = Callable[[Iterable[Any], int], Iterable[Any]]
"""Wraps what is read one by one, of which there are so many: a progress bar."""


@dataclass(slots=True)
class FaceVerdict:
    """`figures`: the keys of `ferd model eval --json`, None where there was nothing to count. `problems`: what was
    passed over, and why. `verdict`: what can be drawn, where the model tells labels.
    """

    figures: dict[str, Any]
    problems: list[str] = field(default_factory=list)
    verdict: Verdict | None = None


def evaluate_detector(detector: Detector, data: Path, seen: Seen) -> FaceVerdict:
    """`data`: a file like faces.jsonl (one picture a line: file, faces with box and points), its pictures beside it,
    or a folder of pictures without faces. Raises FerdError with the remedy when nothing was left.
    """
    if is_dir(data):
        return _on_empty_pictures(detector, data, seen)
    if data.suffix == ".jsonl" and is_file(data):
        return _on_known_faces(detector, data, seen)
    what = "is neither a folder nor a .jsonl file" if exists(data) else "is not there"
    raise FerdError(
        f"{data}: {what}. A detector is judged by a file with one picture a line "
        '({"file": …, "faces": [{"box": [x, y, w, h], "points": […]}]}) or by a folder of pictures without faces'
    )


def _on_known_faces(detector: Detector, data: Path, seen: Seen) -> FaceVerdict:
    problems: list[str] = []
    known = _known(data, problems)
    contradicted = _contradicted(known)
    if contradicted:
        problems.append(
            f"{data}: pictures that it names more than once, with different faces: {len(contradicted)}, the first "
            f"{next(iter(contradicted))}. At least one of the lines tells of another picture, so they are passed over"
        )
    rest = [(file, true) for file, true in known if file not in contradicted]
    pairs: list[tuple[list[Face], list[Face]]] = []
    for file, true in seen(rest, len(rest)):
        picture = read_picture(file)
        if picture is None:
            problems.append(why_unread(file))
            continue
        pairs.append((detector(Frame(0.0, picture)), true))
    if not pairs:
        raise FerdError("\n  ".join([f"{data}: nothing was left to judge", *problems[:10]]))
    figures = score.faces(pairs)
    alarms = sum(max(0, len(found) - len(score.pairs(found, true))) for found, true in pairs)
    return FaceVerdict(
        {
            "n": len(pairs),
            "faces": figures.faces,
            "recall": round(figures.recall, 4),
            "point_error": round(figures.point_error, 4),
            "unmatched_per_picture": round(alarms / len(pairs), 4),
            "contradicted": len(contradicted),
        },
        problems,
    )


def _known(data: Path, problems: list[str]) -> list[tuple[Path, list[Face]]]:
    """The lines of the file: picture and true faces. What cannot be read is added to the problems."""
    lines = read_lines(data, problems, lambda row: (picture_of(data, row), score.true_faces(row)))
    return [known for _, known in lines]


def _contradicted(known: list[tuple[Path, list[Face]]]) -> dict[Path, None]:
    """Pictures with several lines that do not agree, in the order of the file.

    It happens where pictures of one name were collected from several places and the last one was kept.
    """
    first: dict[Path, list[Face]] = {}
    contradicted: dict[Path, None] = {}
    for file, true in known:
        if first.setdefault(file, true) != true:
            contradicted[file] = None
    return contradicted


def _on_empty_pictures(detector: Detector, data: Path, seen: Seen) -> FaceVerdict:
    problems: list[str] = []
    files = sorted(file for file in data.iterdir() if file.suffix.lower() in PICTURES)
    if not files:
        raise FerdError(
            f"{data}: no pictures in it. A folder for a detector holds pictures without faces, and no folders"
        )
    found: list[list[Face]] = []
    for file in seen(files, len(files)):
        picture = read_picture(file)
        if picture is None:
            problems.append(why_unread(file))
        else:
            found.append(detector(Frame(0.0, picture)))
    if not found:
        raise FerdError("\n  ".join([f"{data}: nothing was left to judge", *problems[:10]]))
    alarms = score.false_alarms_per_picture(found)
    return FaceVerdict({"n": len(found), "false_alarms_per_picture": round(alarms, 4)}, problems)
