"""What kind of export lies there, which file is the model, and where its labels are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ferd.errors import ModelError
from ferd.models.importer.unpack import plain_files

Kind = Literal["tflite", "keras", "tfjs", "savedmodel"]

EDGE_TPU = b"edgetpu-custom-op"
"""The name of the one operator that the Edge TPU's compiler leaves in a file."""
_WRONG = {
    ".onnx": "an ONNX model",
    ".pt": "a PyTorch model",
    ".pth": "a PyTorch model",
    ".safetensors": "weights without a network",
    ".mlmodel": "a Core ML model",
    ".task": "a MediaPipe task",
    ".tm": "a Teachable Machine project, the samples of a training",
}


@dataclass(frozen=True, slots=True)
class Export:
    """`model`: the file (of a SavedModel its folder). `labels`: labels.txt, if there is one. `metadata`: of tfjs."""

    kind: Kind
    model: Path
    labels: Path | None
    metadata: dict[str, Any]


def recognise_export(source: Path, place: Path) -> Export:
    """The export in `place`, a folder or one file, that was unpacked from `source` (named in errors).

    Raises ModelError that says what it is instead, and what to export.
    """
    files = plain_files(place) if place.is_dir() else [place]
    metadata = _metadata(files)
    _refuse_other_subjects(source, metadata, files)
    labels = _labels_file(place, files)
    if tflite := [f for f in files if f.suffix.lower() in (".tflite", ".lite")]:
        return Export("tflite", _the_one(source, tflite), labels, metadata)
    if keras := [f for f in files if f.suffix.lower() in (".h5", ".hdf5", ".keras")]:
        return Export("keras", _the_one(source, keras), labels, metadata)
    if saved := [f for f in files if f.name == "saved_model.pb"]:
        return Export("savedmodel", saved[0].parent, labels, metadata)
    if topology := [f for f in files if f.name == "model.json"]:
        if not any(f.suffix == ".bin" for f in files):
            raise ModelError(f"{source}: model.json is there, its weights.bin is not. Give the whole export")
        return Export("tfjs", topology[0], labels, metadata)
    raise ModelError(f"{source}: holds no model that ferd can take{_what_else(files)}. {_HOW}")


_HOW = 'In Teachable Machine: Export Model, "Tensorflow Lite", "Quantized", and give the zip as it is downloaded'


def _what_else(files: Sequence[Path]) -> str:
    for file in files:
        if what := _WRONG.get(file.suffix.lower()):
            return f" ({file.name} is {what})"
    names = ", ".join(sorted(f.name for f in files)[:5])
    return f" ({names})" if names else ""


def _the_one(source: Path, files: Sequence[Path]) -> Path:
    """The model among several: an export may hold the quantised and the plain one, then the quantised is meant."""
    usual = [f for f in files if f.name == "model.tflite"]
    if len(files) > 1 and not usual:
        names = ", ".join(f.name for f in files)
        raise ModelError(f"{source}: holds {len(files)} models ({names}); give the one that is meant")
    chosen = usual[0] if usual else files[0]
    if chosen.suffix.lower() in (".tflite", ".lite") and EDGE_TPU in chosen.read_bytes():
        raise ModelError(
            f"{source}: {chosen.name} is compiled for an Edge TPU (Coral) and runs on nothing else. "
            'Export "Tensorflow Lite", "Quantized" instead of "EdgeTPU"'
        )
    return chosen


def _labels_file(place: Path, files: Sequence[Path]) -> Path | None:
    found = [f for f in files if f.name.lower() in ("labels.txt", "labelmap.txt", "label_map.txt")]
    if not found and not place.is_dir():
        beside = place.with_name("labels.txt")
        found = [beside] if beside.is_file() else []
    return found[0] if found else None


def _metadata(files: Sequence[Path]) -> dict[str, Any]:
    """metadata.json of a Teachable Machine export; {} where there is none that can be read."""
    for file in files:
        if file.name == "metadata.json":
            try:
                found = json.loads(file.read_text(encoding="utf-8-sig"))
            except (ValueError, RecursionError):
                return {}
            return found if isinstance(found, dict) else {}
    return {}


def _refuse_other_subjects(source: Path, metadata: dict[str, Any], files: Sequence[Path]) -> None:
    """Teachable Machine exports sounds and poses in the same clothes; their metadata.json tells."""
    package = str(metadata.get("packageName", ""))
    if "wordLabels" in metadata or "speech" in package or any("soundclassifier" in f.name for f in files):
        raise ModelError(f"{source}: is a sound model; ferd looks at pictures. Train an image project")
    if package.endswith("/pose") or "pose" in str(metadata.get("modelSettings", "")):
        raise ModelError(
            f"{source}: is a pose model: it takes body points, not pictures. "
            "Train an image project with the same classes; with --input frame it sees the whole picture"
        )
