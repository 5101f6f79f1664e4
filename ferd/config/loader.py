"""Read a TOML file and environment variables into a Config, or report every error with its line and remedy."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError

from ferd.config.messages import Keys, explain, explain_syntax, field_of, location
from ferd.config.schema.root import Config
from ferd.encodings import EncodingError, decode_text
from ferd.errors import ConfigError
from ferd.fs import exists

SYSTEM_FILE = Path("/etc/ferd/ferd.toml")
ENV_PREFIX = "FERD_"
"""Environment variables override the file: FERD_SECTION__KEY=value, FERD_CAMERAS__DESK__FPS=5."""
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


def load_config(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Load the configuration.

    Args:
        path: The file to read. None: the system's file if it exists, else the defaults.
        environ: Environment variables; those that start with FERD_ and contain __ override keys of the file.

    Raises:
        ConfigError: One line for each error: file and line (or variable), key, what is wrong, remedy.
    """
    if path is None and exists(SYSTEM_FILE):
        path = SYSTEM_FILE
    text = read_file(path) if path else ""
    tree = parse_toml(text, path)
    variables = _apply_environment(tree, environ or {})
    try:
        return Config.model_validate(tree, context={"folder": path.resolve().parent} if path else None)
    except ValidationError as error:
        lines = [explain(problem, text, path, variables) for problem in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def locate(text: str, path: Path | None, environ: Mapping[str, str] | None = None) -> str:
    """Put file and line (or the variable) in front of each line of an error that begins with a key.

    For errors that show only when a file or a model that the configuration names is read:
    "mqtt.password_file: …" becomes "/etc/ferd/ferd.toml:12: mqtt.password_file: …".
    """
    try:
        source = read_file(path) if path else ""
        variables = _apply_environment({}, environ or {})
    except ConfigError:
        return text
    return "\n".join(_with_place(line, source, path, variables) for line in text.splitlines())


def _with_place(line: str, source: str, path: Path | None, variables: Mapping[Keys, str]) -> str:
    keys = key_at_start(line)
    return f"{location(keys, source, path, variables)}: {line}" if keys else line


def key_at_start(line: str) -> Keys:
    """Return the key with which the line of an error begins; () where it begins with none."""
    found = re.match(r"([a-z]+(?:\.[a-z0-9_-]+)*)(?=[:= ])", line)
    keys: Keys = tuple(found[1].split(".")) if found else ()
    if len(keys) < 2 and keys != ("alerts",):
        return ()
    return keys if field_of(keys) is not None else ()


def read_file(path: Path) -> str:
    """Return the text of a file. Raises ConfigError with the reason and the remedy."""
    try:
        return decode_text(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file. `ferd config default > {path}` writes one to start from") from None
    except EncodingError as error:
        raise ConfigError(f"{path}: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Check its owner and mode") from None


def parse_toml(text: str, path: Path | None) -> dict[str, Any]:
    """Return the values of a file. Raises ConfigError with line, reason and remedy."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(explain_syntax(str(error), text, path)) from None


def _apply_environment(tree: dict[str, Any], environ: Mapping[str, str]) -> dict[Keys, str]:
    """Write the variables into the tree of a TOML file. Returns the name of each variable by its keys."""
    names: dict[Keys, str] = {}
    for name, value in sorted(environ.items()):
        if not name.startswith(ENV_PREFIX) or "__" not in name:
            continue
        keys = tuple(name.removeprefix(ENV_PREFIX).lower().split("__"))
        section: Any = tree
        for key in keys[:-1]:
            section = section.setdefault(key, {})
            if not isinstance(section, dict):
                raise ConfigError(f"environment {name}: {key} is a value, not a section; unset the variable")
        section[keys[-1]] = _environment_value(keys, value)
        names[keys] = name
    return names


def _environment_value(keys: Keys, text: str) -> Any:
    """Convert to the type of the key: text stays text ("42" is a valid name), booleans know yes and no, else TOML."""
    field = field_of(keys)
    is_list = field is not None and get_origin(field.annotation) is list
    types = {field.annotation, *get_args(field.annotation)} if field and not is_list else set()
    boolean = bool in types or any(kind is True for kind in types)  # the latter: a Literal that contains True
    if boolean and text.strip().lower() in (*_TRUE, *_FALSE):
        return text.strip().lower() in _TRUE
    if types & {str, Path} or any(isinstance(kind, str) for kind in types):  # the latter: a Literal of words
        return text
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text
