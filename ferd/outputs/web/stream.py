"""Broadcast the newest frame of each camera to the browsers that watch it: encoded once for all of them.

Nothing is kept and nothing is encoded while nobody watches. A slow viewer gets fewer pictures, never old ones.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from ferd import pictures
from ferd.types import Frame, Image, Reading

STATE_EVERY_S = 2.0
"""A camera's readings carry the state of the daemon this often."""
MAX_WIDTH = 640
JPEG_QUALITY = 70
"""A room at 640x480 takes about 40 kB."""
MAX_JPEG_BYTES = 80_000
"""A camera's own JPEG that is larger is encoded again: the network to the viewers may be slow."""

_compact = json.JSONEncoder(separators=(",", ":")).encode

log = logging.getLogger(__name__)


@dataclass(slots=True)
class BroadcastFrame:
    """A frame with its reading. ``messages``: the bytes to send, by whether the picture is among them; made on demand.

    ``at``: monotonic seconds; ``wall``: seconds since 1970.
    """

    number: int
    wall: float
    at: float
    frame: Frame
    reading: Reading
    messages: dict[bool, bytes] = field(default_factory=dict)


class Viewer:
    """One who watches a camera: a slot that holds the newest frame only. Lives in the server's event loop."""

    def __init__(self, camera: str, *, picture: bool) -> None:
        self.camera, self.picture = camera, picture
        self._newest: BroadcastFrame | None = None
        self._changed = asyncio.Event()
        self.closed = False

    def close(self) -> None:
        """End the wait for a frame: the server ends."""
        self.closed = True
        self._changed.set()

    def put(self, frame: BroadcastFrame) -> None:
        """Replace the frame that waits."""
        self._newest = frame
        self._changed.set()

    async def next(self, timeout_s: float) -> BroadcastFrame | None:
        """Wait for a frame that was not given before; None when none comes in time, or the viewer is closed."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return None
        self._changed.clear()
        newest, self._newest = self._newest, None
        return newest


class Describe(Protocol):
    """Makes the JSON values of a reading, and of the daemon's state."""

    def reading(self, camera: str, frame: Frame, reading: Reading) -> dict[str, Any]: ...
    def state(self, frames: FrameBroadcaster) -> dict[str, Any]: ...


class FrameBroadcaster:
    """Hand frames from the loop to the viewers. Only `offer` is called by the loop, the rest in the event loop.

    Args:
        max_fps: frames a second and camera at most; others are dropped.
        describe: makes the JSON of a reading.
    """

    def __init__(self, max_fps: float, describe: Describe) -> None:
        self._interval_s = 1 / max_fps
        self.describe = describe
        self._viewers: dict[str, tuple[Viewer, ...]] = {}
        self._newest: dict[str, BroadcastFrame] = {}
        self._due: dict[str, float] = {}
        self._state_due: dict[tuple[str, bool], float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.offered = 0
        """Frames passed on to viewers so far."""
        self.encoded = 0
        """Pictures encoded so far."""

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start to hand frames to the viewers in this event loop."""
        self._loop = loop

    def detach(self) -> None:
        """Close all viewers: the event loop ends."""
        self._loop = None
        for viewer in (viewer for viewers in self._viewers.values() for viewer in viewers):
            viewer.close()
        self._viewers, self._newest = {}, {}

    def viewers(self, camera: str, *, picture: bool = False) -> int:
        """Count the viewers of a camera; with `picture` only those that get pictures."""
        return sum(1 for viewer in self._viewers.get(camera, ()) if viewer.picture or not picture)

    def offer(self, camera: str, frame: Frame, reading: Reading) -> None:
        """Take a frame with its reading, in the loop's thread. Returns at once."""
        loop = self._loop
        if loop is None or not self._viewers.get(camera):
            return
        now = time.monotonic()
        due = self._due.get(camera, now)
        if now < due:
            return
        # Counted from when it was due: of a camera with 15 frames a second, two of three make 10.
        self._due[camera] = max(due, now - self._interval_s) + self._interval_s
        self.offered += 1
        self._newest[camera] = BroadcastFrame(self.offered, time.time(), now, frame, reading)
        with suppress(RuntimeError):  # the server is ending
            loop.call_soon_threadsafe(self._distribute, camera)

    def enter(self, viewer: Viewer) -> None:
        self._viewers[viewer.camera] = (*self._viewers.get(viewer.camera, ()), viewer)

    def leave(self, viewer: Viewer) -> None:
        rest = tuple(other for other in self._viewers.get(viewer.camera, ()) if other is not viewer)
        self._viewers[viewer.camera] = rest
        if not rest:
            self._newest.pop(viewer.camera, None)

    def idle(self) -> bool:
        """Whether no frame is kept."""
        return not self._newest

    def message(self, frame: BroadcastFrame, viewer: Viewer) -> bytes:
        """The bytes to send to this viewer; encoded once for all viewers of the same kind."""
        message = frame.messages.get(viewer.picture)
        if message is None:
            head = self.describe.reading(viewer.camera, frame.frame, frame.reading)
            head |= {"kind": "reading", "camera": viewer.camera, "wall": round(frame.wall, 3)}
            group = viewer.camera, viewer.picture
            if frame.at >= self._state_due.get(group, 0.0):
                self._state_due[group] = frame.at + STATE_EVERY_S
                head["state"] = self.describe.state(self)
            picture = b""
            if viewer.picture:
                picture = jpeg(frame.frame)
                self.encoded += 1
            head["age_ms"] = round((time.monotonic() - frame.at) * 1000, 1)
            message = frame.messages[viewer.picture] = pack(head, picture)
        return message

    def state_message(self) -> bytes:
        """The daemon's state, for a viewer that gets no readings."""
        return pack({"kind": "state", **self.describe.state(self)})

    def _distribute(self, camera: str) -> None:
        if (frame := self._newest.get(camera)) is not None:
            for viewer in self._viewers.get(camera, ()):
                viewer.put(frame)


def pack(head: dict[str, Any], picture: bytes = b"") -> bytes:
    """Join a message: the length of the JSON (4 bytes, little-endian), the JSON, the JPEG."""
    text = _compact(head).encode()
    return len(text).to_bytes(4, "little") + text + picture


def jpeg(frame: Frame) -> bytes:
    """A JPEG of the frame, at most MAX_WIDTH pixels wide: the camera's own, where it is small enough."""
    if frame.jpeg is not None and frame.width <= MAX_WIDTH and len(frame.jpeg) <= MAX_JPEG_BYTES:
        return frame.jpeg
    return encode_jpeg(frame.image)


def encode_jpeg(image: Image) -> bytes:
    """Encode an image for the browser, at most MAX_WIDTH pixels wide. Empty when it cannot be encoded."""
    return pictures.encode_jpeg(image, MAX_WIDTH, JPEG_QUALITY)
