from __future__ import annotations

import numpy as np
import pytest

from ferd.sources.turn import RotatedSource, Rotation, rotate_image
from ferd.types import Frame

PICTURE = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)


@pytest.mark.parametrize(
    ("rotate", "mirror", "expected"),
    [
        (0, False, [[1, 2, 3], [4, 5, 6]]),
        (90, False, [[4, 1], [5, 2], [6, 3]]),
        (180, False, [[6, 5, 4], [3, 2, 1]]),
        (270, False, [[3, 6], [2, 5], [1, 4]]),
        (0, True, [[3, 2, 1], [6, 5, 4]]),
        (90, True, [[1, 4], [2, 5], [3, 6]]),
    ],
)
def test_turn(rotate: Rotation, mirror: bool, expected: list[list[int]]) -> None:
    assert rotate_image(PICTURE, rotate=rotate, mirror=mirror).tolist() == expected


class One:
    name = "one"
    noisy = True

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.calls: list[str] = []

    def open(self) -> None:
        self.calls.append("open")

    def read(self) -> Frame:
        return self.frame

    def close(self) -> None:
        self.calls.append("close")


def test_turns_the_small_picture_too_and_keeps_the_time() -> None:
    one = One(Frame(t=3.5, image=np.dstack([PICTURE] * 3), small=PICTURE))
    source = RotatedSource(one, rotate=90)
    source.open()
    frame = source.read()
    source.close()
    assert frame.t == 3.5
    assert frame.image.shape == (3, 2, 3)
    assert frame.small is not None
    assert frame.small.tolist() == [[4, 1], [5, 2], [6, 3]]
    assert (source.name, source.noisy, one.calls) == ("one", True, ["open", "close"])


def test_a_picture_without_a_small_one() -> None:
    frame = RotatedSource(One(Frame(t=0.0, image=PICTURE)), mirror=True).read()
    assert frame.small is None
    assert frame.image.tolist() == [[3, 2, 1], [6, 5, 4]]
