"""Recognise an export: which kind it is, which file is the model, its labels, and how its input is scaled."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from ferd.errors import ModelError
from ferd.models.bundle import check_labels, parse_labels
from ferd.models.importer.unpack import BROKEN, list_files

IDENTIFIER = b"M001"
# Number of each field in its table, in the order of the schema.
SUBGRAPHS, INPUTS, PROCESS_UNITS, OPTIONS_TYPE, OPTIONS, MEAN, STD = 3, 2, 4, 0, 1, 0, 1
NORMALIZATION = 1  # in the union ProcessUnitOptions

MAX_LABEL_BYTES = 1 << 20
Kind = Literal["tflite", "keras", "tfjs", "savedmodel"]

EDGE_TPU = b"edgetpu-custom-op"
"""Name of the operator that the Edge TPU's compiler leaves in a file."""
_OTHER_FORMATS = {
    ".onnx": "an ONNX model",
    ".pt": "a PyTorch model",
    ".pth": "a PyTorch model",
    ".safetensors": "weights without a network",
    ".mlmodel": "a Core ML model",
    ".task": "a MediaPipe task",
    ".tm": "a Teachable Machine project with the samples of a training",
}


@dataclass(frozen=True, slots=True)
class Export:
    """Describe an export.

    Attributes:
        model: the model file; of a SavedModel its folder.
        labels: labels.txt, if there is one.
        metadata: content of a Teachable Machine export's metadata.json, else {}.
    """

    kind: Kind
    model: Path
    labels: Path | None
    metadata: dict[str, Any]


def recognise_export(source: Path, place: Path) -> Export:
    """Recognise the export in `place`, a folder or one file, that was unpacked from `source` (named in errors).

    Raises:
        ModelError: it is something else; says what it is, and what to export.
    """
    files = list_files(place) if place.is_dir() else [place]
    metadata = _metadata(files)
    _refuse_other_subjects(source, metadata, files)
    labels = _labels_file(place, files)
    if tflite := [f for f in files if f.suffix.lower() in (".tflite", ".lite")]:
        return Export("tflite", _chosen(source, tflite), labels, metadata)
    if keras := [f for f in files if f.suffix.lower() in (".h5", ".hdf5", ".keras")]:
        return Export("keras", _chosen(source, keras), labels, metadata)
    if saved := [f for f in files if f.name == "saved_model.pb"]:
        return Export("savedmodel", saved[0].parent, labels, metadata)
    if topology := [f for f in files if f.name == "model.json"]:
        if not any(f.suffix == ".bin" for f in files):
            raise ModelError(f"{source}: model.json is there, its weights.bin is not. Give the whole export")
        return Export("tfjs", topology[0], labels, metadata)
    raise ModelError(f"{source}: holds no model that ferd can import{_what_else(files)}. {_HOW}")


_HOW = 'In Teachable Machine: Export Model, "Tensorflow Lite", "Quantized", and give the zip as it is downloaded'


def _what_else(files: Sequence[Path]) -> str:
    for file in files:
        if what := _OTHER_FORMATS.get(file.suffix.lower()):
            return f" ({file.name} is {what})"
    names = ", ".join(sorted(f.name for f in files)[:5])
    return f" ({names})" if names else ""


def _chosen(source: Path, files: Sequence[Path]) -> Path:
    """Choose the model among several: of the quantised and the float file of one export, the quantised one."""
    usual = [f for f in files if f.name == "model.tflite"]
    if len(files) > 1 and not usual:
        names = ", ".join(f.name for f in files)
        raise ModelError(f"{source}: holds {len(files)} models ({names}); give one of them")
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
    """Read metadata.json of a Teachable Machine export; {} where there is none that can be read."""
    for file in files:
        if file.name == "metadata.json":
            try:
                found = json.loads(file.read_text(encoding="utf-8-sig"))
            except (ValueError, RecursionError):
                return {}
            return found if isinstance(found, dict) else {}
    return {}


def _refuse_other_subjects(source: Path, metadata: dict[str, Any], files: Sequence[Path]) -> None:
    """Refuse sound and pose models: Teachable Machine exports them in the same form, but for metadata.json."""
    package = str(metadata.get("packageName", ""))
    if "wordLabels" in metadata or "speech" in package or any("soundclassifier" in f.name for f in files):
        raise ModelError(f"{source}: is a sound model; ferd takes image models. Train an image project")
    if package.endswith("/pose") or "pose" in str(metadata.get("modelSettings", "")):
        raise ModelError(
            f"{source}: is a pose model: it takes body points, not images. "
            "Train an image project with the same classes; with --input frame it sees the whole image"
        )


def labels_of(export: Export, source: Path, given: Path | None = None) -> tuple[str, ...]:
    """Return one label per class, in the order of the model's outputs.

    Looks into the file ``given`` by the user, labels.txt, metadata.json and the .tflite file itself, in this order.

    Raises:
        ModelError: there are none, or two of one name.
    """
    if given is not None:
        return parse_labels(given)
    if export.labels is not None:
        return parse_labels(export.labels)
    listed = export.metadata.get("labels")
    if isinstance(listed, list) and all(isinstance(label, str) for label in listed):
        return check_labels(tuple(label.strip() for label in listed), source)
    if export.kind == "tflite" and (inside := _labels_inside(export.model)):
        return inside
    raise ModelError(
        f"{source}: it comes without labels. Put labels.txt (one class per line, in the model's order) beside it, "
        "or name the file: --labels FILE"
    )


def _labels_inside(model: Path) -> tuple[str, ...] | None:
    """Read the label file that TFLite metadata keeps in a zip at the end of the model file.

    Format: tensorflow.org/lite/models/convert/metadata.
    """
    try:
        with zipfile.ZipFile(model) as archive, TemporaryDirectory() as folder:
            texts = [
                e for e in archive.infolist() if e.filename.lower().endswith(".txt") and e.file_size <= MAX_LABEL_BYTES
            ]
            labelled = [e for e in texts if "label" in e.filename.lower()] or texts
            if not labelled:
                return None
            file = Path(folder) / "labels.txt"
            with archive.open(labelled[0]) as stream:
                file.write_bytes(stream.read(MAX_LABEL_BYTES))
            return parse_labels(file)
    except (*BROKEN, RuntimeError, OSError):
        return None


def normalisation(model: bytes) -> tuple[float, float] | None:
    """Read NormalizationOptions of the input from TFLite metadata: (mean, std) of (value / 255 - mean) / std.

    The metadata is a flatbuffer of its own inside the file (schema: tensorflow/lite/schema/metadata_schema.fbs), read
    here by field numbers. Returns None where the file does not state it, or cannot be read.
    """
    try:
        import flatbuffers.table as flat

        at = model.find(IDENTIFIER) - 4
        if at < 0:
            return None
        root = flat.Table(model, at + struct.unpack_from("<I", model, at)[0])
        for subgraph in _tables(flat, root, SUBGRAPHS)[:1]:
            for entry in _tables(flat, subgraph, INPUTS)[:1]:
                for unit in _tables(flat, entry, PROCESS_UNITS):
                    if found := _options(flat, unit):
                        return found
    except (ImportError, struct.error, IndexError, ValueError, OverflowError, TypeError):
        return None
    return None


def _options(flat: Any, unit: Any) -> tuple[float, float] | None:
    kind = unit.Offset(4 + 2 * OPTIONS_TYPE)
    options = unit.Offset(4 + 2 * OPTIONS)
    if not kind or not options or unit.Bytes[unit.Pos + kind] != NORMALIZATION:
        return None
    table = flat.Table(unit.Bytes, unit.Indirect(unit.Pos + options))
    mean, std = (_first_float(table, field) for field in (MEAN, STD))
    return (mean / 255, std / 255) if mean is not None and std else None


def _first_float(table: Any, field: int) -> float | None:
    """Read one number for all channels: models with different ones for red, green and blue are not supported."""
    offset = table.Offset(4 + 2 * field)
    if not offset or not table.VectorLen(offset):
        return None
    value: float = struct.unpack_from("<f", table.Bytes, table.Vector(offset))[0]
    return value


def _tables(flat: Any, table: Any, field: int) -> list[Any]:
    offset = table.Offset(4 + 2 * field)
    if not offset:
        return []
    begin = table.Vector(offset)
    return [flat.Table(table.Bytes, table.Indirect(begin + 4 * n)) for n in range(min(table.VectorLen(offset), 16))]
