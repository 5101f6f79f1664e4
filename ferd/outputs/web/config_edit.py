"""Change settings in ferd.toml: comments and order are kept, and the change is shown before it is written."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from ferd.config import load_config
from ferd.errors import ConfigError, FerdError
from ferd.redaction import redact_text, redact_value

SECTIONS = ("smoothing", "fatigue", "expression")
_HARMLESS = re.compile(r"|\[[\w.-]+\]|\[\[[\w.-]+\]\]|[\w-]+\s*=\s*(?:true|false|[\d.]+)")
"""A line near the change that is shown: an address, even a mistyped one, or a comment can hold a password."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change to the file that is not written yet.

    Attributes:
        base: digest of the file that the change was made for.
        text: the whole new file.
        diff: unified diff without passwords, empty where nothing changes.
        lines: the changed keys alone, below the names of their sections: for a change by hand.
    """

    path: Path
    base: str
    text: str
    diff: str
    lines: str

    @property
    def writable(self) -> bool:
        """False where the service may not change its own configuration: another owner, a read-only file system."""
        return os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)


def edit_config(path: Path, settings: Mapping[str, Any]) -> Edit:
    """Make the change, without writing it. Raises FerdError with the remedy.

    A value that equals its default is not written into a file that does not name it.

    Args:
        settings: as tuning.apply_settings takes them.
    """
    try:
        old = path.read_text(encoding="utf-8")
        document = tomlkit.parse(old)
        saved = load_config(path)
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise FerdError(f"{path} cannot be read: {error}") from None
    for section in SECTIONS:
        _set(document, section, settings.get(section, {}), getattr(saved, section).model_dump())
    _set_alerts(document, settings.get("alerts", []))
    new = tomlkit.dumps(document)
    _check(path, new)
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"{path}", f"{path} (new)", n=2
    )
    diff = "".join(
        line if not line.startswith(" ") or _HARMLESS.fullmatch(line.strip()) else " …\n"
        for line in map(_without_comment, lines)
    )
    return Edit(path, _digest(old), new, diff, _changed_keys(old, new))


def _without_comment(line: str) -> str:
    """Return a line of a diff without a comment that can hold a password."""
    value, mark, comment = line.partition("#")
    is_harmless = redact_value(comment.strip()) == comment.strip()
    return redact_text(line) if is_harmless else f"{redact_text(value)}{mark} …\n"


def write_config(edit: Edit) -> None:
    """Write the file. Raises FerdError when it has changed since the edit was made, or cannot be written."""
    path = edit.path
    try:
        if _digest(path.read_text(encoding="utf-8")) != edit.base:
            raise FerdError(f"{path} has changed since the change was shown: show the change again")
        mode = stat.S_IMODE(path.stat().st_mode)
        _replace(path, edit.text, mode)
    except OSError as error:
        raise FerdError(
            f"{path} cannot be written ({error.strerror}): the service may not change its own configuration. "
            "Make the change that is shown by hand, then `sudo systemctl reload ferd`"
        ) from None


def _set(document: MutableMapping[str, Any], section: str, values: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    table = document.get(section)
    for key, value in values.items():
        if key not in saved:
            raise FerdError(f"[{section}] has no key {key}")
        written = table.get(key) if table is not None else None
        if written is None and value == saved[key]:
            continue  # a default stays unwritten
        if written is None or written != value:
            if table is None:
                table = document[section] = tomlkit.table()
            table[key] = value


def _set_alerts(document: MutableMapping[str, Any], alerts: Sequence[Mapping[str, Any]]) -> None:
    tables = {str(table.get("name")): table for table in document.get("alerts", [])}
    for alert in alerts:
        table = tables.get(str(alert.get("name")))
        if table is None:
            raise FerdError(f'the file has no [[alerts]] with the name "{alert.get("name")}"')
        for key, value in alert.items():
            if value is not None and table.get(key) != value and (key in table or key == "for_s"):
                table[key] = value


def _changed_keys(old: str, new: str) -> str:
    before, after = tomllib.loads(old), tomllib.loads(new)
    parts = []
    for section in (name for name in SECTIONS if after.get(name) != before.get(name)):
        old_table, new_table = before.get(section, {}), after[section]
        parts.append(f"[{section}]\n{_toml(pair for pair in new_table.items() if old_table.get(pair[0]) != pair[1])}")
    for old_table, new_table in zip(before.get("alerts", []), after.get("alerts", []), strict=True):
        if old_table != new_table:
            changed = (pair for pair in new_table.items() if pair[0] == "name" or old_table.get(pair[0]) != pair[1])
            parts.append(f"[[alerts]]\n{_toml(changed)}")
    return "\n".join(parts)


def _toml(pairs: Iterable[tuple[str, Any]]) -> str:
    table = tomlkit.table()
    table.update(dict(pairs))
    return table.as_string()


def _check(path: Path, text: str) -> None:
    """Read the new file as ferd will read it. Raises ConfigError."""
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
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
