"""What several tests of the cameras need."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ferd.types import Image


def gray_picture(value: int, width: int = 64, height: int = 48) -> Image:
    return np.full((height, width, 3), value, np.uint8)


def wait_for(condition: Callable[[], object], within_s: float = 20.0) -> None:
    """Waits until `condition` holds. The limit is wide: it only ends a test that fails."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "did not come to pass"
        time.sleep(0.005)
