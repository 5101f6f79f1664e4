"""The interface of a picture source. A source opens, reads, closes or raises; it never retries (see supervisor.py)."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ferd.errors import SourceError
from ferd.types import Frame, Image

SMALLEST_SIDE = 16
"""Pixels. A webcam whose format was not negotiated delivers (1, 691200): a compressed blob, not an image."""


class Source(Protocol):
    """A camera, file, folder, stream or fake.

    One thread calls ``open``, ``read`` and ``close``, in this order. All three are plain blocking calls: a source has
    no threads and no time limits but those that its library offers. The supervisor watches the clock. The constructor
    does not touch the device. A closed source is not opened again: make a new one.
    """

    @property
    def name(self) -> str:
        """Name for logs and messages: "usb camera /dev/video0". Never contains a password."""

    @property
    def noisy(self) -> bool:
        """True where sensor noise makes every image differ: bit-identical images then mean that the camera is frozen.

        False for files and drawn scenes. A source whose encoder repeats a static scene bit by bit for a while, as H.264
        does between two key frames, has an attribute ``still_s``: for how many seconds. One whose ``open`` waits by
        itself has ``longest_retry_s``: seconds after which it is opened again at the latest.
        """

    @property
    def opening_s(self) -> float:
        """Seconds that this source may need from ``open`` to its first frame; 0 where the general limit is enough.

        See ``Timing.first_frame_s``: the longer of the two applies. Does not touch the device.
        """

    def open(self) -> None:
        """Open the device. Raises SourceError with the remedy."""

    def read(self) -> Frame:
        """Wait for the next frame. Raises SourceError when there is none, SourceEnded at the end of a file."""

    def interrupt(self) -> None:
        """End a wait of ``read`` early. May be called at any time from any thread; never touches the device."""

    def close(self) -> None:
        """Release the device. Also called when ``open`` failed; calling it twice does no harm."""


def as_image(value: object, name: str) -> Image:
    """Check that `value` is an image: uint8, (H, W) or (H, W, 3), both sides 16 pixels or more.

    Raises:
        SourceError: It is not.
    """
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8:
        raise SourceError(f"{name}: delivered no picture ({type(value).__name__})")
    colour_fits = value.ndim == 2 or (value.ndim == 3 and value.shape[2] == 3)
    if not colour_fits or min(value.shape[:2]) < SMALLEST_SIDE:
        raise SourceError(
            f"{name}: delivered data of shape {value.shape} that is not a picture. "
            "The camera ignored the requested format: try another width and height"
        )
    return value
