"""Evaluate a face detector on images with known faces, or on images without any."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ferd.errors import FerdError
from ferd.evaluation import metrics
from ferd.evaluation.data import image_of, read_lines, why_unread
from ferd.evaluation.metrics import Verdict
from ferd.fs import exists, is_dir, is_file
from ferd.types import Face, Frame
from ferd.vision.detectors.base import Detector
from ferd.vision.images import IMAGE_SUFFIXES, read_image

Seen = Callable[[Iterable[Any], int], Iterable[Any]]
"""Wraps an iterable of known length, for a progress bar."""


@dataclass(slots=True)
class Evaluation:
    """Result of an evaluation.

    Attributes:
        figures: the keys of `ferd model eval --json`, None where there was nothing to count.
        problems: what was skipped, and why.
        verdict: data of the plots, for a model with labels.
    """

    figures: dict[str, Any]
    problems: list[str] = field(default_factory=list)
    verdict: Verdict | None = None


def evaluate_detector(detector: Detector, data: Path, seen: Seen) -> Evaluation:
    """Evaluate a detector.

    Args:
        data: a file like faces.jsonl (per line an image: file, faces with box and points), its images beside it; or a
            folder of images without faces.

    Raises:
        FerdError: no image could be judged; with the remedy.
    """
    if is_dir(data):
        return _on_empty_images(detector, data, seen)
    if data.suffix == ".jsonl" and is_file(data):
        return _on_known_faces(detector, data, seen)
    what = "is neither a folder nor a .jsonl file" if exists(data) else "is not there"
    raise FerdError(
        f"{data}: {what}. A detector is evaluated on a file with one image per line "
        '({"file": …, "faces": [{"box": [x, y, w, h], "points": […]}]}) or on a folder of images without faces'
    )


def _on_known_faces(detector: Detector, data: Path, seen: Seen) -> Evaluation:
    problems: list[str] = []
    known = _known(data, problems)
    contradicted = _contradicted(known)
    if contradicted:
        problems.append(
            f"{data}: images that it lists more than once, with different faces: {len(contradicted)}, the first "
            f"{next(iter(contradicted))}. At least one of the lines belongs to another image, so they are skipped"
        )
    rest = [(file, true) for file, true in known if file not in contradicted]
    pairs: list[tuple[list[Face], list[Face]]] = []
    for file, true in seen(rest, len(rest)):
        image = read_image(file)
        if image is None:
            problems.append(why_unread(file))
            continue
        pairs.append((detector(Frame(0.0, image)), true))
    if not pairs:
        raise FerdError("\n  ".join([f"{data}: no image could be judged", *problems[:10]]))
    figures = metrics.faces(pairs)
    alarms = sum(max(0, len(found) - len(metrics.pairs(found, true))) for found, true in pairs)
    return Evaluation(
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
    """Read the lines of the file: image and true faces. What cannot be read is added to the problems."""
    lines = read_lines(data, problems, lambda row: (image_of(data, row), metrics.true_faces(row)))
    return [known for _, known in lines]


def _contradicted(known: list[tuple[Path, list[Face]]]) -> dict[Path, None]:
    """Return images with several lines that differ, in the order of the file.

    This happens where images of one name were collected from several places and the last one was kept.
    """
    first: dict[Path, list[Face]] = {}
    contradicted: dict[Path, None] = {}
    for file, true in known:
        if first.setdefault(file, true) != true:
            contradicted[file] = None
    return contradicted


def _on_empty_images(detector: Detector, data: Path, seen: Seen) -> Evaluation:
    problems: list[str] = []
    files = sorted(file for file in data.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise FerdError(f"{data}: no images in it. A folder for a detector holds images without faces, and no folders")
    found: list[list[Face]] = []
    for file in seen(files, len(files)):
        image = read_image(file)
        if image is None:
            problems.append(why_unread(file))
        else:
            found.append(detector(Frame(0.0, image)))
    if not found:
        raise FerdError("\n  ".join([f"{data}: no image could be judged", *problems[:10]]))
    alarms = metrics.false_alarms_per_image(found)
    return Evaluation({"n": len(found), "false_alarms_per_picture": round(alarms, 4)}, problems)
