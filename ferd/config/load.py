"""Reads a TOML file and the environment into a Config, or says which line is wrong and what to do."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ferd.config.schema import NAME_PATTERN, Config
from ferd.errors import ConfigError

SYSTEM_FILE = Path("/etc/ferd/ferd.toml")
ENV_PREFIX = "FERD_"

Keys = tuple[str | int, ...]


def load_config(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Config from `path` (or the system's file if it is there, or the defaults), overridden by the environment.

    Raises ConfigError with one line an error: file, line, key, what is wrong, remedy.
    """
    if path is None and SYSTEM_FILE.exists():
        path = SYSTEM_FILE
    text = _read(path) if path else ""
    tree = _parse(text, path)
    from_env = _overlay(tree, environ or {})
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        lines = [_explain(e, text, path, from_env) for e in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file. `ferd config default > {path}` writes one to start from") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file in UTF-8. Is it really a TOML configuration?") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Check its owner and mode") from None


def _parse(text: str, path: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path}: not valid TOML: {error}. Text needs quotes, sections look like [mqtt]; "
            "`ferd config default` shows a whole file"
        ) from None


def _overlay(tree: dict[str, Any], environ: Mapping[str, str]) -> dict[Keys, str]:
    """Puts FERD_SECTION__KEY=value over the tree. A value is read as TOML where it is that, else as text."""
    names: dict[Keys, str] = {}
    for name, value in sorted(environ.items()):
        if not name.startswith(ENV_PREFIX) or "__" not in name:
            continue
        keys = tuple(name.removeprefix(ENV_PREFIX).lower().split("__"))
        place: Any = tree
        for key in keys[:-1]:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise ConfigError(f"environment {name}: {key} is not a section")
        place[keys[-1]] = _env_value(value)
        names[keys] = name
    return names


def _env_value(value: str) -> Any:
    try:
        return tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        return value


def _explain(error: ErrorDetails, text: str, path: Path | None, from_env: Mapping[Keys, str]) -> str:
    keys = tuple(k for k in error["loc"] if k != "[key]")
    where = _place(keys, text, path, from_env)
    dotted = ".".join(str(k) for k in keys)
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"{where}: unknown key {dotted}. {_did_you_mean(keys)}"
    if kind == "string_pattern_mismatch" and error.get("ctx", {}).get("pattern") == NAME_PATTERN:
        return f"{where}: {dotted} = {error['input']!r}: use 1 to 32 of a-z, 0-9 and hyphen, as it stands in topics"
    message = error["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    given = "" if isinstance(error["input"], dict) else f" = {error['input']!r}"
    if dotted == "mqtt.password":
        given = ""
    remedy = "" if kind == "value_error" else f". {_meaning(keys)}"
    return f"{where}: {dotted}{given}: {message}{remedy}".rstrip(". ")


def _place(keys: Keys, text: str, path: Path | None, from_env: Mapping[Keys, str]) -> str:
    for size in range(len(keys), 0, -1):
        if keys[:size] in from_env:
            return f"environment {from_env[keys[:size]]}"
    line = line_of(text, keys)
    return f"{path}:{line}" if line else str(path or "configuration")


def line_of(text: str, keys: Iterable[str | int]) -> int | None:
    """The line (from 1) on which a key's statement begins, or its section's; None if it is not in the text.

    Asks the TOML parser itself with ever longer heads of the file, so that every way to write a key is met.
    Only used to tell an error, so its quadratic cost does not matter.
    """
    keys = tuple(keys)
    lines = text.splitlines(keepends=True)
    for size in range(len(keys), 0, -1):
        begin = 1
        for end in range(1, len(lines) + 1):
            try:
                tree: Any = tomllib.loads("".join(lines[:end]))
            except tomllib.TOMLDecodeError:
                continue  # in the middle of a value over several lines
            if _has(tree, keys[:size]):
                return begin
            begin = end + 1
    return None


def _has(tree: Any, keys: Keys) -> bool:
    for key in keys:
        try:
            tree = tree[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _section_of(keys: Keys) -> type[BaseModel] | None:
    """The schema class that holds the last of `keys`."""
    model: Any = Config
    for key in keys[:-1]:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            # a dict of sections ([cameras.NAME]): the key is a user's name
            model = next((a for a in get_args(model) if isinstance(a, type) and issubclass(a, BaseModel)), None)
            continue
        field = model.model_fields.get(str(key))
        model = field.annotation if field else None
    if isinstance(model, type) and issubclass(model, BaseModel):
        return model
    return next((a for a in get_args(model) if isinstance(a, type) and issubclass(a, BaseModel)), None)


def _did_you_mean(keys: Keys) -> str:
    section = _section_of(keys)
    known = list(section.model_fields) if section else []
    close = difflib.get_close_matches(str(keys[-1]), known, n=1, cutoff=0.5)
    if str(keys[-1]) in ("password", "passwd", "pass") and "password_file" in known:
        return "Secrets do not stand in the configuration: put it in a file of its own and name it in password_file"
    if close:
        return f"Did you mean {close[0]}?"
    return f"Known here: {', '.join(known)}" if known else "`ferd config default` lists all keys"


def _meaning(keys: Keys) -> str:
    section = _section_of(keys)
    field = section.model_fields.get(str(keys[-1])) if section else None
    return " ".join((field.description or "").split()) if field else ""
