"""Make the configuration of one node from the file of a fleet: what all nodes share, and what some have of their own.

A fleet file is a ferd.toml with more sections, [nodes.PATTERN.…], whose patterns match names of nodes as file names are
matched: [nodes."hall-*".mqtt]. Of the sections that match, each overrides those above it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ferd.config.loader import key_at_start, parse_toml, read_file
from ferd.config.messages import Keys, explain, location
from ferd.config.schema.root import Config
from ferd.config.source import is_address, login_of
from ferd.errors import ConfigError

Tree = dict[str, Any]

NODES = "nodes"
"""The section that holds the patterns; no section of a ferd.toml has this name."""
NODE_MARK = "{node}"
"""Replaced by the name of the node in every text, such as username = "{node}"."""
TARGET = Path("/etc/ferd")
"""Folder of the rendered file on the node: paths in it are relative to it."""
_PATTERN = re.compile(r"[a-z0-9*?\[\]!-]+")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Layer:
    """One part of the file: what all nodes share, or what the nodes of a pattern have. ``prefix``: its keys."""

    prefix: Keys
    tree: Tree

    def matches(self, node: str) -> bool:
        return not self.prefix or fnmatchcase(node, str(self.prefix[-1]))


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet file whose sections have the right form; `load_fleet` makes it."""

    path: Path
    text: str
    layers: tuple[Layer, ...]

    def render(self, node: str) -> str:
        """Return the ferd.toml of one node, validated.

        Raises:
            ConfigError: One line for each error: file and line, key, what is wrong, remedy. Keys that are unknown or
                have a wrong value are reported for all patterns, other errors for this node.
        """
        applied = [layer for layer in self.layers if layer.matches(node)]
        tree = {"node": {"name": node}}
        for layer in applied:
            tree = merged(tree, layer.tree)
        tree = _filled(tree, node)
        problems = [line for layer in self.layers for line in self._problems_of(layer)]
        problems += [self._explained(error, applied) for error in _errors(tree)]
        if problems:
            raise ConfigError("\n".join(dict.fromkeys(problems)))
        patterns = [str(layer.prefix[-1]) for layer in applied if layer.prefix]
        head = f"# The configuration of {node}, made from {self.path.name} by `ferd config render`: change that file.\n"
        return f"{head}# Sections of it that apply: {', '.join(['all nodes', *patterns])}.\n\n{to_toml(tree)}"

    def _problems_of(self, layer: Layer) -> Iterator[str]:
        """What is wrong with a layer, whichever node is rendered."""
        if _depth(layer.tree, ("node", "name")) == 2:
            where = self._where(("node", "name"), [layer])
            yield f"{where}: node.name: the name of a node is given to `ferd config render`: remove this key"
        cameras = layer.tree.get("cameras")
        for name, camera in cameras.items() if isinstance(cameras, dict) else ():
            source = camera.get("source") if isinstance(camera, dict) else None
            if isinstance(source, str) and _has_password(source):
                where = self._where(("cameras", name, "source"), [layer])
                yield (
                    f"{where}: cameras.{name}.source has a password, and a fleet file holds no secrets: write "
                    '"rtsp://USER@HOST/PATH", and name a file on the node in source_password_file'
                )
        for error in _errors(_filled(layer.tree, "node")):
            if _concerns_one_value(error, layer.tree):
                yield self._explained(error, [layer])

    def _explained(self, error: ErrorDetails, layers: Sequence[Layer]) -> str:
        keys = _keys(error) or key_at_start(error["msg"].removeprefix("Value error, "))
        return explain(error, self.text, self.path, {}, self._where(keys, layers))

    def _where(self, keys: Keys, layers: Sequence[Layer]) -> str:
        """File and line of the statement that set a value: that of the last layer that has most of its keys."""
        layer = max(layers, key=lambda layer: (_depth(layer.tree, keys), layers.index(layer)))
        return location((*layer.prefix, *keys), self.text, self.path, {})


def load_fleet(path: Path) -> Fleet:
    """Read a fleet file.

    Raises:
        ConfigError: It cannot be read, is not TOML, or a section of [nodes] has a wrong form.
    """
    text = read_file(path)
    tree = parse_toml(text, path)
    patterns = tree.pop(NODES, {})
    problems = []
    if not isinstance(patterns, dict):
        raise ConfigError(f'{location((NODES,), text, path, {})}: {NODES} must be a section: [{NODES}."hall-*".mqtt]')
    for pattern, layer in patterns.items():
        where = location((NODES, pattern), text, path, {})
        if not isinstance(layer, dict):
            problems.append(
                f'{where}: {NODES}.{pattern}: a pattern must be a section with sections: [{NODES}."{pattern}".mqtt]'
            )
        elif not _PATTERN.fullmatch(pattern):
            problems.append(
                f"{where}: the pattern {pattern!r} matches no node: names consist of a-z, 0-9 and hyphen; * stands for "
                "any text, ? for one character, [0-4] for one of these"
            )
    node = tree.get("node", {})
    for key in [key for key, value in (node.items() if isinstance(node, dict) else ()) if isinstance(value, dict)]:
        where = location(("node", key), text, path, {})
        problems.append(f'{where}: sections of some nodes are called nodes: [{NODES}."{key}"]')
    if problems:
        raise ConfigError("\n".join(problems))
    return Fleet(path, text, (Layer((), tree), *(Layer((NODES, name), part) for name, part in patterns.items())))


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Tree:
    """Return `below` overridden by `above`: sections key by key; every other value, lists too, is replaced."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _filled(value: Any, node: str) -> Any:
    if isinstance(value, str):
        return value.replace(NODE_MARK, node)
    if isinstance(value, list):
        return [_filled(item, node) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, node) for key, item in value.items()}
    return value


def _errors(tree: Tree) -> list[ErrorDetails]:
    try:
        Config.model_validate(tree, context={"folder": TARGET})
    except ValidationError as error:
        return error.errors()
    return []


def _keys(error: ErrorDetails) -> Keys:
    return tuple(key for key in error["loc"] if key != "[key]")


def _concerns_one_value(error: ErrorDetails, tree: Tree) -> bool:
    """Whether an error stays whatever the other layers are: an unknown key, or a value that is wrong by itself."""
    keys = _keys(error)
    is_section = isinstance(error["input"], dict) and error["type"] != "extra_forbidden"
    return _depth(tree, keys) == len(keys) and not is_section


def _depth(tree: Any, keys: Keys) -> int:
    """How many of the keys, from the first, lead to something in the tree."""
    for depth, key in enumerate(keys):
        try:
            tree = tree[key]
        except (KeyError, IndexError, TypeError):
            return depth
    return len(keys)


def _has_password(source: str) -> bool:
    try:
        return is_address(source) and bool(login_of(source)[1])
    except ValueError:
        return False  # not an address: the schema says so


# ---- writing TOML ----


def to_toml(tree: Mapping[str, Any]) -> str:
    """Return a tree of text, numbers, booleans, lists and dicts as TOML."""
    return "\n".join(_table((), tree)).strip("\n") + "\n"


def _table(path: tuple[str, ...], tree: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a table: its values, then its tables, as TOML requires."""
    parts = {key: value for key, value in tree.items() if isinstance(value, dict) or _is_array_of_tables(value)}
    values = [f"{_key(key)} = {_value(value)}" for key, value in tree.items() if key not in parts]
    if path and (values or not parts):
        yield f"[{'.'.join(map(_key, path))}]"
    if values or (path and not parts):
        yield from (*values, "")
    for key, part in parts.items():
        if isinstance(part, dict):
            yield from _table((*path, key), part)
            continue
        for item in part:
            yield f"[[{'.'.join(map(_key, (*path, key)))}]]"
            yield from (f"{_key(name)} = {_value(value)}" for name, value in item.items())
            yield ""


def _is_array_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _key(text: str) -> str:
    return text if _BARE_KEY.fullmatch(text) else _text(text)


def _text(text: str) -> str:
    """A basic string: JSON's but for DEL, which TOML does not allow as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # nan, inf, -inf: as TOML writes them
    return repr(value)
