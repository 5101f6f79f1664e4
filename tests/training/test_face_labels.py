"""Which labels the face model learns from: what the file tells, and what the teacher sees now."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from ferd.types import Box, Face, Landmarks

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPO / "scripts"))
    return importlib.import_module("training.face_teacher")


def face(x: float, score: float = 0.9) -> Face:
    points = Landmarks(*((x + px, 10.0 + py) for px, py in ((10, 12), (30, 12), (20, 22), (12, 32), (28, 32))))
    return Face(Box(x, 10.0, 40.0, 50.0), points, score)


def line(file: str, x: float) -> str:
    return json.dumps({"file": file, "faces": [{"box": [x, 10, 40, 50]}]})


def test_a_picture_of_two_lines_tells_nothing(teacher: Any) -> None:
    told = teacher.by_file([line("a.jpg", 0), line("b.jpg", 5), line("a.jpg", 60)])
    assert told["a.jpg"] is None
    assert [f.box.x for f in told["b.jpg"]] == [5]


def test_what_both_see_alike_holds_as_told(teacher: Any) -> None:
    told = face(100)
    assert teacher.looked_at_again([told], [face(101)]) == [(told, False)]


def test_where_they_lie_apart_the_teacher_holds(teacher: Any) -> None:
    seen = face(115)
    assert teacher.looked_at_again([face(100)], [seen]) == [(seen, False)]


@pytest.mark.parametrize(("score", "doubted"), [(0.6, True), (0.9, False)])
def test_a_new_face_is_believed_if_the_teacher_is_sure(teacher: Any, score: float, doubted: bool) -> None:
    assert teacher.looked_at_again([], [face(100, score)]) == [(face(100, score), doubted)]


def test_a_face_that_only_the_file_knows_is_doubted(teacher: Any) -> None:
    assert teacher.looked_at_again([face(100)], []) == [(face(100), True)]
