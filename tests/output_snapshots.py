"""Snapshots for the tests of outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ferd.config import CameraConfig, Config
from ferd.settings_store import CameraSettings
from ferd.snapshot import CameraSnapshot, CameraStatus, Counters, ModelInfo, Snapshot
from ferd.types import Alert, Reading

MODEL = ModelInfo("expression", ("happiness", "neutral"), "face", "litert")


def camera(
    name: str = "cabin",
    status: CameraStatus = "online",
    alerts: Sequence[Alert] | None = (),
    *,
    settings: CameraSettings | None = None,
    attempts: int = 0,
    **counters: Any,
) -> CameraSnapshot:
    """A camera whose reading has these alerts; None: no reading."""
    reading = None if alerts is None else Reading(0.0, alerts=tuple(alerts))
    return CameraSnapshot(
        name,
        CameraConfig(),
        settings or CameraSettings(),
        status,
        reading=reading,
        counters=replace(Counters(), **counters),
        attempts=attempts,
    )


def snapshot(*cameras: CameraSnapshot, config: Config | None = None, at: float = 0.0, **keys: Any) -> Snapshot:
    by_name = {one.name: one for one in cameras}
    return Snapshot(at, keys.pop("wall", 1e9 + at), config or Config(), MODEL, by_name, **keys)
