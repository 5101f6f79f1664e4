"""What the page asks for: state, history, health, switches, and the machine's own views of them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ferd.diagnostics.examine import examine
from ferd.outputs.mqtt.requests import SWITCHES
from ferd.outputs.web.daemon_view import DaemonView
from ferd.outputs.web.describe import Describer
from ferd.outputs.web.log_buffer import LogBuffer
from ferd.outputs.web.metrics import KIND, metrics
from ferd.outputs.web.openapi import Endpoint, describe
from ferd.outputs.web.sink import WebSink
from ferd.outputs.web.stream import FrameBroadcaster

EXAMINED_FOR_S = 20.0
"""The doctor is not asked again within so many seconds."""
SPANS = ("recent", "day")
CAMERA = {"camera": {"type": "string", "pattern": "^[a-z0-9-]{1,32}$"}}


class WrongError(Exception):
    """What is asked for cannot be; the text is the answer."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.status = status


async def tell_wrong(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, error.status if isinstance(error, WrongError) else 500)


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent. Raises WrongError."""
    try:
        body = await request.json()
    except (ValueError, RecursionError, ClientDisconnect):
        raise WrongError("send a JSON object") from None
    if not isinstance(body, dict):
        raise WrongError("send a JSON object")
    return body


def camera_in(request: Request, window: DaemonView) -> str:
    camera = str(request.path_params["camera"])
    if camera not in window.cameras():
        raise WrongError(f"there is no such camera; there are: {', '.join(window.cameras())}", 404)
    return camera


class Api:
    def __init__(
        self, window: DaemonView, onlooker: WebSink, studio: FrameBroadcaster, lines: LogBuffer, describer: Describer
    ) -> None:
        self._describer = describer
        self._window, self._onlooker, self._studio, self._lines = window, onlooker, studio, lines
        self._examining = asyncio.Lock()
        self._examined: tuple[float, list[dict[str, Any]]] | None = None
        self._described: dict[str, Any] = {}

    def endpoints(self) -> list[Endpoint]:
        history = {"span": {"type": "string", "enum": list(SPANS), "default": "recent"}}
        value = {
            "type": "object",
            "required": ["value"],
            "properties": {"value": {"type": ["boolean", "number", "string"]}},
        }
        switch: dict[str, dict[str, Any]] = {**CAMERA, "switch": {"type": "string", "enum": list(SWITCHES)}}
        return [
            Endpoint("GET", "/api/state", self.state, "Node, cameras, switches, broker."),
            Endpoint(
                "GET",
                "/api/cameras/{camera}/history",
                self.history,
                "The last 10 minutes or the day, in columns; 255 stands for unknown.",
                query=history,
                names=CAMERA,
                more=(400, 404),
            ),
            Endpoint(
                "POST",
                "/api/cameras/{camera}/{switch}",
                self.turn,
                "Sets a switch, as the MQTT command does.",
                body=value,
                names=switch,
                status=202,
                more=(404,),
            ),
            Endpoint("GET", "/api/health", self.health, "Figures, stages, model cards, last log lines."),
            Endpoint("POST", "/api/doctor", self.doctor, "What `ferd doctor` finds.", body={"type": "object"}),
            Endpoint("GET", "/api/openapi.json", self.openapi, "This description."),
            Endpoint("GET", "/healthz", self.healthz, "ok, or what stands still.", more=(503,), kind="text/plain"),
            Endpoint("GET", "/metrics", self.metrics, "For Prometheus.", kind="text/plain"),
        ]

    def describe(self, endpoints: Sequence[Endpoint]) -> None:
        self._described = describe(endpoints)

    async def state(self, _request: Request) -> Response:
        return JSONResponse(self.state_now())

    def state_now(self) -> dict[str, Any]:
        return self._describer.state(self._studio)

    async def history(self, request: Request) -> Response:
        camera, span = camera_in(request, self._window), request.query_params.get("span", "recent")
        if span not in SPANS:
            raise WrongError(f"span is one of {', '.join(SPANS)}")
        history = self._onlooker.histories.get(camera)
        answer: dict[str, Any] = {"camera": camera, "until": round(time.time(), 1), "width_s": 1.0, "labels": []}
        if history is not None:
            answer |= history.view(span, time.monotonic())
        return JSONResponse(answer | {"events": self._onlooker.events(camera)})

    async def turn(self, request: Request) -> Response:
        camera, switch = camera_in(request, self._window), str(request.path_params["switch"])
        if switch not in SWITCHES:
            raise WrongError(f"there is no such switch; there are: {', '.join(SWITCHES)}", 404)
        body = await body_of(request)
        if "value" not in body:
            raise WrongError('send {"value": …}')
        try:
            self._window.turn(camera, switch, body["value"])
        except ValueError as error:
            raise WrongError(str(error)) from None
        return JSONResponse({"asked": True}, 202)

    async def health(self, _request: Request) -> Response:
        stages = {name: watches.means() for name, watches in self._onlooker.stopwatches.items()}
        return JSONResponse(self._window.health() | {"stages": stages, "log": self._lines.lines()})

    async def doctor(self, _request: Request) -> Response:
        async with self._examining:
            now = time.monotonic()
            if self._examined is None or now - self._examined[0] > EXAMINED_FOR_S:
                config = self._window.config
                findings = await _aside(lambda: [asdict(finding) for finding in examine(config)])
                self._examined = time.monotonic(), findings
            return JSONResponse({"findings": self._examined[1]})

    async def openapi(self, _request: Request) -> Response:
        return JSONResponse(self._described)

    async def healthz(self, _request: Request) -> Response:
        alive = self._window.alive(time.monotonic())
        return PlainTextResponse("ok\n" if alive else "no camera gives a sign of life\n", 200 if alive else 503)

    async def metrics(self, _request: Request) -> Response:
        stages = {name: watches.means() for name, watches in self._onlooker.stopwatches.items()}
        return Response(metrics(self._window.state(), self._window.health(), stages), media_type=KIND)


async def _aside(work: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Runs it in a thread that the end of the process does not wait for, as it would for asyncio's own."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[list[dict[str, Any]]] = loop.create_future()

    def tell(result: list[dict[str, Any]]) -> None:
        if not done.done():
            done.set_result(result)

    def run() -> None:
        result = work()
        with suppress(RuntimeError):  # the page was closed meanwhile
            loop.call_soon_threadsafe(tell, result)

    threading.Thread(target=run, name="page-doctor", daemon=True).start()
    return await done
