"""The demo scene: a person who needs no camera. (Not drawn yet.)"""

from __future__ import annotations

from ferd.data import Frame
from ferd.errors import SourceError


class DemoScene:
    """Plays the scene. Raises SourceError until it is drawn."""

    name = "demo scene"
    live = False

    def __init__(self, *, fps: float = 15.0, loop: bool = False) -> None:
        self._fps = fps
        self._loop = loop

    def open(self) -> None:
        raise SourceError("demo scene: not drawn yet")

    def read(self) -> Frame:
        raise SourceError("demo scene: not drawn yet")

    def close(self) -> None: ...
