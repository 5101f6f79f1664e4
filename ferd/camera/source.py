"""What every picture source looks like: it opens, reads or raises. It never retries (see keeper.py)."""

from __future__ import annotations

from typing import Protocol

from ferd.data import Frame


class Source(Protocol):
    """A camera, file, folder, stream or fake.

    The constructor does nothing that can hang. ``open`` may take a while and raises SourceError with the remedy;
    ``read`` blocks until the next frame, raises SourceError when there is none, SourceEnded at the end of a file.
    ``close`` may be called at any time, from any thread, more than once, and releases the device for real.
    """

    name: str
    live: bool
    """True for cameras and streams, where late frames are worthless; False where every frame counts (files)."""

    def open(self) -> None: ...

    def read(self) -> Frame: ...

    def close(self) -> None: ...
