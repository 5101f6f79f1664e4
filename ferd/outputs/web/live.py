"""The WebSocket: pictures with their readings to whoever looks, one at a time, the next when the last has arrived."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from ferd.outputs.web.daemon_view import DaemonView
from ferd.outputs.web.stream import BroadcastFrame, FrameBroadcaster, FrameViewer, pack
from ferd.outputs.web.websocket import EXTENSION, WebSocketLine, framed

STILL_S = 2.0
"""Without a picture the looker hears so often how things stand."""
TAKES_S = 10.0
"""Who has not taken a message, or not said so, after so many seconds is sent away."""


class Viewer(FrameViewer):
    """One who looks through a Line. Nothing waits for it: a shot that it cannot take yet is passed over."""

    def __init__(self, camera: str, *, picture: bool, line: WebSocketLine, studio: FrameBroadcaster) -> None:
        super().__init__(camera, picture=picture)
        self._line, self._studio = line, studio
        self._seen = 0
        self.owes = False
        """True from a message until its answer."""
        self.sent_at = time.monotonic()

    def give(self, shot: BroadcastFrame) -> None:
        if not self.owes and shot.number > self._seen:
            self._seen = shot.number
            self.send(self._studio.packed(shot, self))

    def send(self, frame: bytes) -> None:
        self.owes, self.sent_at = True, time.monotonic()
        self._line.send(frame)

    def answered(self) -> None:
        self.owes = False
        if (shot := self._studio.newest(self.camera)) is not None:
            self.give(shot)


async def live(
    socket: WebSocket, window: DaemonView, studio: FrameBroadcaster, state: Callable[[], dict[str, Any]]
) -> None:
    """Query: camera; picture=0 for readings alone. The client answers each message with any text."""
    camera = socket.query_params.get("camera", "")
    line: WebSocketLine = socket.scope["extensions"][EXTENSION]
    if camera not in window.cameras():
        await socket.close(1008)
        return
    await socket.accept()
    picture = socket.query_params.get("picture", "1") != "0"
    viewer = Viewer(camera, picture=picture, line=line, studio=studio)
    line.on_answer = viewer.answered
    studio.enter(viewer)
    try:
        while camera in window.cameras():
            try:
                async with asyncio.timeout(STILL_S):
                    await socket.receive_text()  # an answer that the line left to wsproto
                viewer.answered()
                continue
            except TimeoutError:
                silent_s = time.monotonic() - viewer.sent_at
            if viewer.owes and silent_s > TAKES_S:
                break
            if not viewer.owes and silent_s >= STILL_S:
                viewer.send(framed(pack({"kind": "state", **state()})))
    except (WebSocketDisconnect, KeyError):  # KeyError: bytes where text was asked for
        pass
    except asyncio.CancelledError:  # the page is being closed; uvicorn would log it as a fault
        pass
    finally:
        line.on_answer = None
        studio.leave(viewer)
        with suppress(Exception):
            await socket.close()
