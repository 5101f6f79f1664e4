"""Choose and encode the pictures that are published with `[mqtt] image`: one when an expression changes, at most one
every EVERY_S for each camera, and nothing else.
"""

from __future__ import annotations

from typing import Literal

from ferd.pictures import encode_jpeg
from ferd.snapshot import CameraSnapshot
from ferd.types import Box, Frame, Image

EVERY_S = 5.0
MAX_BYTES = 60_000
"""A JPEG that is larger is encoded again at a lower quality, and finally not sent. MQTT on a small board, and the limit
of 64 kB that clients such as ferd's own have."""
MAX_WIDTH = {"face": 320, "frame": 640}
QUALITIES = (75, 50, 25)
MARGIN = 0.25
"""Added around the face on each side, as a share of its box: the box ends at chin and brows."""

What = Literal["face", "frame"]


class ImageSchedule:
    """Decide when a picture of one camera is due. A change during the pause is published at its end.

    ``now`` is in monotonic seconds.
    """

    def __init__(self) -> None:
        self._shown: str | None = None
        self._sent_at = float("-inf")

    def is_due(self, camera: CameraSnapshot, now: float) -> bool:
        """Whether the expression differs from that of the last picture, and the pause is over.

        Without an expression nothing is due: ferd is not sure. Once nobody is there, the next expression is a new one.
        """
        state = camera.state
        if camera.status != "online" or state is None or state.faces == 0:
            self._shown = None
            return False
        if state.expression is None:
            return False
        return state.expression != self._shown and now - self._sent_at >= EVERY_S

    def sent(self, camera: CameraSnapshot, now: float) -> None:
        """Note that a picture was made with the expression that the camera shows now."""
        self._shown = None if camera.state is None else camera.state.expression
        self._sent_at = now


def picture(camera: CameraSnapshot, what: What) -> bytes | None:
    """Return a JPEG of at most MAX_BYTES; None if there is no frame, no face or no way to make it so small."""
    frame, reading = camera.frame, camera.reading
    if frame is None or reading is None:
        return None
    if what == "frame":
        if frame.jpeg is not None and frame.width <= MAX_WIDTH[what] and len(frame.jpeg) <= MAX_BYTES:
            return frame.jpeg
        return _small(frame.image, what)
    face = reading.main_face
    crop = None if face is None else crop_of(frame, face.track.face.box)
    return None if crop is None else _small(crop, what)


def crop_of(frame: Frame, box: Box) -> Image | None:
    """Return the part of the frame around a face; None if the face lies outside of it."""
    x, y = max(0, int(box.x - MARGIN * box.w)), max(0, int(box.y - MARGIN * box.h))
    right = min(frame.width, int(box.x + (1 + MARGIN) * box.w))
    bottom = min(frame.height, int(box.y + (1 + MARGIN) * box.h))
    if right <= x or bottom <= y:
        return None
    return frame.image[y:bottom, x:right]


def _small(image: Image, what: What) -> bytes | None:
    for quality in QUALITIES:
        data = encode_jpeg(image, MAX_WIDTH[what], quality)
        if data and len(data) <= MAX_BYTES:
            return data
    return None
