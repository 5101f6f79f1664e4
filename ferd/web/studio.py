"""Between the loop that reads and those who look: the newest picture of each camera, made into bytes once for all.

Nothing is kept and nothing is encoded while nobody looks. A looker who is slow gets fewer pictures, never old ones.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ferd.data import Frame, Reading
from ferd.web.encode import jpeg


@dataclass(slots=True)
class Shot:
    """``packed``: what is sent, by whether the picture goes with it; made when the first one asks."""

    number: int
    wall: float
    at: float
    frame: Frame
    reading: Reading
    packed: dict[bool, bytes]


class Looker:
    """One who looks at a camera: waits for the next shot. Lives in the page's event loop."""

    def __init__(self, camera: str, *, picture: bool) -> None:
        self.camera, self.picture = camera, picture
        self.wake = asyncio.Event()
        self.seen = 0


class Studio:
    """``describe`` makes a reading's JSON for a camera. ``fps``: pictures a second at most."""

    def __init__(self, fps: float, describe: Callable[[str, Frame, Reading], dict[str, Any]]) -> None:
        self._interval = 1 / fps
        self._describe = describe
        self._lookers: dict[str, tuple[Looker, ...]] = {}
        self._shots: dict[str, Shot] = {}
        self._due: dict[str, float] = {}
        self._number = 0
        self._loop: asyncio.AbstractEventLoop | None = None
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
        self._shots[camera] = Shot(self._number, time.time(), now, frame, reading, {})
        with suppress(RuntimeError):  # the page is being closed
            loop.call_soon_threadsafe(self._tell, camera)

    def enter(self, looker: Looker) -> None:
        self._lookers[looker.camera] = (*self._lookers.get(looker.camera, ()), looker)

    def leave(self, looker: Looker) -> None:
        rest = tuple(other for other in self._lookers.get(looker.camera, ()) if other is not looker)
        self._lookers[looker.camera] = rest
        if not rest:
            self._shots.pop(looker.camera, None)

    async def next(self, looker: Looker, timeout_s: float) -> bytes | None:
        """As `shot`, packed."""
        shot = await self.shot(looker, timeout_s)
        return None if shot is None else self._packed(shot, looker)

    async def shot(self, looker: Looker, timeout_s: float) -> Shot | None:
        """The newest shot that this one has not seen; None when none comes in time."""
        looker.wake.clear()
        shot = self._shots.get(looker.camera)
        if shot is None or shot.number <= looker.seen:
            try:
                await asyncio.wait_for(looker.wake.wait(), timeout_s)
            except TimeoutError:
                return None
            shot = self._shots.get(looker.camera)
            if shot is None:
                return None
        looker.seen = shot.number
        return shot

    def _packed(self, shot: Shot, looker: Looker) -> bytes:
        packed = shot.packed.get(looker.picture)
        if packed is None:
            head = self._describe(looker.camera, shot.frame, shot.reading)
            head |= {"kind": "reading", "camera": looker.camera, "wall": round(shot.wall, 3)}
            picture = b""
            if looker.picture:
                picture = jpeg(shot.frame.image)
                self.encoded += 1
            head["age_ms"] = round((time.monotonic() - shot.at) * 1000, 1)
            packed = shot.packed[looker.picture] = pack(head, picture)
        return packed

    def _tell(self, camera: str) -> None:
        for looker in self._lookers.get(camera, ()):
            looker.wake.set()


def pack(head: dict[str, Any], picture: bytes = b"") -> bytes:
    """A message: the length of the JSON (4 bytes, little-endian), the JSON, the JPEG."""
    text = json.dumps(head, separators=(",", ":")).encode()
    return len(text).to_bytes(4, "little") + text + picture
