"""Prints the schema as a commented TOML file (`ferd config default`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ferd.config.schema import CameraConfig, Config

HEAD = """\
# ferd's configuration: /etc/ferd/ferd.toml
# Every key stands here with its default; remove the # in front of what you change.
# Each can also be set by environment: FERD_MQTT__HOST=192.0.2.7 sets host in [mqtt].
# `ferd check` tells what is wrong in it.
"""


def default_toml() -> str:
    """A complete file in which every key is commented out, so that it means the same as no file."""
    parts = [HEAD]
    for name, field in Config.model_fields.items():
        if name == "cameras":
            parts.append("\n".join(_section("cameras.camera", CameraConfig)))
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            parts.append("\n".join(_section(name, field.annotation)))
    return "\n".join(parts)


def _section(name: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"# [{name}]"
    for key, field in model.model_fields.items():
        for line in (field.description or "").splitlines():
            yield f"#   {line.strip()}"
        default = field.get_default(call_default_factory=True)
        value = "" if default is None else _toml(default)
        yield f"# {key} = {value}".rstrip()
    yield ""


def _toml(value: Any) -> str:
    """Strings, numbers, booleans and lists are written in TOML as in JSON."""
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
