"""What a user set over MQTT and a restart must not forget: one small JSON file, written only when something changed."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ferd.fs import is_file, replace_file, state_dir
from ferd.policy.sensitivity import MIDDLE

LONGEST = 65536

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """Of one camera. ``enabled``: it is used. ``buzzer``: it may be heard. ``sensitivity``: 0 to 100."""

    enabled: bool = True
    buzzer: bool = True
    sensitivity: float = MIDDLE


class SettingsStore:
    """The switches of all cameras by name; of a camera that is not known, the defaults.

    A file that cannot be read or written is told and harms nothing: the switches then last until the restart.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cameras = dict(_read(path))

    @classmethod
    def of(cls, node_id: str | None) -> SettingsStore:
        """The file of this node in the state folder. ``node_id``: [node] id, for several ferds on one machine."""
        return cls(state_dir() / (f"switches-{node_id}.json" if node_id else "switches.json"))

    def switches(self, camera: str) -> CameraSettings:
        return self._cameras.get(camera, CameraSettings())

    def set(self, camera: str, switches: CameraSettings) -> None:
        if switches == self.switches(camera):
            return
        self._cameras[camera] = switches
        try:
            self._write()
        except OSError as error:
            log.warning("switches not kept file=%s reason=%r", self._path, error.strerror or str(error))

    def _write(self) -> None:
        content = {"v": 1, "cameras": {name: asdict(switches) for name, switches in self._cameras.items()}}
        replace_file(self._path, json.dumps(content))


def _read(path: Path) -> Mapping[str, CameraSettings]:
    if not is_file(path):
        return {}
    try:
        with path.open(encoding="utf-8") as file:
            cameras = json.loads(file.read(LONGEST))["cameras"]
        return {str(name): _switches(given) for name, given in cameras.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.warning("switches begin anew file=%s reason=%r", path, f"{type(error).__name__}: {error}")
        return {}


def _switches(given: Mapping[str, Any]) -> CameraSettings:
    """Each value that is as it should be; the default for every other."""
    default = CameraSettings()
    kept: dict[str, Any] = {}
    for field in fields(CameraSettings):
        value = given.get(field.name)
        if isinstance(value, bool) and isinstance(getattr(default, field.name), bool):
            kept[field.name] = value
    with contextlib.suppress(TypeError, ValueError):
        sensitivity = float(given.get("sensitivity", MIDDLE))
        if 0 <= sensitivity <= 100:
            kept["sensitivity"] = sensitivity
    return CameraSettings(**kept)
