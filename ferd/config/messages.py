"""Turns what the schema found wrong into a line that a user can act on: where, which key, what, remedy."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

from ferd.config.fields import Keys, field_of, section_of
from ferd.config.source import redact
from ferd.config.types import NAME_PATTERN

_PLAIN_WORDS = {
    "bool_type": "must be true or false",
    "dict_type": "must be a section: [name] on a line of its own, its keys below",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list in brackets",
    "missing": "something is missing",
    "model_type": "must be a section: [name] on a line of its own, its keys below",
    "path_type": "must be text in quotes",
    "string_type": "must be text in quotes",
    "tuple_type": "must be a list in brackets",
}


def explain(error: ErrorDetails, text: str, path: Path | None, from_env: Mapping[Keys, str]) -> str:
    """One error of the schema. `text`: the file's; `from_env`: variables by their keys."""
    keys = tuple(k for k in error["loc"] if k != "[key]")
    where = _place(keys, text, path, from_env)
    dotted = ".".join(str(k) for k in keys)
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"{where}: unknown key {dotted}. {_did_you_mean(keys)}"
    if kind == "string_pattern_mismatch" and error.get("ctx", {}).get("pattern") == NAME_PATTERN:
        return f"{where}: {dotted} = {error['input']!r}: use 1 to 32 of a-z, 0-9 and hyphen, as it stands in topics"
    given = "" if isinstance(error["input"], dict) else f" = {_shown(keys, error['input'])}"
    message = _PLAIN_WORDS.get(kind) or error["msg"].removeprefix("Value error, ").replace("Input should", "must")
    remedy = "" if kind == "value_error" else f". {_meaning(keys)}"
    return f"{where}: {dotted}{given}: {message}{remedy}".rstrip(". ")


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


def _place(keys: Keys, text: str, path: Path | None, from_env: Mapping[Keys, str]) -> str:
    for size in range(len(keys), 0, -1):
        for its_keys, name in from_env.items():
            if its_keys == keys[:size] or (size == len(keys) and its_keys[:size] == keys and not line_of(text, keys)):
                return f"environment {name}"
    line = line_of(text, keys)
    return f"{path}:{line}" if line else str(path or "configuration")


def _has(tree: Any, keys: Keys) -> bool:
    for key in keys:
        try:
            tree = tree[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _shown(keys: Keys, value: object) -> str:
    """Without what is a secret, or could be one that was written to the wrong place."""
    if any(str(key).startswith("pass") for key in keys):
        return "***"
    if isinstance(value, str) and "@" in value and "://" not in value:
        return repr(f"***@{value.rpartition('@')[2]}")
    return repr(redact(value) if isinstance(value, str) else value)


def _did_you_mean(keys: Keys) -> str:
    section = section_of(keys)
    known = list(section.model_fields) if section else []
    key = str(keys[-1])
    if key.startswith("pass") and key != "password_file" and "password_file" in known:
        return "Secrets do not stand in the configuration: put it in a file of its own and name it in password_file"
    if close := difflib.get_close_matches(key, known, n=1, cutoff=0.6):
        return f"Did you mean {close[0]}?"
    return f"Known here: {', '.join(known)}" if known else "`ferd config default` lists all keys"


def _meaning(keys: Keys) -> str:
    field = field_of(keys)
    return " ".join((field.description or "").split()) if field else ""
