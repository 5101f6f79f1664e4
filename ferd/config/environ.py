"""What the environment overrides: FERD_SECTION__KEY=value, FERD_CAMERAS__DESK__FPS=5."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from ferd.config.fields import Keys, field_of
from ferd.errors import ConfigError

PREFIX = "FERD_"
_YES = ("1", "true", "yes", "on")
_NO = ("0", "false", "no", "off")


def overlay(tree: dict[str, Any], environ: Mapping[str, str]) -> dict[Keys, str]:
    """Puts the variables over the tree of a TOML file; returns the variable's name by its keys."""
    names: dict[Keys, str] = {}
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or "__" not in name:
            continue
        keys = tuple(name.removeprefix(PREFIX).lower().split("__"))
        place: Any = tree
        for key in keys[:-1]:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise ConfigError(f"environment {name}: {key} is a value, not a section; unset the variable")
        place[keys[-1]] = _value(keys, value)
        names[keys] = name
    return names


def _value(keys: Keys, text: str) -> Any:
    """As the key wants it: text stays text ("42" is a good name), a switch knows yes and no, the rest is TOML."""
    field = field_of(keys)
    kinds = {field.annotation, *get_args(field.annotation)} if field else set()
    switch = bool in kinds or any(kind is True for kind in kinds)  # the latter: a choice with yes and no among it
    if switch and text.strip().lower() in (*_YES, *_NO):
        return text.strip().lower() in _YES
    if kinds & {str, Path} or any(isinstance(kind, str) for kind in kinds):  # the last: a choice of words
        return text
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text
