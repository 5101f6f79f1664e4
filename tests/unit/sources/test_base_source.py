from __future__ import annotations

import numpy as np
import pytest

from ferd.errors import SourceError
from ferd.sources.base import as_picture


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"jpeg",
        np.zeros((1, 691200), np.uint8),
        np.zeros((480, 640, 2), np.uint8),
        np.zeros((480, 640, 4), np.uint8),
        np.zeros((480, 640), np.uint16),
        np.zeros((0, 0, 3), np.uint8),
        np.zeros(640, np.uint8),
    ],
    ids=["none", "bytes", "blob", "two channels", "four channels", "16 bit", "empty", "one row"],
)
def test_what_is_not_a_picture(value: object) -> None:
    with pytest.raises(SourceError, match="cam: delivered"):
        as_picture(value, "cam")


@pytest.mark.parametrize("shape", [(480, 640, 3), (480, 640), (16, 16)])
def test_pictures(shape: tuple[int, ...]) -> None:
    picture = np.zeros(shape, np.uint8)
    assert as_picture(picture, "cam") is picture
