"""Find installed models by name, install and remove the user's own, and decide which files are trusted.

The user's models lie in the state directory, ferd's own in the package. A trusted file is loaded at once; any other
file is tried in a sandbox first.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferd.errors import ModelError
from ferd.fs import exists, expand, is_file, replace_file, state_dir
from ferd.models import sandbox
from ferd.models.bundle import Bundle, read_bundle, sha256_of

if TYPE_CHECKING:
    from ferd.models.runtime import Network

LEFT_AFTER_S = 3600.0
"""A file that was being installed this long ago is what an interrupted run left."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
YUNET_NAME = "face_detection_yunet_2023mar.onnx"
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
"""Digest of that file in OpenCV Zoo. Any other file is tried in the sandbox before OpenCV reads it in this process."""


def shipped_dir() -> Path:
    """Return the folder of ferd's own models: package data in an installed wheel, models/ in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "model_files"
    return installed if installed.is_dir() else package.parent / "models"


def user_dir() -> Path:
    """Return the folder of the user's own models; it need not exist."""
    return state_dir() / "models"


def model_dirs() -> tuple[Path, ...]:
    """Return the folders in the order in which they are searched: the user's models come before ferd's."""
    return user_dir(), shipped_dir()


def find_bundle(name_or_path: str) -> Bundle:
    """Return the bundle of an installed name or of a path. Raises ModelError that lists the installed models."""
    path = expand(name_or_path)
    if path.suffix == ".tflite" or "/" in name_or_path:
        return read_bundle(path)
    if bundle := find_installed(name_or_path):
        return bundle
    known = ", ".join(sorted({bundle.name for bundle in list_bundles()})) or "none"
    raise ModelError(f"no model named {name_or_path!r}. Installed: {known}. A path to a .tflite file works as well")


def find_installed(name: str) -> Bundle | None:
    """Return the installed bundle of that name, None without one. Raises ModelError when it is there and broken."""
    for folder in model_dirs():
        for place in (folder / f"{name}.tflite", folder / name):
            if exists(place):
                return read_bundle(place)
    return None


def list_bundles() -> Iterator[Bundle]:
    """Yield all readable installed bundles. Broken ones are skipped; find_bundle explains what is wrong with one."""
    for folder in model_dirs():
        places = [*folder.glob("*.tflite"), *(p for p in folder.glob("*/") if any(p.glob("*.tflite")))]
        for place in sorted(places):
            try:
                yield read_bundle(place)
            except ModelError:
                continue


def find_yunet(configured: Path | None) -> Path | None:
    """Return the configured YuNet file (whether it exists or not), else an installed one, else None."""
    if configured:
        return expand(configured)
    return next((folder / YUNET_NAME for folder in model_dirs() if is_file(folder / YUNET_NAME)), None)


def check_yunet(file: Path) -> None:
    """Raise ModelError for a file other than OpenCV Zoo's that crashes, hangs or takes too much memory in a trial."""
    if sha256_of(file) != YUNET_SHA256 and (reason := sandbox.probe_yunet(file)):
        raise ModelError(f"{file}: {reason.removeprefix(f'{file}: ')}. Download {YUNET_NAME} from OpenCV Zoo again")


def load_network(bundle: Bundle) -> Network:
    """Load a bundle's file; a file that is not trusted is tried in the sandbox first.

    Raises:
        ModelError: the file is broken, hangs, needs too much memory, or there is no runtime.
    """
    from ferd.models.runtime import Network  # numpy and the runtime: not needed to list or to install models

    if not is_trusted(bundle.path):
        scale = (bundle.input.mean, bundle.input.std) if bundle.input else None
        if reason := sandbox.probe(bundle.path, scale):
            raise ModelError(f"{bundle.path}: {reason.removeprefix(f'{bundle.path}: ')}. Export or copy it again")
    needed = bundle.card.get("memory_bytes")
    if isinstance(needed, int) and needed > (free := sandbox.memory_limit(needed)):
        raise ModelError(
            f"{bundle.path}: needs {needed >> 20} MB of memory, and {free >> 20} MB are free here. Use a smaller model"
        )
    return Network(bundle.path, bundle.head)


def is_trusted(file: Path) -> bool:
    """Whether the file's digest is that of a model that ships with ferd, or that ferd itself tried and installed.

    A card beside the file does not count: the author of the file could have written it.
    """
    digest = sha256_of(file)
    return digest in _shipped_digests() or digest in _installed_digests()


def name_from(file: Path) -> str:
    """Make a model name from a file's name: "My Model (1).zip" -> "my-model-1"."""
    return re.sub(r"[^a-z0-9]+", "-", file.name.partition(".")[0].lower()).strip("-")[:32].strip("-") or "model"


def check_name(name: str, *, replace: bool = False) -> None:
    """Raise ModelError for a name that is invalid, one of ferd's, or already used (unless it may be replaced)."""
    if not NAME.fullmatch(name):
        raise ModelError(f"{name!r} is not a valid model name: a to z, digits and hyphens, 32 at most (--name mood)")
    if exists(shipped_dir() / f"{name}.tflite"):
        raise ModelError(f"{name} is the name of a model that comes with ferd; choose another (--name my-{name})")
    existing = [place for place in _places(name) if exists(place)]
    if existing and not replace:
        raise ModelError(f"{existing[0]} exists already; add --replace, or choose another name (--name)")


def store(file: Path, card: Mapping[str, Any], *, replace: bool = False) -> Bundle:
    """Install a .tflite file that was tried, with its card, under the card's name. All of it is installed or nothing.

    Returns the installed bundle; its file is trusted from now on. Raises ModelError.
    """
    name = str(card["name"])
    check_name(name, replace=replace)
    folder = user_dir()
    new_model, new_card = folder / f".{name}.tflite.new", folder / f".{name}.json.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, new_model)
        new_card.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        _write_installed_digests(_installed_digests() | {sha256_of(new_model)})
        new_model.replace(folder / f"{name}.tflite")
        new_card.replace(folder / f"{name}.json")
    except OSError as error:
        raise ModelError(
            f"{folder}: cannot be written ({error.strerror}). For the service: sudo ferd model …"
        ) from None
    finally:
        for left in (new_model, new_card, *_leftovers(folder)):
            with suppress(OSError):
                left.unlink(missing_ok=True)
    return read_bundle(folder / f"{name}.tflite")


def _leftovers(folder: Path) -> list[Path]:
    """List what a `store` that was killed left in the folder of models; a younger file may be that of another one."""
    with suppress(OSError):
        old = time.time() - LEFT_AFTER_S
        return [file for file in folder.glob(".*.new") if file.lstat().st_mtime < old]
    return []


def remove(name: str) -> list[Path]:
    """Delete one of the user's models and return the deleted files. Raises ModelError when there is none."""
    valid = bool(NAME.fullmatch(name))
    places = [place for place in _places(name) if exists(place)] if valid else []
    if not places:
        shipped = valid and exists(shipped_dir() / f"{name}.tflite")
        reason = "comes with ferd and cannot be removed" if shipped else f"is not installed in {user_dir()}"
        raise ModelError(f"{name} {reason}. `ferd model list` shows the installed models")
    for place in places:
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    return places


def _places(name: str) -> list[Path]:
    folder = user_dir()
    return [folder / f"{name}.tflite", folder / f"{name}.json", folder / name]


def _shipped_digests() -> frozenset[str]:
    cards = (_read_json(file) for file in shipped_dir().glob("*.json"))
    return frozenset(str(card["sha256"]) for card in cards if isinstance(card, dict) and card.get("sha256"))


def _installed_digests_file() -> Path:
    return state_dir() / "installed-models.json"


def _installed_digests() -> frozenset[str]:
    """Digests of the files that `store` installed; none when the record is missing or damaged."""
    digests = _read_json(_installed_digests_file())
    return frozenset(str(digest) for digest in digests) if isinstance(digests, list) else frozenset()


def _write_installed_digests(digests: frozenset[str]) -> None:
    replace_file(_installed_digests_file(), json.dumps(sorted(digests), indent=2) + "\n")


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
