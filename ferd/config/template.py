"""Print the schema as a commented TOML file (`ferd config default`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from ferd.config.schema.alerts import AlertConfig
from ferd.config.schema.cameras import CameraConfig
from ferd.config.schema.root import Config

HEAD = """\
# ferd's configuration: /etc/ferd/ferd.toml
# Every key is listed with its default; remove the # in front of what you change. The [sections] stay as they are.
# Environment variables override keys: FERD_MQTT__HOST=192.0.2.7 sets host in [mqtt].
# `ferd check` validates this file.
"""

ALERT = {"name": "sad for long", "label": "sadness", "above": 0.6, "for_s": 30, "cooldown_s": 300, "buzzer": "chirp"}
"""The example rule. It is printed with every key, because a rule needs a name and a condition to be valid."""
EXAMPLE = """\
# More rules, each below its own [[alerts]]:
# [[alerts]]
# name = "nobody at the desk"
# faces = "absent"
# for_s = 600
# [[alerts]]
# name = "upset"
# any = [{label = "anger", above = 0.5}, {label = "fear", above = 0.5}]
# for_s = 10
"""
CAMERAS = """\
# One section for each camera; the word after the dot is its name in topics. Rename this one, and add others.
"""


def default_toml() -> str:
    """Return a complete file in which every key is commented out, so that it is equivalent to no file.

    The headers of the sections are not: a key that is uncommented is then in its section.
    """
    parts = [HEAD]
    for name, field in Config.model_fields.items():
        if name == "cameras":
            parts.append(CAMERAS + "\n".join(_section("cameras.camera", CameraConfig)))
        elif name == "alerts":
            parts.append("\n".join([*_section("[alerts]", AlertConfig, ALERT), EXAMPLE]))
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            parts.append("\n".join(_section(name, field.annotation)))
    return "\n".join(parts)


def _section(name: str, model: type[BaseModel], example: Mapping[str, object] | None = None) -> Iterator[str]:
    """The lines of one section. `example`: values that replace the defaults of a section that is not valid when empty;
    its header is commented out as well."""
    yield f"# [{name}]" if example else f"[{name}]"
    for key, field in model.model_fields.items():
        for line in (field.description or "").splitlines():
            yield f"#   {line.strip()}"
        default = (example or {}).get(key, field.get_default(call_default_factory=True))
        value = "" if default in (None, PydanticUndefined) else _toml(default)
        yield f"# {key} = {value}".rstrip()
    yield ""


def _toml(value: Any) -> str:
    """The value as TOML, which writes strings, numbers, booleans and lists as JSON does."""
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
