"""Helpers for the tests of the sources."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ferd.errors import SourceEnded, SourceError
from ferd.sources.base import Source
from ferd.types import Frame, Image


def gray_picture(value: int, width: int = 64, height: int = 48) -> Image:
    return np.full((height, width, 3), value, np.uint8)


def wait_for(condition: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until `condition` holds. The limit is wide: it only ends a test that fails."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.005)


def read_all(source: Source, until: type[SourceError] = SourceEnded) -> list[Frame]:
    """Open a source, and return its frames up to this error, by default its end."""
    source.open()
    frames = []
    try:
        while True:
            frames.append(source.read())
    except until:
        return frames
    finally:
        source.close()
