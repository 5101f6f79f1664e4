"""Prints the schema as a commented TOML file (`ferd config default`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from ferd.config.alerts import AlertConfig
from ferd.config.models import CameraConfig, Config

HEAD = """\
# ferd's configuration: /etc/ferd/ferd.toml
# Every key stands here with its default; remove the # in front of what you change.
# Each can also be set by environment: FERD_MQTT__HOST=192.0.2.7 sets host in [mqtt].
# `ferd check` tells what is wrong in it.
"""

ALERT = {"name": "sad for long", "label": "sadness", "above": 0.6, "for_s": 30, "cooldown_s": 300, "buzzer": "chirp"}
"""A rule to start from, shown with every key: a rule without a name and a condition is none."""
EXAMPLE = """\
# More rules, each below a [[alerts]] of its own:
# [[alerts]]
# name = "nobody at the desk"
# faces = "absent"
# for_s = 600
# [[alerts]]
# name = "upset"
# any = [{label = "anger", above = 0.5}, {label = "fear", above = 0.5}]
# for_s = 10
"""


def default_toml() -> str:
    """A complete file in which every key is commented out, so that it means the same as no file."""
    parts = [HEAD]
    for name, field in Config.model_fields.items():
        if name == "cameras":
            parts.append("\n".join(_section("cameras.camera", CameraConfig)))
        elif name == "alerts":
            parts.append("\n".join([*_section("[alerts]", AlertConfig, ALERT), EXAMPLE]))
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            parts.append("\n".join(_section(name, field.annotation)))
    return "\n".join(parts)


def _section(name: str, model: type[BaseModel], example: Mapping[str, object] | None = None) -> Iterator[str]:
    """`example`: values that are shown in place of defaults."""
    yield f"# [{name}]"
    for key, field in model.model_fields.items():
        for line in (field.description or "").splitlines():
            yield f"#   {line.strip()}"
        default = (example or {}).get(key, field.get_default(call_default_factory=True))
        value = "" if default in (None, PydanticUndefined) else _toml(default)
        yield f"# {key} = {value}".rstrip()
    yield ""


def _toml(value: Any) -> str:
    """Strings, numbers, booleans and lists are written in TOML as in JSON."""
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
