"""The shipped eyes model and glasses drawn on a portrait with open eyes: hidden eyes never count as closed."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from ferd.models.bundle import read_bundle
from ferd.models.registry import shipped_dir
from ferd.types import Frame, Image, Landmarks
from ferd.vision.detectors.ferd import FerdDetector
from ferd.vision.eyes import EyeReader

Lens = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(pixels of the picture, rows from 0 at the lens' top to 1) -> what the lens shows; gray, float."""


def gray(_pixels: np.ndarray, _rows: np.ndarray) -> np.ndarray:
    return np.full_like(_pixels, 110.0)


def black(_pixels: np.ndarray, _rows: np.ndarray) -> np.ndarray:
    return np.full_like(_pixels, 12.0)


def sky(_pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return 220.0 - 60.0 * rows


def glare(share: float) -> Lens:
    return lambda pixels, _rows: pixels * (1 - share) + 255.0 * share


def clear(pixels: np.ndarray, _rows: np.ndarray) -> np.ndarray:
    return pixels


@pytest.fixture(scope="module")
def reader() -> EyeReader:
    return EyeReader(read_bundle(shipped_dir() / "eyes.tflite"))


@pytest.fixture(scope="module")
def portrait() -> tuple[Image, Landmarks]:
    from ferd.sources.demo import picture

    image = picture()
    (face,) = FerdDetector(read_bundle(shipped_dir() / "face.tflite"), 40)(Frame(0.0, image))
    assert face.points is not None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8), face.points


def with_glasses(image: Image, points: Landmarks, lens: Lens, rim: int) -> Image:
    """The picture with round glasses. `rim`: gray value of the frame."""
    apart = float(np.hypot(*np.subtract(points.left_eye, points.right_eye)))
    size = round(0.38 * apart), round(0.29 * apart)
    shown = image.astype(float)
    for eye in (points.right_eye, points.left_eye):
        mask = np.zeros_like(image)
        middle = round(eye[0]), round(eye[1] + 0.04 * apart)
        cv2.ellipse(mask, middle, size, 0, 0, 360, 1, -1)
        rows = (np.arange(len(image))[:, None] - (middle[1] - size[1])) / (2 * size[1]) + np.zeros_like(shown)
        shown = np.where(mask > 0, lens(shown, rows), shown)
        cv2.ellipse(shown, middle, size, 0, 0, 360, float(rim), max(1, round(0.06 * apart)), cv2.LINE_AA)
    return np.clip(shown, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("rim", [20, 130, 230])
@pytest.mark.parametrize("lens", [gray, black, sky, glare(0.85)], ids=["gray", "black", "sky", "glare"])
def test_lenses_that_hide_the_eyes_make_them_not_seen(
    reader: EyeReader, portrait: tuple[Image, Landmarks], lens: Lens, rim: int
) -> None:
    image, points = portrait
    assert not reader.sure(reader(with_glasses(image, points, lens, rim), points).eyes)


@pytest.mark.parametrize("rim", [20, 130, 230])
@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.7])
def test_glare_never_shuts_an_open_eye(
    reader: EyeReader, portrait: tuple[Image, Landmarks], share: float, rim: int
) -> None:
    image, points = portrait
    eyes = reader(with_glasses(image, points, glare(share), rim), points).eyes
    assert eyes.share < 0.5 or not reader.sure(eyes)


@pytest.mark.parametrize("rim", [20, 130, 230])
def test_open_eyes_are_seen_behind_clear_glasses(
    reader: EyeReader, portrait: tuple[Image, Landmarks], rim: int
) -> None:
    image, points = portrait
    eyes = reader(with_glasses(image, points, clear, rim), points).eyes
    assert eyes.share < 0.3
    assert reader.sure(eyes)
