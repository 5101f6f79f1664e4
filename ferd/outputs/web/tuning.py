"""Try other settings on the recorded minutes, use them, or write them into ferd.toml.

The replay feeds the recorded numbers to the same pure functions that the daemon runs.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any

import numpy as np
from fastapi import HTTPException
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field, ValidationError, WithJsonSchema
from starlette.requests import HTTPConnection

from ferd.config import (
    AlertConfig,
    Config,
    ExpressionConfig,
    FatigueConfig,
    Section,
    SmoothingConfig,
    check_labels,
    load_config,
)
from ferd.errors import FerdError
from ferd.extras import Environment
from ferd.models.registry import find_bundle
from ferd.outputs.web.api import Body, Camera, Web, make_router
from ferd.outputs.web.config_edit import Edit, edit_config, write_config
from ferd.outputs.web.history import UNKNOWN, RecordedFrame
from ferd.outputs.web.server import WebServer
from ferd.policy.sensitivity import factor
from ferd.policy.smoothing import SmoothingRules
from ferd.types import LEVELS, Reading
from ferd.vision.rules import make_alert_engine
from ferd.vision.track_smoothing import ExpressionSmoother

BIN_S = 0.5
"""Seconds that one number of a replay's answer stands for."""
FRAMES_PER_SLICE = 25
PAUSE_S = 0.004
"""The replay pauses after each slice: the loop that reads the cameras goes first."""

router = make_router()


def _partial(section: type[Section]) -> WithJsonSchema:
    """The JSON Schema of a section with all keys optional. Its values are checked by `apply_settings`."""
    properties = section.model_json_schema()["properties"]
    return WithJsonSchema({"type": "object", "properties": properties, "additionalProperties": False})


class AlertChange(Body):
    """Other values of the alert with this name."""

    model_config = ConfigDict(extra="allow")
    name: str


class SettingsBody(Body):
    """Settings that differ from those in force."""

    smoothing: Annotated[dict[str, Any], _partial(SmoothingConfig)] = Field(default_factory=dict)
    fatigue: Annotated[dict[str, Any], _partial(FatigueConfig)] = Field(default_factory=dict)
    expression: Annotated[dict[str, Any], _partial(ExpressionConfig)] = Field(default_factory=dict)
    alerts: list[AlertChange] = Field(default_factory=list)

    def settings(self) -> dict[str, Any]:
        return self.model_dump(include={"smoothing", "fatigue", "expression", "alerts"}, exclude_unset=True)


class SaveBody(SettingsBody):
    """``base``: digest of the file whose change was shown."""

    base: str | None = None


@router.get("/api/tune")
async def tunable(web: Web) -> JSONResponse:
    """What can be tuned: as it is in force, and as it is saved."""
    file, now = web.view.file(), tunable_settings(web.view.config)
    saved = now
    if file is not None:
        with suppress(FerdError):  # reported when it is to be changed
            saved = tunable_settings(load_config(file))
    return JSONResponse(now | {"file": None if file is None else str(file), "saved": saved})


@router.post("/api/cameras/{camera}/replay")
async def replay_camera(camera: Camera, body: SettingsBody, web: Web, connection: HTTPConnection) -> JSONResponse:
    """What was published in the last minutes, and what these settings would have published."""
    config = _changed_config(web, body)
    recorder = web.readings.recorders.get(camera)
    frames = recorder.frames() if recorder else []
    labels = list(recorder.labels) if recorder else []
    replayed = []
    async with connection.app.state.replay_lock:
        for number, frame in enumerate(replay(frames, labels, config, web.view.sensitivity(camera))):
            replayed.append(frame)
            if number % FRAMES_PER_SLICE == 0:
                await asyncio.sleep(PAUSE_S)
    return JSONResponse(
        {"width_s": BIN_S, "labels": labels, "told": summarise(frames, labels), "would": summarise(replayed, labels)}
    )


@router.post("/api/tune/use", status_code=202)
async def use(body: SettingsBody, web: Web) -> JSONResponse:
    """Use these settings until the next reload."""
    web.view.use(_changed_config(web, body))
    return JSONResponse({"asked": True}, 202)


@router.post("/api/tune/diff")
async def diff(body: SettingsBody, web: Web) -> JSONResponse:
    """What saving would change in ferd.toml, whether ferd may write it, and the commands for a change by hand.

    In the container image there are no commands: the file is the container's, mounted or made from options.
    """
    edit = _edit(web, body)
    shown = {"file": str(edit.path), "diff": edit.diff, "base": edit.base}
    commands = "" if Environment.here().is_image else f"sudoedit {edit.path}\nsudo systemctl reload ferd\n"
    return JSONResponse(shown | {"writable": edit.writable, "lines": edit.lines, "commands": commands})


@router.post("/api/tune/save")
async def save(body: SaveBody, web: Web) -> JSONResponse:
    """Write ferd.toml, if it is still the file whose change was shown, and use the settings."""
    edit = _edit(web, body)
    if body.base != edit.base:
        raise HTTPException(409, "the file has changed since it was shown: show the change again")
    try:
        write_config(edit)
    except FerdError as error:
        raise HTTPException(409, str(error)) from None
    web.view.use(_changed_config(web, body))
    return JSONResponse({"file": str(edit.path), "diff": edit.diff})


def apply_settings(config: Config, settings: Mapping[str, Any]) -> Config:
    """Replace values of smoothing, fatigue, model and alerts (by name). Raises ValueError with the reason."""
    if unknown := set(settings) - {"smoothing", "fatigue", "alerts", "expression"}:
        raise ValueError(f"{min(unknown)} cannot be tuned: only smoothing, fatigue, alerts and the model can")
    wanted = {alert["name"]: alert for alert in settings.get("alerts", [])}
    if unknown := set(wanted) - {alert.name for alert in config.alerts}:
        raise ValueError(f'no alert is called "{min(unknown)}"')

    def changed(section: Section, name: str) -> dict[str, Any]:
        # only what was set: another profile brings its own defaults
        return {**section.model_dump(exclude_unset=True), **settings.get(name, {})}

    return config.model_copy(
        update={
            "smoothing": SmoothingConfig.model_validate(changed(config.smoothing, "smoothing")),
            "fatigue": FatigueConfig.model_validate(changed(config.fatigue, "fatigue")),
            "expression": ExpressionConfig.model_validate(changed(config.expression, "expression")),
            "alerts": [
                AlertConfig.model_validate(alert.model_dump() | wanted.get(alert.name, {})) for alert in config.alerts
            ],
        }
    )


def replay(
    frames: Sequence[RecordedFrame], labels: Sequence[str], config: Config, sensitivity: float
) -> Iterator[RecordedFrame]:
    """Give the frames the labels and alert levels of `config`. Fatigue starts from nothing: PERCLOS needs a minute."""
    by = factor(sensitivity)
    smoother = ExpressionSmoother(labels, SmoothingRules(**config.smoothing.rules()))
    alerts = make_alert_engine(config)
    smoother.tune(by)
    alerts.tune(by)
    known: set[int] = set()  # a face that was never read in these minutes has nothing to smooth
    for frame in frames:
        scores = {face.id: np.frombuffer(face.scores, np.float32) for face in frame.faces if face.scores}
        signals = {face.id: face.signals for face in frame.faces if face.signals is not None}
        mouths = {face.id: face.mouth for face in frame.faces if face.mouth is not None}
        known |= scores.keys()
        tracks = [face.track() for face in frame.faces if face.id in known]
        reading = alerts(Reading(frame.t, smoother(frame.t, tracks, scores, signals, mouths), frame.main))
        main = reading.main_face
        level = reading.alerts[0].level if reading.alerts else "none"
        yield frame._replace(label=main.expression if main else None, level=level)


def summarise(frames: Sequence[RecordedFrame], labels: Sequence[str]) -> dict[str, list[int]]:
    """Label (index, UNKNOWN for none), alert level and frames by bins of BIN_S, the oldest first."""
    if not frames:
        return {"label": [], "level": [], "frames": []}
    first = frames[0].t
    bins = int((frames[-1].t - first) / BIN_S) + 1
    seen: list[Counter[int]] = [Counter() for _ in range(bins)]
    level, count = [0] * bins, [0] * bins
    for frame in frames:
        place = int((frame.t - first) / BIN_S)
        count[place] += 1
        level[place] = max(level[place], LEVELS.index(frame.level))
        if frame.label in labels:
            seen[place][labels.index(frame.label)] += 1
    return {"label": [c.most_common(1)[0][0] if c else UNKNOWN for c in seen], "level": level, "frames": count}


def tunable_settings(config: Config) -> dict[str, Any]:
    """The settings that can be tuned, as JSON values."""
    return {
        "smoothing": config.smoothing.model_dump(),
        "fatigue": config.fatigue.model_dump(),
        "alerts": [
            {"name": alert.name, "above": alert.above, "below": alert.below, "for_s": alert.for_s}
            for alert in config.alerts
        ],
    }


def _changed_config(web: WebServer, body: SettingsBody) -> Config:
    try:
        config = apply_settings(web.view.config, body.settings())
        if config.expression != web.view.config.expression:
            bundle = find_bundle(config.expression.model)
            check_labels(config.alerts, bundle.labels, bundle.name)
    except ValidationError as error:
        first = error.errors()[0]
        key, reason = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise HTTPException(400, f"{key}: {reason}".removeprefix(": ")) from None
    except (FerdError, ValueError) as error:
        raise HTTPException(400, str(error)) from None
    return config


def _edit(web: WebServer, body: SettingsBody) -> Edit:
    _changed_config(web, body)
    file = web.view.file()
    if file is None:
        raise HTTPException(409, "ferd runs without a file: `ferd config default > ferd.toml`, then --config ferd.toml")
    try:
        return edit_config(file, body.settings())
    except FerdError as error:
        raise HTTPException(409, str(error)) from None
