"""Tune the thresholds of gestures from a practice on the page, and store them for the camera or forget them."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from pydantic import Field

from ferd.outputs.web.api import Body, Camera, Web, make_router
from ferd.policy.gesture_rules import GestureName
from ferd.policy.gesture_tuning import Practice, tune, valid_thresholds

MAX_ATTEMPTS = 100

router = make_router()


class PracticeBody(Body):
    """What was measured. ``peaks``: the largest strength after each request; ``unasked``: the largest one at rest."""

    gesture: GestureName
    peaks: list[float] = Field(max_length=MAX_ATTEMPTS)
    unasked: float


class ThresholdsBody(Body):
    """All thresholds that differ from the defaults."""

    thresholds: dict[str, float]


@router.post("/api/cameras/{camera}/gestures/practice")
async def practice(camera: Camera, body: PracticeBody) -> JSONResponse:  # noqa: ARG001  # the path has it
    """The threshold that follows from a practice, or why there is none. Nothing is changed."""
    try:
        result = tune(body.gesture, Practice(body.peaks, body.unasked))
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    return JSONResponse({"threshold": result.threshold, "seen": result.seen, "problem": result.problem})


@router.post("/api/cameras/{camera}/gestures", status_code=202)
async def use(camera: Camera, body: ThresholdsBody, web: Web) -> JSONResponse:
    """Use these thresholds from now on, also after a restart; those that are not named become the defaults."""
    try:
        thresholds: dict[Any, float] = dict(valid_thresholds(body.thresholds))
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    web.view.tune_gestures(camera, thresholds)
    return JSONResponse({"asked": True}, 202)
