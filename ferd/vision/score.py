"""How good detectors and eye readers are: pure functions over what was said and what is true.

Faces match when they overlap by more than half (intersection over union), each true face at most one found one,
the best overlap first. All sizes are in pixels of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ferd.types import Box, Face, Landmarks

LEAST_SIDE = 40.0
"""Recall counts faces whose longer side has at least so many pixels."""
LEAST_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class FaceFigures:
    """`recall`: share of the true faces of at least LEAST_SIDE that were found. `point_error`: the mean distance of
    the found faces' five points from the true ones, as a share of the true box's width. `faces`: how many counted.
    """

    recall: float
    point_error: float
    faces: int


@dataclass(frozen=True, slots=True)
class EyeFigures:
    """Open or closed. `accuracy`: share of right answers among those given; `unsure`: share of pictures without an
    answer (no face found, or the reader not sure); `accuracy_forced`: over all pictures, where an unsure reader must
    choose and a face that was not found is wrong; `recall` by label, among answers given.
    """

    accuracy: float
    accuracy_forced: float
    recall: dict[str, float]
    unsure: float
    n: int


def pairs(found: Sequence[Face], true: Sequence[Face]) -> list[tuple[Face, Face]]:
    """(found, true) that overlap by more than LEAST_OVERLAP, each face in at most one pair."""
    overlaps = sorted(
        ((f.box.overlap(t.box), i, k) for i, f in enumerate(found) for k, t in enumerate(true)), reverse=True
    )
    taken: list[tuple[int, int]] = []
    for overlap, i, k in overlaps:
        if overlap > LEAST_OVERLAP and all(i != a and k != b for a, b in taken):
            taken.append((i, k))
    return [(found[i], true[k]) for i, k in taken]


def point_error(found: Landmarks, true: Landmarks, box: Box) -> float:
    """Mean distance of the five points as a share of the true box's width."""
    return sum(math.dist(f, t) for f, t in zip(found, true, strict=True)) / len(true) / box.w


def faces(pictures: Iterable[tuple[Sequence[Face], Sequence[Face]]], least_side: float = LEAST_SIDE) -> FaceFigures:
    """Figures over pictures, each as (found faces, true faces)."""
    wanted = hits = 0
    errors: list[float] = []
    for found, true in pictures:
        wanted += sum(_counts(t, least_side) for t in true)
        for mine, its in pairs(found, true):
            if _counts(its, least_side):
                hits += 1
                if mine.points and its.points:
                    errors.append(point_error(mine.points, its.points, its.box))
    return FaceFigures(_share(hits, wanted), _share(sum(errors), len(errors)), wanted)


def false_alarms_per_picture(found: Iterable[Sequence[Face]]) -> float:
    """Of pictures without a face: faces found in each, on average."""
    counts = [len(faces) for faces in found]
    return _share(sum(counts), len(counts))


def threshold_for(found: Iterable[Sequence[Face]], alarms_per_picture: float) -> float:
    """The least score at which pictures without a face give no more than so many alarms each.

    `found`: what was found in each picture at a very low threshold.
    """
    by_picture = list(found)
    scores = sorted((face.score for faces in by_picture for face in faces), reverse=True)
    allowed = math.floor(alarms_per_picture * len(by_picture) + 1e-9)
    return math.nextafter(scores[allowed], 1.0) if len(scores) > allowed else 0.0


def eyes(answers: Iterable[tuple[str, str | None, bool]]) -> EyeFigures:
    """Figures over (true label, told label or None when there was nothing to read, whether the reader was sure)."""
    rows = list(answers)
    given = [(true, said) for true, said, sure in rows if sure and said is not None]
    right = sum(true == said for true, said in given)
    labels = sorted({true for true, _, _ in rows})
    recall = {
        label: _share(sum(t == s == label for t, s in given), sum(t == label for t, _ in given)) for label in labels
    }
    forced = sum(true == said for true, said, _ in rows)
    return EyeFigures(_share(right, len(given)), _share(forced, len(rows)), recall, 1 - _share(len(given), len(rows)),
                      len(rows))  # fmt: skip


def true_faces(row: Mapping[str, object]) -> list[Face]:
    """The faces of one line of a file like faces.jsonl: `faces`, each with `box` and perhaps `points`.

    Raises KeyError, TypeError or ValueError when the line is not of that form.
    """
    listed = row["faces"]
    if not isinstance(listed, list) or not all(isinstance(entry, Mapping) for entry in listed):
        raise TypeError("faces must be a list of objects")
    return [true_face(entry) for entry in listed]


def true_face(entry: Mapping[str, object]) -> Face:
    """`box`: x, y, w, h. `points`: ten numbers, x and y of the five points in the order of ferd.types.Points."""
    box = _numbers(entry["box"], 4, "box")
    if min(box[2:]) <= 0:
        raise ValueError("a box must have a width and a height")
    points = entry.get("points")
    if not points:
        return Face(Box(*box), None)
    places = _numbers(points, 2 * len(Landmarks._fields), "points")
    return Face(Box(*box), Landmarks(*zip(places[::2], places[1::2], strict=True)))


def _numbers(values: object, count: int, name: str) -> list[float]:
    if not isinstance(values, list) or len(values) != count:
        raise TypeError(f"{name} must be a list of {count} numbers")
    if not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        raise TypeError(f"{name} must be a list of {count} numbers")
    return [float(v) for v in values]


def _counts(face: Face, least_side: float) -> bool:
    return max(face.box.w, face.box.h) >= least_side


def _share(part: float, whole: float) -> float:
    """nan where there is nothing to take a share of."""
    return part / whole if whole else math.nan
