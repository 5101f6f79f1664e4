"""The WebSocket: pictures with their readings to whoever looks, one at a time, the next when the last has arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from ferd.web.studio import Looker, Studio, pack
from ferd.web.window import Window

STILL_S = 2.0
"""Without a picture the looker hears so often how things stand."""
TAKES_S = 10.0
"""Who has not taken a message, or not said so, after so many seconds is sent away."""


async def live(socket: WebSocket, window: Window, studio: Studio, state: Callable[[], dict[str, Any]]) -> None:
    """Query: camera; picture=0 for readings alone. The client answers each message with any text."""
    camera = socket.query_params.get("camera", "")
    if camera not in window.cameras():
        await socket.close(1008)
        return
    await socket.accept()
    looker = Looker(camera, picture=socket.query_params.get("picture", "1") != "0")
    studio.enter(looker)
    try:
        while camera in window.cameras():
            message = await studio.next(looker, STILL_S)
            async with asyncio.timeout(TAKES_S):
                await socket.send_bytes(message or pack({"kind": "state", **state()}))
                await socket.receive_text()
    except (WebSocketDisconnect, TimeoutError, KeyError):  # KeyError: bytes where text was asked for
        pass
    except asyncio.CancelledError:  # the page is being closed; uvicorn would log it as a fault
        pass
    finally:
        studio.leave(looker)
        with suppress(Exception):
            await socket.close()
