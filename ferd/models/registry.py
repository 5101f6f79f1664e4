"""The model shelf: the folders in which models are found by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ferd.errors import ModelError
from ferd.fs import exists, expand, is_file, state_dir
from ferd.models.bundle import Bundle, read_bundle

__all__ = ["find_bundle", "find_on_shelf", "find_yunet", "list_bundles", "shelves", "shipped_dir", "state_dir"]

YUNET_NAME = "face_detection_yunet_2023mar.onnx"


def shipped_dir() -> Path:
    """The models that come with ferd: package data in an installed wheel, models/ at the top of a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "model_files"
    return installed if installed.is_dir() else package.parent / "models"


def shelves() -> tuple[Path, ...]:
    """Folders in the order in which they are searched: the user's own models go before ours."""
    return state_dir() / "models", shipped_dir()


def find_bundle(name_or_path: str) -> Bundle:
    """The bundle for a name on the shelf or a path. Raises ModelError that lists what there is."""
    path = expand(name_or_path)
    if path.suffix == ".tflite" or "/" in name_or_path:
        return read_bundle(path)
    if bundle := find_on_shelf(name_or_path):
        return bundle
    known = ", ".join(sorted({bundle.name for bundle in list_bundles()})) or "nothing"
    raise ModelError(f"no model named {name_or_path!r}. On the shelf: {known}. A path to a .tflite file works as well")


def find_on_shelf(name: str) -> Bundle | None:
    """The bundle of that name, None when there is none. Raises ModelError when it is there and broken."""
    for shelf in shelves():
        for place in (shelf / f"{name}.tflite", shelf / name):
            if exists(place):
                return read_bundle(place)
    return None


def list_bundles() -> Iterator[Bundle]:
    """All readable bundles on the shelves; what is broken there is passed over (find_bundle tells why)."""
    for shelf in shelves():
        places = [*shelf.glob("*.tflite"), *(p for p in shelf.glob("*/") if any(p.glob("*.tflite")))]
        for place in sorted(places):
            try:
                yield read_bundle(place)
            except ModelError:
                continue


def find_yunet(configured: Path | None) -> Path | None:
    """The YuNet file: the configured one (whether it is there or not), else one on a shelf, else None."""
    if configured:
        return expand(configured)
    return next((shelf / YUNET_NAME for shelf in shelves() if is_file(shelf / YUNET_NAME)), None)
