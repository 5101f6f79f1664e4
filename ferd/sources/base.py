"""What every picture source looks like: it opens, reads or raises. It never retries (see keeper.py)."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ferd.errors import SourceError
from ferd.types import Frame, Image

SMALLEST_SIDE = 16
"""Pixels. A webcam whose format was not agreed on delivers (1, 691200): a compressed blob, not a picture."""


class Source(Protocol):
    """A camera, file, folder, stream or fake.

    The constructor does nothing that can hang. ``open`` may take a while and raises SourceError with the remedy;
    ``read`` blocks until the next frame, raises SourceError when there is none, SourceEnded at the end of a file.
    ``close`` may be called at any time, from any thread, more than once, and releases the device for real. A source
    that was closed is not opened again: make a new one.
    """

    @property
    def name(self) -> str:
        """For logs and people: "usb camera /dev/video0". Never holds a password."""

    @property
    def noisy(self) -> bool:
        """True where a sensor's noise makes every picture differ: pictures equal to the bit mean that it hangs.

        False for files, and for network streams, whose coders repeat a quiet scene bit by bit.
        """

    @property
    def hangs(self) -> bool:
        """True when it was closed and a call to the device has not come back: it may still hold the device.

        False where every call comes back when the source is closed (files), or is the reader's own.
        """

    def open(self) -> None: ...

    def read(self) -> Frame: ...

    def close(self) -> None: ...


def as_picture(value: object, name: str) -> Image:
    """`value` if it is a picture: uint8, (H, W) or (H, W, 3), both sides 16 pixels or more. SourceError if not."""
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8:
        raise SourceError(f"{name}: delivered no picture ({type(value).__name__})")
    colour_fits = value.ndim == 2 or (value.ndim == 3 and value.shape[2] == 3)
    if not colour_fits or min(value.shape[:2]) < SMALLEST_SIDE:
        raise SourceError(
            f"{name}: delivered data of shape {value.shape} that is not a picture. "
            "The camera ignored the format it was asked for: try another width and height"
        )
    return value
