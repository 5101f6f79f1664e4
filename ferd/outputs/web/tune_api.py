"""Tune: other settings act on the last minutes, are used, or are written into ferd.toml."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ferd.config import Config, load_config
from ferd.config.alerts import check_labels
from ferd.config.fatigue import FatigueConfig
from ferd.config.models import ExpressionConfig, SmoothingConfig
from ferd.config.types import Section
from ferd.errors import FerdError
from ferd.models.registry import find_bundle
from ferd.outputs.web.api import CAMERA, WrongError, body_of, camera_in
from ferd.outputs.web.daemon_view import DaemonView
from ferd.outputs.web.openapi import Endpoint
from ferd.outputs.web.save import Change, change, write
from ferd.outputs.web.sink import WebSink
from ferd.outputs.web.tune import WIDTH_S, changed, replayed, settings, strip

PORTION = 25
PAUSE_S = 0.004
"""After so many frames the replay rests: the loop that reads the cameras goes first."""


def _section(section: type[Section]) -> dict[str, Any]:
    """Its JSON Schema, all keys optional."""
    return {"type": "object", "properties": section.model_json_schema()["properties"], "additionalProperties": False}


_PROPERTIES: dict[str, Any] = {
    "smoothing": _section(SmoothingConfig),
    "fatigue": _section(FatigueConfig),
    "expression": _section(ExpressionConfig),
    "alerts": {
        "type": "array",
        "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    },
}
SETTINGS = {"type": "object", "properties": _PROPERTIES, "additionalProperties": False}
SAVE = {
    "type": "object",
    "required": ["base"],
    "properties": {**_PROPERTIES, "base": {"type": "string"}},
    "additionalProperties": False,
}


class TuneApi:
    def __init__(self, window: DaemonView, onlooker: WebSink) -> None:
        self._window, self._onlooker = window, onlooker
        self._replaying = asyncio.Lock()

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint("GET", "/api/tune", self.settings, "What can be tuned, as it stands now, and as it is saved."),
            Endpoint(
                "POST",
                "/api/cameras/{camera}/replay",
                self.replay,
                "What was told of the last minutes, and what these settings would have told.",
                body=SETTINGS,
                names=CAMERA,
                more=(404,),
            ),
            Endpoint(
                "POST",
                "/api/tune/use",
                self.use,
                "Uses these settings until the next reload.",
                body=SETTINGS,
                status=202,
            ),
            Endpoint(
                "POST",
                "/api/tune/diff",
                self.diff,
                "What saving would change in ferd.toml, and whether ferd may.",
                body=SETTINGS,
                more=(409,),
            ),
            Endpoint(
                "POST", "/api/tune/save", self.save, "Writes it, if the file is as shown.", body=SAVE, more=(409,)
            ),
        ]

    async def settings(self, _request: Request) -> Response:
        file, now = self._window.file(), settings(self._window.config)
        saved = now
        if file is not None:
            with suppress(FerdError):  # one that cannot be read is told when it is to be changed
                saved = settings(load_config(file))
        return JSONResponse(now | {"file": None if file is None else str(file), "saved": saved})

    async def replay(self, request: Request) -> Response:
        camera = camera_in(request, self._window)
        config = self._changed(await body_of(request))
        recorder = self._onlooker.recorders.get(camera)
        moments = recorder.moments() if recorder else []
        labels = list(recorder.labels) if recorder else []
        would = []
        async with self._replaying:
            for number, moment in enumerate(replayed(moments, labels, config, self._window.sensitivity(camera))):
                would.append(moment)
                if number % PORTION == 0:
                    await asyncio.sleep(PAUSE_S)
        return JSONResponse(
            {"width_s": WIDTH_S, "labels": labels, "told": strip(moments, labels), "would": strip(would, labels)}
        )

    async def use(self, request: Request) -> Response:
        self._window.use(self._changed(await body_of(request)))
        return JSONResponse({"asked": True}, 202)

    async def diff(self, request: Request) -> Response:
        made = self._change(await body_of(request))
        shown = {"file": str(made.path), "diff": made.diff, "base": made.base}
        return JSONResponse(shown | {"writable": made.writable, "lines": made.lines})

    async def save(self, request: Request) -> Response:
        body = await body_of(request)
        base = body.pop("base", None)
        made = self._change(body)
        if base != made.base:
            raise WrongError("the file is not as it was shown: look at the difference once more", 409)
        try:
            write(made)
        except FerdError as error:
            raise WrongError(str(error), 409) from None
        self._window.use(self._changed(body))
        return JSONResponse({"file": str(made.path), "diff": made.diff})

    def _changed(self, body: dict[str, Any]) -> Config:
        try:
            config = changed(self._window.config, body)
            if config.expression != self._window.config.expression:
                bundle = find_bundle(config.expression.model)
                check_labels(config.alerts, bundle.labels, bundle.name)
        except FerdError as error:
            raise WrongError(str(error)) from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WrongError(_told(error)) from None
        return config

    def _change(self, body: dict[str, Any]) -> Change:
        self._changed(body)
        file = self._window.file()
        if file is None:
            raise WrongError(
                "ferd runs without a file: `ferd config default > ferd.toml`, then --config ferd.toml", 409
            )
        try:
            return change(file, body)
        except FerdError as error:
            raise WrongError(str(error), 409) from None


def _told(error: Exception) -> str:
    """The first problem of a validation, with its key."""
    problems = getattr(error, "errors", None)
    if problems is None:
        return str(error) or type(error).__name__
    first = problems()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")
