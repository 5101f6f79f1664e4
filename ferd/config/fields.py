"""Where a key stands in the schema."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ferd.config.models import Config

Keys = tuple[str | int, ...]


def section_of(keys: Keys) -> type[BaseModel] | None:
    """The schema class that holds the last of `keys`; None where there is none."""
    model: Any = Config
    for key in keys[:-1]:
        section = _as_section(model)
        if section is None:
            model = _inner(model)  # a dict of sections ([cameras.NAME]): the key is a user's name
            continue
        field = section.model_fields.get(str(key))
        model = field.annotation if field else None
    return _as_section(model) or _inner(model)


def field_of(keys: Keys) -> FieldInfo | None:
    """The field that `keys` lead to; of a part of a list, the list's."""
    while keys and isinstance(keys[-1], int):
        keys = keys[:-1]
    section = section_of(keys) if keys else None
    return section.model_fields.get(str(keys[-1])) if section else None


def _as_section(model: Any) -> type[BaseModel] | None:
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _inner(model: Any) -> type[BaseModel] | None:
    return next((found for part in get_args(model) if (found := _as_section(part))), None)
