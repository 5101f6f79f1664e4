"""What a new configuration changes: which parts of a running daemon must be built anew. Pure but for `stamps`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferd.config import Config
from ferd.config.types import Section

OWN = ("node", "cameras", "mqtt", "buzzer", "web")
"""Sections that somebody of their own is built from; all others are the models and rules of every camera."""

Stamps = Mapping[str, tuple[tuple[str, int, int], ...]]
"""By section: path, time of change (ns) and size of each file that it names; zeros for a file that is not there."""


@dataclass(frozen=True, slots=True)
class Changes:
    """``opened``, ``closed``: cameras by name; one whose settings changed is in both. ``rest``: models and rules."""

    node: bool = False
    mqtt: bool = False
    buzzer: bool = False
    rest: bool = False
    opened: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.node, self.mqtt, self.buzzer, self.rest, self.opened, self.closed))

    def __str__(self) -> str:
        cameras = sorted({*self.opened, *self.closed})
        names = [name for name in ("node", "mqtt", "buzzer") if getattr(self, name)]
        return ", ".join([*names, *(["models and rules"] if self.rest else []), *(f"camera {c}" for c in cameras)])


def changes(old: Config, new: Config, old_files: Stamps, new_files: Stamps) -> Changes:
    """A renamed node changes every topic, so all cameras and the connection are built anew as well.

    Another id changes nothing: it is for a start only.
    """

    def differs(section: str) -> bool:
        return getattr(old, section) != getattr(new, section) or old_files.get(section) != new_files.get(section)

    node = old.node.name != new.node.name
    return Changes(
        node=node,
        mqtt=node or differs("mqtt"),
        buzzer=differs("buzzer"),
        rest=any(differs(section) for section in type(new).model_fields if section not in OWN),
        opened=tuple(n for n, camera in new.cameras.items() if node or old.cameras.get(n) != camera),
        closed=tuple(n for n, camera in old.cameras.items() if node or new.cameras.get(n) != camera),
    )


def stamps(config: Config, more: Mapping[str, tuple[Path, ...]]) -> Stamps:
    """The files of each section: a password or certificate may change while the configuration stays the same.

    ``more``: files that no key names, by section.
    """
    named = {section: tuple(_paths(getattr(config, section))) for section in type(config).model_fields}
    return {
        section: tuple(_stamp(path) for path in (*paths, *more.get(section, ()))) for section, paths in named.items()
    }


def _paths(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Section):
        for name in type(value).model_fields:
            yield from _paths(getattr(value, name))
    elif isinstance(value, dict):
        for part in value.values():
            yield from _paths(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _paths(part)


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return str(path), 0, 0
    return str(path), found.st_mtime_ns, found.st_size
