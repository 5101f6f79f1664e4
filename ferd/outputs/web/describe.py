"""What the page is told of the daemon, in JSON's values: how things stand, and each reading. In its event loop."""

from __future__ import annotations

from typing import Any

from ferd.outputs.web.daemon_view import DaemonView
from ferd.outputs.web.image_quality import Quality, quality
from ferd.outputs.web.serialise import reading_json
from ferd.outputs.web.stream import FrameBroadcaster
from ferd.types import FaceReading, Frame, Reading

JUDGED_EVERY_S = 1.0
"""Light and sharpness are measured no more often: nobody reads faster, and it costs a third of a JPEG."""


class Describer:
    """``asks_token``: there is somebody to log out."""

    def __init__(self, window: DaemonView, *, asks_token: bool) -> None:
        self._window, self._asks_token = window, asks_token
        self._judges: dict[str, Judge] = {}

    def state(self, studio: FrameBroadcaster) -> dict[str, Any]:
        state = self._window.state() | {"token": self._asks_token}
        for camera in state["cameras"]:
            camera["lookers"] = studio.lookers(camera["name"])
            camera["pictures_to"] = studio.lookers(camera["name"], picture=True)
        return state

    def reading(self, camera: str, frame: Frame, reading: Reading) -> dict[str, Any]:
        judge = self._judges.setdefault(camera, Judge())
        return reading_json(frame, reading, self._window.rules(camera), judge.judged(frame, reading))


class Judge:
    """The quality of one camera's faces, each measured when it is new and then every JUDGED_EVERY_S."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[float, Quality | None]] = {}

    def judged(self, frame: Frame, reading: Reading) -> dict[int, Quality | None]:
        """By track, of the faces that are seen in this frame."""
        seen = [face for face in reading.faces if face.track.seen >= reading.t]
        self._known = {face.track.id: self._of(frame, face, reading.t) for face in seen}
        return {track: judged for track, (_, judged) in self._known.items()}

    def _of(self, frame: Frame, face: FaceReading, t: float) -> tuple[float, Quality | None]:
        known = self._known.get(face.track.id)
        if known is not None and 0 <= t - known[0] < JUDGED_EVERY_S:
            return known
        return t, quality(frame.image, face.track.face)
