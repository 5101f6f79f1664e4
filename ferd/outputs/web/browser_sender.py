"""Receive the pictures of a visitor's own camera: for each camera with source = "browser", from one browser at a time.

A WebSocket at /api/camera. The server asks for each picture, so that nothing queues on the way: a slow network gets
fewer pictures, never old ones. Every picture's header is checked before anything is decoded.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from ferd.config import CameraConfig
from ferd.errors import PictureError
from ferd.outputs.web.api import Web, make_router
from ferd.outputs.web.senders import Sender, who
from ferd.outputs.web.server import WebServer
from ferd.pictures import JPEG_START, jpeg_header
from ferd.sources.browser import NOBODY, BrowserInbox, inbox
from ferd.sources.jpeg import LARGEST_DECODED, jpeg_frame
from ferd.types import Frame

MAX_PICTURE_BYTES = 1 << 20
"""Longest message of the server's WebSockets. A JPEG of 1920x1080 has 0.2 to 0.6 MB."""
MAX_TEXT = 200
"""Longest text, in characters: the page sends one word."""
LOOK_EVERY_S = 1.0
"""How often it is checked whether the camera was switched off meanwhile."""
BUSY, TAKEN_OVER, SWITCHED_OFF, REFUSED_PICTURE = 4409, 4410, 4411, 4400
"""Codes with which the connection is closed; 4000 to 4999 are an application's own (RFC 6455, section 7.4.2)."""

ASKING = "a browser asks its user for the camera. Allow it there"
CLOSED = "the page that sent pictures was closed or lost its connection. Open it again, and press Start"
REASONS: Mapping[str, str] = {
    "asking": ASKING,
    "hidden": "the page is in the background, where browsers send no pictures. Bring its tab or window to the front",
    "stopped": "its user stopped sending. Press Start on the page",
    "refused": "the browser may not use its camera. Allow it in the browser's settings for this page, and press Start",
    "busy": "another program uses the camera of the browser's device. Close that, and press Start",
    "missing": "the device with the browser has no camera. Open the page on another one",
    "insecure": "the page was opened over http from another machine, and there browsers give no camera. Use https, or "
    "`ssh -L` and http://localhost: docs/page.md",
    "lost": "the browser lost its camera: unplugged, or no longer allowed. Press Start on the page",
    "failed": "the browser cannot open its camera. The page says why",
}
"""What the page can report, and what it means. Nothing that a browser writes goes further than this."""
TEMPORARY = ("asking", "hidden")
"""Of these, what is over when the page is closed."""


router = make_router()


@router.websocket("/api/camera")
async def receive(socket: WebSocket, web: Web) -> None:
    """Receive JPEGs for a camera with source = "browser".

    Query: camera; take=1 to take over from another browser. After {"kind": "go"} and after each {"kind": "next"} the
    client sends one JPEG, or {"state": WORD} with a word of REASONS, or "sending".
    """
    camera = socket.query_params.get("camera", "")
    config = web.view.browser_camera(camera)
    if config is None:
        await socket.close(1008)
        return
    await socket.accept()
    sender = Sender(who(socket), asyncio.current_task())
    other = web.senders.of(camera)
    if other is not None and socket.query_params.get("take") != "1":
        await _end(socket, BUSY, {"kind": "busy", "by": other.who, "since": round(other.since)})
        return
    web.senders.enter(camera, sender)
    pictures = inbox(config.source)
    pictures.note(ASKING)
    try:
        await Receiver(socket, web, camera, sender).run(config)
    except WebSocketDisconnect:
        pass
    except asyncio.CancelledError:  # another browser took over, or the server ends; uvicorn would log it as a fault
        if sender.taken_by is not None:
            await _end(socket, TAKEN_OVER, {"kind": "taken", "by": sender.taken_by})
    finally:
        if web.senders.leave(camera, sender):
            pictures.note(_reason_after(sender.state))
        with suppress(Exception):
            async with asyncio.timeout(1):  # a client that does not read would block it without end
                await socket.close()


class Receiver:
    """The conversation with one sender."""

    def __init__(self, socket: WebSocket, web: WebServer, camera: str, sender: Sender) -> None:
        self._socket, self._web, self._camera, self._sender = socket, web, camera, sender
        self._due = 0.0

    async def run(self, config: CameraConfig) -> None:
        """Receive until the sender leaves, misbehaves or the camera is switched off or configured again."""
        pictures = inbox(config.source)
        await self._say(
            kind="go", width=config.width, height=config.height, fps=config.fps, max_bytes=MAX_PICTURE_BYTES
        )
        while True:
            message = await self._next(config)
            if message is None:
                self._sender.state = "off"
                await _end(self._socket, SWITCHED_OFF, {"kind": "off"})
                return
            picture, text = message.get("bytes"), message.get("text")
            if picture is not None:
                if not await self._take(picture, config, pictures):
                    return
            elif text is not None:
                self._note(text, pictures)
            else:
                return

    async def _next(self, config: CameraConfig) -> Mapping[str, Any] | None:
        """The next message; None where the camera is switched off, or is no longer a browser's."""
        view = self._web.view
        while view.browser_camera(self._camera) == config and view.enabled(self._camera):
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    return await self._socket.receive()
            except TimeoutError:
                continue
        return None

    async def _take(self, data: bytes, config: CameraConfig, pictures: BrowserInbox) -> bool:
        """Hand a picture over and ask for the next one. Returns False for one that is refused: the sender has gone."""
        now, interval_s = time.monotonic(), 1 / config.fps
        try:
            pictures.offer(checked_frame(data, config.max_megapixels))
        except PictureError as error:
            self._sender.state = "failed"
            await _end(self._socket, REFUSED_PICTURE, {"kind": "bad", "error": str(error)})
            return False
        self._sender.state = "sending"
        # Counted from when it was due, as the page does; a sender that does not wait is slowed down all the same.
        self._due = max(self._due, now - interval_s) + interval_s
        await asyncio.sleep(max(0.0, self._due - interval_s / 2 - now))
        await self._say(kind="next")
        return True

    def _note(self, text: str, pictures: BrowserInbox) -> None:
        """Take over why no pictures come. Unknown words, and what is no JSON, are ignored."""
        try:
            state = json.loads(text[:MAX_TEXT])["state"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        if isinstance(state, str) and state in REASONS:
            self._sender.state = state
            pictures.note(REASONS[state])

    async def _say(self, **message: Any) -> None:
        await self._socket.send_text(json.dumps(message))


def checked_frame(data: bytes, max_megapixels: float) -> Frame:
    """Make a frame of what a browser sent; it is decoded later, when it is needed.

    Raises:
        PictureError: It is no complete JPEG, or larger or smaller than a camera's picture may be.
    """
    header = jpeg_header(data) if data.startswith(JPEG_START) else None
    if header is None:
        raise PictureError("that is no complete JPEG")
    now = time.monotonic()
    return jpeg_frame(now, data, header, captured_at=now, max_megapixels=min(max_megapixels, LARGEST_DECODED))


def _reason_after(state: str) -> str:
    """Why no pictures come from a sender that has gone, by its last state."""
    if state == "off":
        return NOBODY
    return CLOSED if state in TEMPORARY else REASONS.get(state, CLOSED)


async def _end(socket: WebSocket, code: int, last: Mapping[str, Any]) -> None:
    """Send the last message and close. Never blocks for long."""
    with suppress(Exception):
        async with asyncio.timeout(1):
            await socket.send_text(json.dumps(last))
            await socket.close(code)
