"""Reads a TOML file and the environment into a Config, or says which line is wrong and what to do."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ferd.config.environ import overlay
from ferd.config.messages import explain
from ferd.config.models import Config
from ferd.errors import ConfigError
from ferd.fs import exists

SYSTEM_FILE = Path("/etc/ferd/ferd.toml")


def load_config(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Config from `path` (or the system's file if it is there, or the defaults), overridden by the environment.

    Raises ConfigError with one line an error: file, line, key, what is wrong, remedy.
    """
    if path is None and exists(SYSTEM_FILE):
        path = SYSTEM_FILE
    text = _read(path) if path else ""
    tree = _parse(text, path)
    from_env = overlay(tree, environ or {})
    try:
        return Config.model_validate(tree, context={"folder": path.resolve().parent} if path else None)
    except ValidationError as error:
        lines = [explain(e, text, path, from_env) for e in error.errors()]
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
