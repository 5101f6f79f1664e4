"""Drawn glasses by which the eyes model is judged, and the labels of eyes that nobody labelled."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferd.types import Landmarks
from ferd.vision.eyes import EyeMouthReading

REPO = Path(__file__).resolve().parents[2]
RIGHT, LEFT = complex(80, 90), complex(140, 100)
EYES = tuple((int(eye.imag), int(eye.real)) for eye in (RIGHT, LEFT))


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("tqdm")
    monkeypatch.syspath_prepend(str(REPO / "scripts"))
    return importlib.import_module


@pytest.fixture
def worn(training: Any) -> Any:
    return training("training.eyes_worn")


@pytest.fixture
def face() -> np.ndarray:
    return np.random.default_rng(1).integers(90, 160, (200, 220)).astype(np.uint8)


def drawn(worn: Any, face: np.ndarray, kind: str, seed: int = 3) -> np.ndarray:
    return np.asarray(worn.draw(face, RIGHT, LEFT, kind, np.random.default_rng(seed)))


def around(image: np.ndarray, eye: tuple[int, int]) -> np.ndarray:
    y, x = eye
    return image[y - 4 : y + 5, x - 6 : x + 7].astype(float)


@pytest.mark.parametrize("seed", range(6))
def test_clear_glasses_leave_the_eye_to_be_seen(worn: Any, face: np.ndarray, seed: int) -> None:
    seen = drawn(worn, face, worn.CLEAR, seed)
    for eye in EYES:
        kept = np.corrcoef(around(seen, eye).ravel(), around(face, eye).ravel())[0, 1]
        assert kept > 0.9
    assert (seen != face).sum() > 200  # rims were drawn


@pytest.mark.parametrize("seed", range(4))
def test_the_other_lenses_hide_it(worn: Any, face: np.ndarray, seed: int) -> None:
    for kind in worn.HIDING:
        seen = drawn(worn, face, kind, seed)
        for eye in EYES:
            # What is left of the skin's grain: the lens lets through less than an eighth of it.
            left = around(seen, eye) - around(drawn(worn, np.full_like(face, 125), kind, seed), eye)
            assert left.std() < 0.2 * around(face, eye).std(), kind


def test_the_rest_of_the_picture_stays(worn: Any, face: np.ndarray) -> None:
    for kind in (worn.CLEAR, *worn.HIDING):
        seen = drawn(worn, face, kind)
        assert (seen[:50] == face[:50]).all(), kind
        assert (seen[150:] == face[150:]).all(), kind


def test_the_same_seed_draws_the_same_glasses(worn: Any, face: np.ndarray) -> None:
    for kind in (worn.CLEAR, *worn.HIDING):
        assert (drawn(worn, face, kind) == drawn(worn, face, kind)).all()
        assert (drawn(worn, face, kind) != drawn(worn, face, kind, seed=4)).any()


def test_glasses_that_leave_the_picture_are_drawn_in_part(worn: Any, face: np.ndarray) -> None:
    for kind in (worn.CLEAR, *worn.HIDING):
        assert worn.draw(face[:90, :100], RIGHT, LEFT, kind, np.random.default_rng(3)).shape == (90, 100)


class Says:
    """A reader that says the same of every face."""

    def __init__(self, share: float, sure: float) -> None:
        self.eyes = EyeMouthReading(share, sure)

    def __call__(self, _image: np.ndarray, _points: Landmarks) -> Says:
        return self

    def sure(self, part: EyeMouthReading) -> bool:
        return part.sure > 0.6


@pytest.mark.parametrize(
    ("said", "not_seen", "closed"), [((1.0, 0.9), 0.0, 1.0), ((1.0, 0.3), 1.0, 0.0), ((0.0, 0.9), 0.0, 0.0)]
)
def test_what_counts_as_not_seen(
    worn: Any, face: np.ndarray, said: tuple[float, float], not_seen: float, closed: float
) -> None:
    points = Landmarks((80, 90), (140, 100), (110, 120), (90, 150), (130, 150))
    reader = Says(*said)
    figures = worn.figures(reader, worn.on_faces(reader, [(face, points, "open"), (face, points, "closed")]))
    assert figures["n"] == 2 * (1 + len(worn.HIDING))
    assert (figures["hidden_not_seen"], figures["hidden_read_closed"]) == (not_seen, closed)
    assert (figures["clear_open_read_closed"], figures["clear_closed_read_closed"]) == (closed, closed)
    assert set(figures["hidden_not_seen_by_lens"].values()) == {not_seen}


@pytest.mark.parametrize(
    ("aperture", "share", "sure", "label"),
    [
        (0.12, 0.1, 0.9, "eye_open"),
        (0.04, 0.1, 0.9, None),  # the lids nearly meet
        (0.01, 1.0, 0.9, "eye_closed"),
        (0.01, 1.0, 0.7, None),
        (0.05, 1.0, 0.9, None),
        (0.12, 1.0, 0.9, "other"),  # sunglasses: where the lids are is a guess
        (0.12, 1.0, 0.5, None),
    ],
)
def test_two_models_label_an_eye_where_they_agree(
    training: Any, aperture: float, share: float, sure: float, label: str | None
) -> None:
    from ferd.vision.eyes import LABELS

    told = training("training.eyes_met").label_of(aperture, EyeMouthReading(share, sure))
    assert (None if told is None else LABELS[told]) == label
