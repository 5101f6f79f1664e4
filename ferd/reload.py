"""Compare two configurations: what changed, and which files they name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferd.config import Config, Section
from ferd.snapshot import FileStamps
from ferd.vision.loader import expression_bundle

NAMED = ("node", "mqtt", "buzzer", "web")
"""Sections that are reported under their own name; all others but the cameras are "models and rules"."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What another configuration changes.

    ``opened``, ``closed``: cameras by name; one whose settings changed is in both, and so is every camera of a renamed
    node. ``models``: other model files. ``rules``: smoothing, fatigue or alert rules. ``sections``: of NAMED.
    """

    sections: tuple[str, ...] = ()
    models: bool = False
    rules: bool = False
    opened: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sections or self.models or self.rules or self.opened or self.closed)

    def __str__(self) -> str:
        cameras = [f"camera {name}" for name in sorted({*self.opened, *self.closed})]
        rest = ["models and rules"] if self.models or self.rules else []
        return ", ".join([*self.sections, *rest, *cameras])


def difference(old: Config, new: Config, old_files: FileStamps, new_files: FileStamps) -> Difference:
    """Compare two configurations. A renamed node changes every topic, so all cameras start again."""

    def differs(section: str) -> bool:
        return getattr(old, section) != getattr(new, section) or old_files.get(section) != new_files.get(section)

    renamed = old.node.name != new.node.name
    rest = [name for name in type(new).model_fields if name not in (*NAMED, "cameras")]
    # Alert and smoothing rules need no model; fatigue and gestures need the eyes model.
    eyes = (old.fatigue.enabled or old.gestures.enabled) != (new.fatigue.enabled or new.gestures.enabled)
    models = differs("detector") or differs("expression") or eyes
    sections = [name for name in NAMED if name != "node" and differs(name)]
    if renamed:
        sections = ["node", "mqtt", *(name for name in sections if name != "mqtt")]
    return Difference(
        sections=tuple(sections),
        models=models,
        rules=any(differs(name) for name in rest),
        opened=tuple(name for name, camera in new.cameras.items() if renamed or old.cameras.get(name) != camera),
        closed=tuple(name for name, camera in old.cameras.items() if renamed or new.cameras.get(name) != camera),
    )


def file_stamps(config: Config) -> FileStamps:
    """Stamp the files of each section: a password or a certificate may change while the configuration stays the same.

    Includes files that no key names: systemd credentials, and the model behind its name in the registry.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    credentials = tuple(sorted(Path(folder).iterdir())) if folder and Path(folder).is_dir() else ()
    model = expression_bundle(config).path
    return stamps(config, {"mqtt": credentials, "expression": (model, model.with_suffix(".json"))})


def stamps(config: Config, more: Mapping[str, tuple[Path, ...]]) -> FileStamps:
    """Stamp the files that keys name, and ``more`` by section."""
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
