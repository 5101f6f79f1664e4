"""The user's own shelf: a bundle is put there whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferd.errors import ModelError
from ferd.fs import exists
from ferd.models.bundle import Bundle, read_bundle
from ferd.models.registry import shipped_dir, state_dir

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def own_shelf() -> Path:
    return state_dir() / "models"


def name_from(file: Path) -> str:
    """A name for the shelf, made from a file's: "My Model (1).zip" -> "my-model-1"."""
    return re.sub(r"[^a-z0-9]+", "-", file.name.partition(".")[0].lower()).strip("-")[:32].strip("-") or "model"


def check_name(name: str, *, replace: bool = False) -> None:
    """Raises ModelError for a name that cannot be used, is ours, or is taken (unless it may be replaced)."""
    if not NAME.fullmatch(name):
        raise ModelError(f"{name!r} is no name for the shelf: a to z, digits and hyphens, 32 at most (--name mood)")
    if exists(shipped_dir() / f"{name}.tflite"):
        raise ModelError(f"{name} is the name of a model that comes with ferd; choose another (--name my-{name})")
    taken = [place for place in _places(name) if exists(place)]
    if taken and not replace:
        raise ModelError(f"{taken[0]} is there already; add --replace, or choose another name (--name)")


def store(file: Path, card: Mapping[str, Any], *, replace: bool = False) -> Bundle:
    """Copy a .tflite file and its card to the shelf under the card's name; returns the bundle there."""
    name = str(card["name"])
    check_name(name, replace=replace)
    shelf = own_shelf()
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        new_model, new_card = shelf / f".{name}.tflite.new", shelf / f".{name}.json.new"
        shutil.copyfile(file, new_model)
        new_card.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        new_model.replace(shelf / f"{name}.tflite")
        new_card.replace(shelf / f"{name}.json")
    except OSError as error:
        raise ModelError(f"{shelf}: cannot be written ({error.strerror}). For the service: sudo ferd model …") from None
    return read_bundle(shelf / f"{name}.tflite")


def remove(name: str) -> list[Path]:
    """Take a model of the user's own off the shelf; returns the files that went. Raises ModelError."""
    check = [place for place in _places(name) if exists(place)] if NAME.fullmatch(name) else []
    if not check:
        ours = exists(shipped_dir() / f"{name}.tflite") if NAME.fullmatch(name) else False
        why = "comes with ferd and stays" if ours else f"is not on your shelf ({own_shelf()})"
        raise ModelError(f"{name} {why}. `ferd model list` shows what is there")
    gone = []
    for place in check:
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        gone.append(place)
    return gone


def _places(name: str) -> list[Path]:
    shelf = own_shelf()
    return [shelf / f"{name}.tflite", shelf / f"{name}.json", shelf / name]
