"""Answer the page's requests: state, timelines, switches, health, doctor, live pictures, metrics."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Response, Security, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict
from starlette.requests import HTTPConnection

from ferd.diagnostics.examine import examine
from ferd.outputs.web.metrics import MEDIA_TYPE, metrics
from ferd.outputs.web.server import WebServer
from ferd.outputs.web.stream import STATE_EVERY_S, Viewer
from ferd.switches import SWITCHES, WrongValueError

DOCTOR_CACHE_S = 20.0
"""The findings of the doctor are given again for this long."""
ACK_TIMEOUT_S = 10.0
"""A viewer that has not taken a message and acknowledged it after this long is disconnected."""

MAX_ACK = 4096
"""Longest acknowledgement of a viewer, in characters. The server's own limit is that of pictures."""


class Body(BaseModel):
    """The JSON object of a request."""

    model_config = ConfigDict(extra="forbid")


class ErrorBody(BaseModel):
    """The answer to a request that cannot be done; ``error`` says why and what would be right."""

    error: str


class SwitchBody(Body):
    value: bool | float | str


def web_server(connection: HTTPConnection) -> WebServer:
    web: WebServer = connection.app.state.web
    return web


Web = Annotated[WebServer, Depends(web_server)]


def existing_camera(camera: str, web: Web) -> str:
    """The camera that the path names. Raises 404."""
    if camera not in web.view.cameras():
        raise HTTPException(404, f"there is no such camera; there are: {', '.join(web.view.cameras())}")
    return camera


Camera = Annotated[str, Depends(existing_camera)]


def make_router() -> APIRouter:
    """A router whose operations are described with their errors and with the token."""
    # The guard checks the token; here it is only described. "4XX" replaces FastAPI's own 422.
    return APIRouter(
        dependencies=[Security(HTTPBearer(auto_error=False, description="The token of [web] token_file"))],
        responses={"4XX": {"model": ErrorBody, "description": "What is wrong stands in `error`."}},
    )


router = make_router()


@router.get("/api/state")
async def state(web: Web) -> JSONResponse:
    """Node, cameras, switches, broker."""
    return JSONResponse(web.frames.describe.state(web.frames))


@router.get("/api/cameras/{camera}/history")
async def history(camera: Camera, web: Web, span: Literal["recent", "day"] = "recent") -> JSONResponse:
    """The last 10 minutes or the last day, in columns; 255 stands for unknown."""
    timeline = web.readings.timelines.get(camera)
    answer: dict[str, Any] = {"camera": camera, "until": round(time.time(), 1), "width_s": 1.0, "labels": []}
    if timeline is not None:
        answer |= timeline.view(span, time.monotonic())
    return JSONResponse(answer | {"events": web.readings.events(camera)})


@router.post("/api/cameras/{camera}/{switch}", status_code=202)
async def set_switch(camera: Camera, switch: str, body: SwitchBody, web: Web) -> JSONResponse:
    """Set a switch, as the MQTT command does."""
    if switch not in SWITCHES:
        raise HTTPException(404, f"there is no such switch; there are: {', '.join(SWITCHES)}")
    web.view.switch(camera, switch, switch_value(switch, body.value))
    return JSONResponse({"asked": True}, 202)


def switch_value(switch: str, value: bool | float | str) -> bool | float:
    """The switch's own type. Raises 400 with what would be right."""
    try:
        return SWITCHES[switch].read(value)
    except WrongValueError as error:
        raise HTTPException(400, str(error)) from None


@router.get("/api/health")
async def health(web: Web) -> JSONResponse:
    """Figures, time of each step, model cards, last log lines."""
    return JSONResponse(web.view.health() | {"stages": web.view.timings(), "log": web.log.lines()})


@router.post("/api/doctor")
async def doctor(connection: HTTPConnection, web: Web) -> JSONResponse:
    """What `ferd doctor` finds."""
    examination: Doctor = connection.app.state.doctor
    return JSONResponse({"findings": await examination.findings(web)})


@router.get("/healthz", response_class=PlainTextResponse, responses={503: {"description": "What has failed."}})
async def healthz(web: Web) -> PlainTextResponse:
    """ok, or what has failed."""
    failure = web.view.failure()
    return PlainTextResponse("ok\n") if failure is None else PlainTextResponse(f"{failure}\n", 503)


@router.get("/metrics", response_class=PlainTextResponse)
async def prometheus(web: Web) -> Response:
    """For Prometheus."""
    return Response(metrics(web.view.state(), web.view.health(), web.view.timings()), media_type=MEDIA_TYPE)


@router.websocket("/api/live")
async def live(socket: WebSocket, web: Web) -> None:
    """Send one camera's pictures and readings, one at a time: the next one after the client's acknowledgement.

    Query: camera; picture=0 for readings alone. The client acknowledges each message with any text.
    """
    camera = socket.query_params.get("camera", "")
    if camera not in web.view.cameras():
        await socket.close(1008)
        return
    await socket.accept()
    viewer = Viewer(camera, picture=socket.query_params.get("picture", "1") != "0")
    web.frames.enter(viewer)
    try:
        while camera in web.view.cameras():
            frame = await viewer.next(STATE_EVERY_S)
            if viewer.closed:
                break
            message = web.frames.state_message() if frame is None else web.frames.message(frame, viewer)
            async with asyncio.timeout(ACK_TIMEOUT_S):
                await socket.send_bytes(message)
                if len(await socket.receive_text()) > MAX_ACK:
                    break
    except (WebSocketDisconnect, TimeoutError, KeyError):  # KeyError: bytes where text is expected
        pass
    except asyncio.CancelledError:  # the server ends; uvicorn would log it as a fault
        pass
    finally:
        web.frames.leave(viewer)
        with suppress(Exception):
            async with asyncio.timeout(1):  # a client that does not read would block it without end
                await socket.close()


class Doctor:
    """Run `ferd doctor` in a thread, one at a time, and keep its findings for DOCTOR_CACHE_S."""

    def __init__(self) -> None:
        self._running = asyncio.Lock()
        self._kept: tuple[float, list[dict[str, Any]]] | None = None

    async def findings(self, web: WebServer) -> list[dict[str, Any]]:
        async with self._running:
            if self._kept is None or time.monotonic() - self._kept[0] > DOCTOR_CACHE_S:
                config = web.view.config
                found = await _in_daemon_thread(lambda: [asdict(finding) for finding in examine(config)])
                self._kept = time.monotonic(), found
            return self._kept[1]


async def _in_daemon_thread(work: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Run `work` in a thread that the end of the process does not wait for, as it would for asyncio's own."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[list[dict[str, Any]]] = loop.create_future()

    def finish(result: list[dict[str, Any]]) -> None:
        if not done.done():
            done.set_result(result)

    def run() -> None:
        result = work()
        with suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(finish, result)

    threading.Thread(target=run, name="page-doctor", daemon=True).start()
    return await done
