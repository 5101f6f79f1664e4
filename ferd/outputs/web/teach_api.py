"""Teach: classes, samples while a button is held, training. Using the model goes by /api/tune."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ferd.errors import FerdError
from ferd.outputs.web.api import WrongError, body_of
from ferd.outputs.web.daemon_view import DaemonView
from ferd.outputs.web.openapi import Endpoint
from ferd.outputs.web.training import LONGEST_LABEL, TrainingManager


def _object(*keys: str, **optional: str) -> dict[str, Any]:
    """The schema of an object of texts: ``keys`` must be there."""
    text = {"type": "string", "minLength": 1, "maxLength": LONGEST_LABEL}
    return {"type": "object", "required": list(keys), "properties": dict.fromkeys((*keys, *optional), text)}


class TeachApi:
    def __init__(self, window: DaemonView, teacher: TrainingManager) -> None:
        self._window, self._teacher = window, teacher

    def endpoints(self) -> list[Endpoint]:
        record, name = _object("camera", "label"), _object("name")
        name["properties"]["adapt"] = {"type": "boolean", "default": False}
        return [
            Endpoint("GET", "/api/teach", self.teaching, "Classes, warnings, and how the training goes."),
            Endpoint(
                "POST", "/api/teach/record", self.record, "Records a class for 2.5 s more.", body=record, status=202
            ),
            Endpoint("POST", "/api/teach/pause", self.pause, "Ends the recording.", body=_object(), status=202),
            Endpoint("POST", "/api/teach/forget", self.forget, "Forgets a class, or all.", body=_object(label="")),
            Endpoint(
                "POST",
                "/api/teach/train",
                self.train,
                "Begins to train; adapt: corrects ferd's own model.",
                body=name,
                status=202,
            ),
        ]

    async def teaching(self, _request: Request) -> Response:
        return JSONResponse(self._teacher.status() | {"model": self._window.config.expression.model})

    async def record(self, request: Request) -> Response:
        body = await body_of(request)
        camera, label = _text(body, "camera"), _text(body, "label")
        if camera not in self._window.cameras():
            raise WrongError("there is no such camera", 400)
        return self._done(lambda: self._teacher.record(camera, label))

    async def pause(self, request: Request) -> Response:
        await body_of(request)
        return self._done(self._teacher.pause)

    async def forget(self, request: Request) -> Response:
        body = await body_of(request)
        label = _text(body, "label") if "label" in body else None
        return self._done(lambda: self._teacher.forget(label), 200)

    async def train(self, request: Request) -> Response:
        body = await body_of(request)
        name, adapt = _text(body, "name"), body.get("adapt", False)
        if not isinstance(adapt, bool):
            raise WrongError("adapt is true or false")
        return self._done(lambda: self._teacher.train(name, adapt=adapt))

    def _done(self, deed: Any, status: int = 202) -> Response:
        try:
            deed()
        except FerdError as error:
            raise WrongError(str(error)) from None
        return JSONResponse(self._teacher.status(), status)


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise WrongError(f'send {{"{key}": "…"}}')
    return value
