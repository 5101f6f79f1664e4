"""ferd.toml with other values: comments and order kept, shown as a difference before it is written."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from ferd.config import load_config
from ferd.errors import ConfigError, FerdError

_SECTIONS = ("smoothing", "fatigue", "expression")
_PASSWORD = re.compile(r"""://[^\s"']*@""")
"""In the address of a network camera, which may stand near the change."""


@dataclass(frozen=True, slots=True)
class Change:
    """``base``: digest of the file that the change was made for; ``diff``: unified, empty where nothing changes.

    ``lines``: the changed keys alone, below the heads of their sections: for whoever must make the change by hand.
    """

    path: Path
    base: str
    text: str
    diff: str
    lines: str

    @property
    def writable(self) -> bool:
        """False where the service may not change its own configuration: another user, a file system for reading."""
        return os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)


def change(path: Path, given: Mapping[str, Any]) -> Change:
    """What the file becomes. ``given``: as tune.changed takes it. Raises FerdError with the remedy.

    What the file says without a word, the defaults, is not written into it; what ferd runs with now may differ.
    """
    try:
        old = path.read_text(encoding="utf-8")
        document = tomlkit.parse(old)
        says = load_config(path)
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise FerdError(f"{path} cannot be read: {error}") from None
    for section in _SECTIONS:
        _set(document, section, given.get(section, {}), getattr(says, section).model_dump())
    _set_alerts(document, given.get("alerts", []))
    new = tomlkit.dumps(document)
    _check(path, new)
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"{path}", f"{path} (new)", n=2
    )
    diff = "".join(_PASSWORD.sub("://…@", line) for line in lines)
    return Change(path, _digest(old), new, diff, _by_hand(old, new))


def write(change: Change) -> None:
    """Raises FerdError when the file has changed meanwhile, or may not be written."""
    path = change.path
    try:
        if _digest(path.read_text(encoding="utf-8")) != change.base:
            raise FerdError(f"{path} was changed meanwhile: look at the difference once more")
        mode = stat.S_IMODE(path.stat().st_mode)
        _replace(path, change.text, mode)
    except OSError as error:
        raise FerdError(
            f"{path} cannot be written ({error.strerror}): the service may not change its own configuration. "
            "Make the change that is shown by hand, then `sudo systemctl reload ferd`"
        ) from None


def _set(document: MutableMapping[str, Any], section: str, given: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    table = document.get(section)
    for key, value in given.items():
        if key not in now:
            raise FerdError(f"[{section}] has no key {key}")
        stands = table.get(key) if table is not None else None
        if stands is None and value == now[key]:
            continue  # a default stays one
        if stands is None or stands != value:
            if table is None:
                table = document[section] = tomlkit.table()
            table[key] = value


def _set_alerts(document: MutableMapping[str, Any], given: Any) -> None:
    tables = {str(table.get("name")): table for table in document.get("alerts", [])}
    for alert in given:
        table = tables.get(alert.get("name"))
        if table is None:
            raise FerdError(f'the file has no [[alerts]] with the name "{alert.get("name")}"')
        for key, value in alert.items():
            if value is not None and table.get(key) != value and (key in table or key == "for_s"):
                table[key] = value


def _by_hand(old: str, new: str) -> str:
    before, after = tomllib.loads(old), tomllib.loads(new)
    parts = []
    for section in (name for name in _SECTIONS if after.get(name) != before.get(name)):
        stood, stands = before.get(section, {}), after[section]
        parts.append(f"[{section}]\n{_keys(key for key in stands.items() if stood.get(key[0]) != key[1])}")
    for stood, stands in zip(before.get("alerts", []), after.get("alerts", []), strict=True):
        if stood != stands:
            differing = (key for key in stands.items() if key[0] == "name" or stood.get(key[0]) != key[1])
            parts.append(f"[[alerts]]\n{_keys(differing)}")
    return "\n".join(parts)


def _keys(pairs: Iterable[tuple[str, Any]]) -> str:
    table = tomlkit.table()
    table.update(dict(pairs))
    return table.as_string()


def _check(path: Path, text: str) -> None:
    """The new file is read as ferd will read it. Raises ConfigError."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as draft:
        draft.write(text)
        draft.flush()
        try:
            load_config(Path(draft.name))
        except ConfigError as error:
            raise ConfigError(str(error).replace(draft.name, str(path))) from None


def _replace(path: Path, text: str, mode: int) -> None:
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
