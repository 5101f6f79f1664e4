"""Turn what the schema rejects into a line that a user can act on: where, which key, what is wrong, remedy."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ferd.config.schema.root import Config
from ferd.config.schema.values import LEVELS_PATTERN, LINE_PATTERN, NAME_PATTERN
from ferd.encodings import INVISIBLE
from ferd.redaction import HIDDEN, redact_address, redact_value

Keys = tuple[str | int, ...]
"""The path to a value: ("mqtt", "port"), ("cameras", "desk", "ignore_zones", 0)."""

ANY_NAME = "*"
RENAMED: Mapping[Keys, str] = {
    ("smoothing", "tau_s"): "time_constant_s",
    ("smoothing", "enter"): "on_threshold",
    ("smoothing", "leave"): "off_threshold",
    ("smoothing", "lead"): "switch_ratio",
    ("smoothing", "hold_s"): "min_hold_s",
    ("fatigue", "shut_notice_s"): "eyes_closed_notice_s",
    ("fatigue", "shut_warning_s"): "eyes_closed_warning_s",
    ("fatigue", "shut_alarm_s"): "eyes_closed_alarm_s",
    ("fatigue", "not_seen_s"): "unseen_after_s",
    ("buzzer", "lamp_watching"): "status_led_pin",
    ("buzzer", "lamp_level"): "alert_led_pin",
    ("mqtt", "journal"): "persist_events",
    ("mqtt", "journal_events"): "persist_max_events",
    ("mqtt", "insecure"): "tls_verify",
    ("web", "hosts"): "allowed_hosts",
    ("web", "connections"): "max_connections",
    ("web", "https"): "secure_cookies",
    ("web", "fps"): "max_fps",
    ("detector", "min_face"): "min_face_px",
    ("cameras", ANY_NAME, "ignore"): "ignore_zones",
}
"""Former keys with their present names. ANY_NAME stands for a name that the user chose."""
INVERTED: Mapping[Keys, str] = {("mqtt", "insecure"): "insecure = true is now tls_verify = false"}
"""Renamed keys whose value must be inverted, with the instruction."""

ADDRESSES = ("host", "hosts", "bind", "allowed_hosts")
"""Keys of [mqtt] and [web] whose values are, or may by mistake be, addresses with a secret in them."""

_PLAIN_WORDS = {
    "bool_type": "must be true or false",
    "dict_type": "must be a section: [name] on its own line, its keys below",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list in brackets",
    "missing": "something is missing",
    "model_type": "must be a section: [name] on its own line, its keys below",
    "path_type": "must be text in quotes",
    "string_too_long": "is too long: {max_length} characters at most",
    "string_too_short": "must not be empty",
    "string_type": "must be text in quotes",
    "too_long": "holds too many: {max_length} at most",
    "too_short": "must hold at least one",
    "tuple_type": "must be a list in brackets",
}

_PATTERNS_IN_WORDS = {
    NAME_PATTERN: "use 1 to 32 of a-z, 0-9 and hyphen, as topics contain it",
    LINE_PATTERN: "write it in one line, without blanks at its ends",
    LEVELS_PATTERN: 'write topic levels without + and #, which are for filters, and without blanks: "homeassistant"',
}
"""What a text has to look like, for every pattern of the schema."""


def explain(
    error: ErrorDetails, text: str, path: Path | None, variables: Mapping[Keys, str], where: str | None = None
) -> str:
    """Describe one error of the schema in one line.

    Args:
        error: The error, as pydantic reports it.
        text: The text of the file.
        path: The file; None where there is none.
        variables: Names of environment variables by the keys that they set.
        where: The place of the value, where it is not that of its keys in the file.
    """
    keys = tuple(key for key in error["loc"] if key != "[key]")
    where = where or location(keys, text, path, variables)
    dotted = ".".join(redact_value(str(key)) for key in keys)
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"{where}: {_renamed(keys, dotted, variables) or f'unknown key {dotted}. {_did_you_mean(keys, text)}'}"
    if words := _PATTERNS_IN_WORDS.get(error.get("ctx", {}).get("pattern", "")):
        return f"{where}: {dotted} = {_without_secrets(keys, error['input'])}: {words}"
    given = "" if isinstance(error["input"], dict) else f" = {_without_secrets(keys, error['input'])}"
    plain = _PLAIN_WORDS.get(kind, "").format_map(error.get("ctx", {}))
    message = plain or _shortened(error["msg"].removeprefix("Value error, ").replace("Input should", "must"), MESSAGE)
    remedy = "" if kind == "value_error" else f". {_description(keys)}"
    what = f"{dotted}{given}: " if dotted else ""  # an error of the whole names its keys itself
    return f"{where}: {what}{message}{remedy}".rstrip(". ")


_LIKE_BLANKS = f"{INVISIBLE}\u00a0\u2007\u2009\u202f\u3000"
"""Characters that come along when lines are copied from a web page."""
TYPOGRAPHIC = "“”„‟‘’‚«»″"  # noqa: RUF001  # these very marks
"""Quotation marks that word processors and web pages put in the place of straight ones."""


def explain_syntax(reason: str, text: str, path: Path | None) -> str:
    """Describe an error of the TOML parser in one line: where, what it looks like, remedy."""
    found = re.search(r"\(at line (\d+), (column \d+)\)", reason)
    lines = text.splitlines()
    number = int(found[1]) if found else len(lines)
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    odd = [letter for letter in line.partition("#")[0] if letter in _LIKE_BLANKS]
    quotes = [mark for mark in TYPOGRAPHIC if mark in line.partition("#")[0]]
    value = re.fullmatch(r"""\s*([\w.-]+)\s*=\s*([^\s"'\[{#][^"'#]*?)\s*(?:#.*)?""", line)
    if re.search(r"\r(?!\n)", text):
        remedy = "the lines end as on an old Mac (CR): save it with the line ends of Unix (LF)"
    elif odd:
        remedy = (
            f"the line holds a character that only looks like a blank, or like nothing (U+{ord(odd[0]):04X}): retype it"
        )
    elif quotes:
        remedy = f'the quotation marks {"".join(quotes)} are typographic: write straight ones (")'
    elif value and value[2].lower() in ("true", "false", "yes", "no", "on", "off"):
        remedy = f"write {value[1]} = true or false, in small letters"
    elif value:
        shown = _without_secrets((value[1],), value[2]).strip("'")
        remedy = f'text needs quotes: {value[1]} = "{shown}"'
    else:
        remedy = "text needs quotes, sections look like [mqtt]; `ferd config default` prints a complete file"
    if found:
        reason = reason.replace(found[0], f"({found[2]})")
    return f"{path}:{number}: not valid TOML: {reason}. {remedy[0].upper()}{remedy[1:]}"


def line_of(text: str, keys: Iterable[str | int]) -> int | None:
    """Return the line (from 1) on which a key's statement begins, or its section's; None if the text has neither.

    The TOML parser itself reads ever longer beginnings of the file, so every way to write a key is found. The
    quadratic cost does not matter: this runs only to report an error.
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


def section_of(keys: Keys) -> type[BaseModel] | None:
    """Return the schema class that contains the last of `keys`; None where there is none."""
    model: Any = Config
    for key in keys[:-1]:
        section = _as_section(model)
        if section is None:
            model = _item_type(model)  # a dict of sections ([cameras.NAME]): the key is a name that the user chose
            continue
        field = section.model_fields.get(str(key))
        model = field.annotation if field else None
    return _as_section(model) or _item_type(model)


def field_of(keys: Keys) -> FieldInfo | None:
    """Return the schema field at `keys`; for an element of a list, the field of the list."""
    while keys and isinstance(keys[-1], int):
        keys = keys[:-1]
    section = section_of(keys) if keys else None
    return section.model_fields.get(str(keys[-1])) if section else None


def _as_section(model: Any) -> type[BaseModel] | None:
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _item_type(model: Any) -> type[BaseModel] | None:
    return next((found for part in get_args(model) if (found := _as_section(part))), None)


def location(keys: Keys, text: str, path: Path | None, variables: Mapping[Keys, str]) -> str:
    """Return where a value was set: "FILE:LINE", "environment NAME", or the file where neither sets it."""
    for size in range(len(keys), 0, -1):
        for its_keys, name in variables.items():
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


def _renamed(keys: Keys, dotted: str, variables: Mapping[Keys, str]) -> str | None:
    """The message for a former key; None for any other."""
    former = (keys[0], ANY_NAME, *keys[2:]) if keys[:1] == ("cameras",) and len(keys) > 2 else keys
    if (present := RENAMED.get(former)) is None:
        return None
    message = f"{dotted} was renamed to {present}"
    if keys in variables:
        message += f" ({variables[keys].rpartition('__')[0]}__{present.upper()})"
    if former in INVERTED:
        message += f", and its meaning is inverted: {INVERTED[former]}"
    return message


_OF_A_SECRET = re.compile("pass|token|secret|user|login|credential|websocket_path")
"""Keys whose values are not printed: secrets, names of their files, where the secret itself stands by mistake, and user
names, some of which are tokens."""


def _without_secrets(keys: Keys, value: object) -> str:
    """The value for a message, without what is a secret or may be one that was written to the wrong place."""
    if any(_OF_A_SECRET.search(str(key)) for key in keys):
        return HIDDEN
    is_address = keys[:1] in (("mqtt",), ("web",)) and any(key in ADDRESSES for key in keys)
    return _shortened(repr(_clean(value, redact_address if is_address else redact_value)), VALUE)


VALUE, MESSAGE = 120, 500
"""Characters that are shown at most of a value, and of a message of the schema, which may repeat the value."""


def _shortened(text: str, most: int) -> str:
    """Return the text without its middle where it is longer: the remedy stands at its end."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def _clean(value: object, clean: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list | tuple):
        return [_clean(item, clean) for item in value]
    if isinstance(value, dict):
        return {clean(str(key)): _clean(item, clean) for key, item in value.items()}
    return value


def _elsewhere(key: str, text: str) -> str | None:
    """Where a key belongs that stands in no section, or in the wrong one; None where no section has it."""
    sections = [name for name, field in Config.model_fields.items() if key in _fields(field.annotation)]
    if not sections:
        return None
    headers = {"cameras": "[cameras.NAME]", "alerts": "[[alerts]]"}
    named = " or ".join(headers.get(name, f"[{name}]") for name in sections)
    for number, line in enumerate(text.splitlines(), start=1):
        if len(sections) == 1 and re.fullmatch(rf"\s*#+\s*\[+{sections[0]}[\]\.].*", line):
            return f"It belongs below {named}: remove the # in front of that line ({number})"
    return f"It belongs below the line {named}"


def _fields(annotation: Any) -> Iterable[str]:
    section = _as_section(annotation) or _item_type(annotation)
    return section.model_fields if section else ()


def _did_you_mean(keys: Keys, text: str) -> str:
    section = section_of(keys)
    known = list(section.model_fields) if section else []
    key = str(keys[-1])
    file = next((name for name in known if name.endswith("password_file")), None)
    if key.startswith("pass") and file is not None:
        return f"Secrets are not kept in the configuration: write it to a file of its own and name that in {file}"
    if elsewhere := _elsewhere(key, text):
        return elsewhere
    if close := difflib.get_close_matches(key, known, n=1, cutoff=0.6):
        return f"Did you mean {close[0]}?"
    return f"Known here: {', '.join(known)}" if known else "`ferd config default` lists all keys"


def _description(keys: Keys) -> str:
    field = field_of(keys)
    return " ".join((field.description or "").split()) if field else ""
