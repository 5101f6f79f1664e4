"""What a user set over MQTT or on the page and a restart must keep: one small JSON file per node."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ferd.fs import is_file, replace_file, state_dir
from ferd.policy.gesture_rules import GestureName
from ferd.policy.gesture_tuning import valid_thresholds
from ferd.policy.sensitivity import MIDDLE

MAX_BYTES = 65536
"""Nothing is read beyond this size: eight cameras need less than 1 kB."""

SAVE_EVERY_S = 1.0
"""Minimum interval between two writes: an automation that turns a switch ten times a second must not wear the card."""

log = logging.getLogger(__name__)

Submit = Callable[[Callable[[], None]], None]
"""Run a function, now or later, in another thread or this one. It must not run two at the same time."""
SubmitLater = Callable[[Callable[[], None], float], None]
"""The same, after a delay in seconds."""


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """Settings of one camera.

    Attributes:
        enabled: it is used.
        buzzer: its alerts may sound.
        sensitivity: 0 to 100.
        gestures: thresholds of gestures that were tuned for the person before it (policy/gesture_tuning.py).
    """

    enabled: bool = True
    buzzer: bool = True
    sensitivity: float = MIDDLE
    gestures: Mapping[GestureName, float] = field(default_factory=dict)


class SettingsStore:
    """The settings of all cameras by name; of an unknown camera, the defaults.

    `set` changes the value at once and hands the write, which waits for the disk, to `submit`, or within
    SAVE_EVERY_S of the last one to `submit_later`, if there is one. At most one write is pending; it writes the latest
    values. A file that cannot be read or written is logged: the settings then last until the restart.
    """

    def __init__(
        self,
        path: Path,
        submit: Submit = lambda write: write(),
        submit_later: SubmitLater | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._submit, self._submit_later, self._clock = submit, submit_later, clock
        self._written_at = float("-inf")
        self._lock = threading.Lock()
        self._cameras = dict(_read(path))
        self._write_pending = False

    @classmethod
    def of(
        cls,
        node_id: str | None,
        submit: Submit = lambda write: write(),
        submit_later: SubmitLater | None = None,
    ) -> SettingsStore:
        """Open the file of the ferd with this [node] id; one machine can run several."""
        return cls(state_dir() / (f"switches-{node_id}.json" if node_id else "switches.json"), submit, submit_later)

    def switches(self, camera: str) -> CameraSettings:
        """Return the settings of a camera."""
        with self._lock:
            return self._cameras.get(camera, CameraSettings())

    def set(self, camera: str, settings: CameraSettings) -> None:
        """Change the settings of a camera and submit a write if they differ and none is pending."""
        with self._lock:
            if settings == self._cameras.get(camera, CameraSettings()):
                return
            self._cameras[camera] = settings
            if self._write_pending:
                return
            self._write_pending = True
            delay_s = self._written_at + SAVE_EVERY_S - self._clock()
        try:
            if delay_s > 0 and self._submit_later is not None:
                self._submit_later(self._write, delay_s)
            else:
                self._submit(self._write)
        except BaseException:
            with self._lock:
                self._write_pending = False  # else no later change would ever be written
            raise

    def _write(self) -> None:
        with self._lock:
            self._write_pending, self._written_at = False, self._clock()
            content = {"v": 1, "cameras": {name: asdict(settings) for name, settings in self._cameras.items()}}
        try:
            replace_file(self._path, json.dumps(content))
        except OSError as error:
            log.warning("settings not saved file=%s reason=%r", self._path, error.strerror or str(error))


def _read(path: Path) -> Mapping[str, CameraSettings]:
    if not is_file(path):
        return {}
    try:
        with path.open(encoding="utf-8") as file:
            cameras = json.loads(file.read(MAX_BYTES))["cameras"]
        return {str(name): _settings(given, f"file={path} camera={name}") for name, given in cameras.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.warning("settings reset to defaults file=%s reason=%r", path, f"{type(error).__name__}: {error}")
        return {}


def _settings(given: Mapping[str, Any], where: str) -> CameraSettings:
    """Take each valid value, and the default for every other. ``where``: for the log."""
    default = CameraSettings()
    valid: dict[str, Any] = {}
    for one in fields(CameraSettings):
        value = given.get(one.name)
        if isinstance(value, bool) and isinstance(getattr(default, one.name), bool):
            valid[one.name] = value
    try:
        valid["gestures"] = valid_thresholds(given.get("gestures", {}))
    except (ValueError, TypeError, AttributeError) as error:
        log.warning("thresholds of gestures reset to defaults %s reason=%r", where, str(error))
    with contextlib.suppress(TypeError, ValueError):
        sensitivity = float(given.get("sensitivity", MIDDLE))
        if 0 <= sensitivity <= 100:
            valid["sensitivity"] = sensitivity
    return CameraSettings(**valid)
