"""What other settings would have told of the last minutes: the same pure functions, fed with what was kept. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ferd.config import Config
from ferd.config.alerts import AlertConfig
from ferd.config.fatigue import FatigueConfig
from ferd.config.models import ExpressionConfig, SmoothingConfig
from ferd.outputs.web.recorder import Moment
from ferd.policy.sensitivity import factor
from ferd.policy.smoothing import SmoothingRules
from ferd.types import LEVELS, Reading
from ferd.vision.pipeline import ExpressionSmoother, make_alert_engine

WIDTH_S = 0.5
"""Seconds that one number of the answer stands for."""
NONE = 255


def changed(config: Config, given: Mapping[str, Any]) -> Config:
    """The configuration with other smoothing, fatigue, model and alerts (by name). Raises ValueError: the reason."""
    unknown = set(given) - {"smoothing", "fatigue", "alerts", "expression"}
    if unknown:
        raise ValueError(f"{sorted(unknown)[0]} cannot be tuned: only smoothing, fatigue, alerts and the model")
    alerts = given.get("alerts", [])
    if not isinstance(alerts, list) or not all(isinstance(a, dict) and isinstance(a.get("name"), str) for a in alerts):
        raise ValueError("alerts must be a list of objects, each with a name")
    wanted = {alert["name"]: alert for alert in alerts}
    if strange := set(wanted) - {alert.name for alert in config.alerts}:
        raise ValueError(f'no alert is called "{sorted(strange)[0]}"')
    return config.model_copy(
        update={
            "smoothing": SmoothingConfig.model_validate(config.smoothing.model_dump() | _keys(given, "smoothing")),
            "fatigue": FatigueConfig.model_validate(config.fatigue.model_dump() | _keys(given, "fatigue")),
            "expression": ExpressionConfig.model_validate(config.expression.model_dump() | _keys(given, "expression")),
            "alerts": [
                AlertConfig.model_validate(alert.model_dump() | wanted.get(alert.name, {})) for alert in config.alerts
            ],
        }
    )


def replayed(moments: Sequence[Moment], labels: Sequence[str], config: Config, sensitivity: float) -> Iterator[Moment]:
    """The moments as they would have been told. Fatigue begins anew with the first: PERCLOS needs a minute."""
    by = factor(sensitivity)
    mind, watch = ExpressionSmoother(labels, SmoothingRules(**config.smoothing.model_dump())), make_alert_engine(config)
    mind.tune(by)
    watch.tune(by)
    known: set[int] = set()  # who was never read within these minutes has nothing to be smoothed
    for moment in moments:
        scores = {kept.id: np.frombuffer(kept.scores, np.float32) for kept in moment.faces if kept.scores}
        signals = {kept.id: kept.signals for kept in moment.faces if kept.signals is not None}
        known |= scores.keys()
        tracks = [kept.track() for kept in moment.faces if kept.id in known]
        reading = watch(Reading(moment.t, mind(moment.t, tracks, scores, signals), moment.main))
        main = reading.main_face
        level = reading.alerts[0].level if reading.alerts else "none"
        yield moment._replace(told=main.expression if main else None, level=level)


def strip(moments: Sequence[Moment], labels: Sequence[str]) -> dict[str, list[int]]:
    """Label (index, NONE for nothing) and alert level by WIDTH_S, the oldest first."""
    if not moments:
        return {"label": [], "level": [], "frames": []}
    first = moments[0].t
    bins = int((moments[-1].t - first) / WIDTH_S) + 1
    seen: list[Counter[int]] = [Counter() for _ in range(bins)]
    level, frames = [0] * bins, [0] * bins
    for moment in moments:
        place = int((moment.t - first) / WIDTH_S)
        frames[place] += 1
        level[place] = max(level[place], LEVELS.index(moment.level))
        if moment.told in labels:
            seen[place][labels.index(moment.told)] += 1
    return {"label": [c.most_common(1)[0][0] if c else NONE for c in seen], "level": level, "frames": frames}


def settings(config: Config) -> dict[str, Any]:
    """What can be tuned, with its values."""
    return {
        "smoothing": config.smoothing.model_dump(),
        "fatigue": config.fatigue.model_dump(),
        "alerts": [
            {"name": alert.name, "above": alert.above, "below": alert.below, "for_s": alert.for_s}
            for alert in config.alerts
        ],
    }


def _keys(given: Mapping[str, Any], section: str) -> dict[str, Any]:
    value = given.get(section, {})
    if not isinstance(value, dict):
        raise ValueError(f"{section} must be an object")  # noqa: TRY004  # told as any other wrong value
    return value
