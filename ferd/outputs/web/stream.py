"""Between the loop that reads and those who look: the newest picture of each camera, made into bytes once for all.

Nothing is kept and nothing is encoded while nobody looks. A looker who is slow gets fewer pictures, never old ones.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from ferd.outputs.web.encode import jpeg
from ferd.outputs.web.websocket import framed
from ferd.types import Frame, Reading

STATE_EVERY_S = 2.0
"""So often a camera's readings carry how things stand, for all who look."""

_COMPACT = json.JSONEncoder(separators=(",", ":")).encode

log = logging.getLogger(__name__)


@dataclass(slots=True)
class BroadcastFrame:
    """``packed``: what is sent, by whether the picture goes with it; made when the first one takes it."""

    number: int
    wall: float
    at: float
    frame: Frame
    reading: Reading
    packed: dict[bool, bytes]


class FrameViewer:
    """One who looks at a camera. Lives in the page's event loop."""

    def __init__(self, camera: str, *, picture: bool) -> None:
        self.camera, self.picture = camera, picture

    def give(self, shot: BroadcastFrame) -> None:
        """A new shot. Returns at once."""
        raise NotImplementedError


class Describe(Protocol):
    """Makes the JSON of a reading, and of how things stand."""

    def reading(self, camera: str, frame: Frame, reading: Reading) -> dict[str, Any]: ...
    def state(self, studio: FrameBroadcaster) -> dict[str, Any]: ...


class FrameBroadcaster:
    """``fps``: pictures a second at most."""

    def __init__(self, fps: float, describe: Describe) -> None:
        self._interval = 1 / fps
        self._describe = describe
        self._lookers: dict[str, tuple[FrameViewer, ...]] = {}
        self._shots: dict[str, BroadcastFrame] = {}
        self._due: dict[str, float] = {}
        self._state_due: dict[tuple[str, bool], float] = {}
        self._number = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failed = False
        self.encoded = 0
        """Pictures made into bytes so far."""

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def close(self) -> None:
        self._loop = None
        self._lookers, self._shots = {}, {}

    def lookers(self, camera: str, *, picture: bool = False) -> int:
        """How many look at it; with `picture` only those to whom pictures are sent."""
        return sum(1 for looker in self._lookers.get(camera, ()) if looker.picture or not picture)

    def offer(self, camera: str, frame: Frame, reading: Reading) -> None:
        """Takes a frame with its reading, in the thread of the one who reads. Returns at once."""
        loop = self._loop
        if loop is None or not self._lookers.get(camera):
            return
        now = time.monotonic()
        due = self._due.get(camera, now)
        if now < due:
            return
        # Counted on from when it was due: of a camera with 15 pictures a second two in three make 10.
        self._due[camera] = max(due, now - self._interval) + self._interval
        self._number += 1
        self._shots[camera] = BroadcastFrame(self._number, time.time(), now, frame, reading, {})
        with suppress(RuntimeError):  # the page is being closed
            loop.call_soon_threadsafe(self._tell, camera)

    def enter(self, looker: FrameViewer) -> None:
        self._lookers[looker.camera] = (*self._lookers.get(looker.camera, ()), looker)

    def leave(self, looker: FrameViewer) -> None:
        rest = tuple(other for other in self._lookers.get(looker.camera, ()) if other is not looker)
        self._lookers[looker.camera] = rest
        if not rest:
            self._shots.pop(looker.camera, None)

    def newest(self, camera: str) -> BroadcastFrame | None:
        return self._shots.get(camera)

    def packed(self, shot: BroadcastFrame, looker: FrameViewer) -> bytes:
        """The shot as this looker gets it, made once for all."""
        packed = shot.packed.get(looker.picture)
        if packed is None:
            head = self._describe.reading(looker.camera, shot.frame, shot.reading)
            head |= {"kind": "reading", "camera": looker.camera, "wall": round(shot.wall, 3)}
            group = looker.camera, looker.picture
            if shot.at >= self._state_due.get(group, 0.0):
                self._state_due[group] = shot.at + STATE_EVERY_S
                head["state"] = self._describe.state(self)
            picture = b""
            if looker.picture:
                picture = jpeg(shot.frame)
                self.encoded += 1
            head["age_ms"] = round((time.monotonic() - shot.at) * 1000, 1)
            packed = shot.packed[looker.picture] = framed(pack(head, picture))
        return packed

    def _tell(self, camera: str) -> None:
        shot = self._shots.get(camera)
        if shot is None:
            return
        for looker in self._lookers.get(camera, ()):
            try:
                looker.give(shot)
            except Exception:  # of one shot, or one looker: the next ones may fare better
                if not self._failed:
                    self._failed = True
                    log.exception("a picture could not be shown; this is not told again")


def pack(head: dict[str, Any], picture: bytes = b"") -> bytes:
    """A message: the length of the JSON (4 bytes, little-endian), the JSON, the JPEG."""
    text = _COMPACT(head).encode()
    return len(text).to_bytes(4, "little") + text + picture
