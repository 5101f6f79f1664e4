"""Recognise an export: which kind it is, which file is the model, its labels, and what its metadata say."""

from __future__ import annotations

import json
import math
import re
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ferd.errors import ModelError
from ferd.fs import is_file
from ferd.models.importer.unpack import BROKEN, MAX_BYTES, list_files
from ferd.models.labels import check_labels, parse_labels
from ferd.models.preprocess import Channels
from ferd.scratch import scratch_folder

IDENTIFIER = b"M001"
# Number of each field in its table, in the order of the schema.
SUBGRAPHS, INPUTS, PROCESS_UNITS, OPTIONS_TYPE, OPTIONS, MEAN, STD = 3, 2, 4, 0, 1, 0, 1
NORMALIZATION = 1  # in the union ProcessUnitOptions

MAX_LABEL_BYTES = 1 << 20
LABEL_FILE = re.compile(
    r"(?:.*[-_. ])?(?:labels?|labelmap|label[-_ ]map|classes|class[-_ ](?:names|labels|indices)|dict)"
    r"(?:[-_. ].*)?\.(?:txt|json|csv|tsv|pbtxt|names)",
    re.IGNORECASE,
)
"""Usual names of label files: labels.txt, my_model.labels.txt, class_indices.json, label_map.pbtxt, dict.txt."""
Kind = Literal["tflite", "keras", "tfjs", "savedmodel"]

TEACHABLE_MACHINE = ("model.tflite", "model_unquant.tflite", "keras_model.h5", "model.savedmodel")
"""Names of the model in the exports of a Teachable Machine image project; labels.txt beside it is "0 Name" by lines."""
TEACHABLE_MACHINE_SIDE = 224
EDGE_TPU = b"edgetpu-custom-op"
"""Name of the operator that the Edge TPU's compiler leaves in a file."""
_OTHER_FORMATS = {
    ".onnx": "an ONNX model",
    ".pt": "a PyTorch model",
    ".pth": "a PyTorch model",
    ".safetensors": "weights without a network",
    ".mlmodel": "a Core ML model",
    ".task": "a MediaPipe task",
    ".zip": "a zip again: unpack it and give what is inside",
    **dict.fromkeys((".tar", ".tgz", ".gz", ".xz", ".bz2", ".7z", ".rar"), "an archive: unpack it and give the folder"),
    ".pb": "a graph of TensorFlow alone: give the whole SavedModel",
    ".pte": "a model for ExecuTorch",
    ".xml": "a model for OpenVINO",
    ".tm": "a Teachable Machine project with the samples of a training",
}


@dataclass(frozen=True, slots=True)
class Export:
    """Describe an export.

    Attributes:
        root: the folder that holds everything.
        model: the model file; of a SavedModel its folder.
        labels: the files of labels that came with it; more than one only where their contents differ.
        metadata: content of a Teachable Machine export's metadata.json, else {}.
    """

    kind: Kind
    root: Path
    model: Path
    labels: tuple[Path, ...]
    metadata: dict[str, Any]

    @property
    def from_teachable_machine(self) -> bool:
        """Whether Google's Teachable Machine made it, by its metadata, or by the names and labels of its files."""
        if str(self.metadata.get("packageName", "")).startswith("@teachablemachine/image"):
            return True
        if self.model.name not in TEACHABLE_MACHINE or len(self.labels) != 1 or self.labels[0].name != "labels.txt":
            return False
        with self.labels[0].open("rb") as stream:
            lines = stream.read(MAX_LABEL_BYTES).decode("utf-8-sig", errors="replace").splitlines()
        lines = [line for line in lines if line.strip()]
        return bool(lines) and all(re.match(rf"{number} \s*\S", line) for number, line in enumerate(lines))


def recognise_export(source: Path, place: Path) -> Export:
    """Recognise the export in `place`, a folder or one file, that was unpacked from `source` (named in errors).

    Raises:
        ModelError: it is something else; says what it is, and what to export.
    """
    root = place if place.is_dir() else place.parent
    files = list_files(place) if place.is_dir() else [place]
    metadata = _metadata(files)
    _refuse_other_subjects(source, metadata, files)
    labels = _label_files(place, files)
    _check_size(source, files)
    if tflite := [f for f in files if f.suffix.lower() in (".tflite", ".lite")]:
        return Export("tflite", root, _chosen(source, tflite), labels, metadata)
    if keras := [f for f in files if f.suffix.lower() in (".h5", ".hdf5", ".keras")]:
        return Export("keras", root, _chosen(source, keras), labels, metadata)
    if saved := [f for f in files if f.name == "saved_model.pb"]:
        return Export("savedmodel", root, saved[0].parent, labels, metadata)
    if topology := [f for f in files if f.name == "model.json"]:
        if not any(f.suffix == ".bin" for f in files):
            raise ModelError(f"{source}: model.json is there, its weights.bin is not. Give the whole export")
        return Export("tfjs", root, topology[0], labels, metadata)
    raise ModelError(f"{source}: holds no model that ferd can import{_what_else(files)}. {_HOW}")


def _check_size(source: Path, files: Sequence[Path]) -> None:
    for file in files:
        if file.suffix.lower() in _READ_WHOLE and (size := file.stat().st_size) > MAX_BYTES:
            raise ModelError(
                f"{source}: {file.name} is {size >> 20} MB; {MAX_BYTES >> 20} MB are supported. "
                "A model for a Pi is far smaller"
            )


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
    if len(files) > 1 and len({f.read_bytes() for f in usual}) != 1:
        names = ", ".join("/".join(f.parts[-2:]) if usual else f.name for f in usual or files)
        raise ModelError(f"{source}: holds {len(usual or files)} models ({names}); give one of them")
    chosen = usual[0] if usual else files[0]
    if chosen.suffix.lower() in (".tflite", ".lite") and EDGE_TPU in chosen.read_bytes():
        raise ModelError(
            f"{source}: {chosen.name} is compiled for an Edge TPU (Coral) and runs on nothing else. "
            'Export "Tensorflow Lite", "Quantized" instead of "EdgeTPU"'
        )
    return chosen


def _label_files(place: Path, files: Sequence[Path]) -> tuple[Path, ...]:
    """Find the files of labels. One whose name begins with that of another model is that model's."""
    if not place.is_dir():
        try:
            files = [f for f in sorted(place.parent.iterdir()) if is_file(f)]
        except OSError:
            files = []
    models = {f.stem for f in files if f.suffix.lower() in _MODELS}
    found = {
        f: max((stem for stem in models if _begins(f.name, stem)), key=len, default=None)
        for f in files
        if LABEL_FILE.fullmatch(f.name) and not f.name.startswith("._")  # what macOS adds to archives
    }
    if place.is_dir():
        others = models - USUAL_STEMS if models & USUAL_STEMS else frozenset()
        own = [f for f, model in found.items() if model not in others]
    else:
        own = [f for f, model in found.items() if model == place.stem]
        own = own or [f for f in found if models <= {place.stem}]
    contents: dict[bytes, Path] = {}
    for file in own:
        with file.open("rb") as stream:
            contents.setdefault(stream.read(MAX_LABEL_BYTES + 1), file)
    return tuple(contents.values())


def _begins(name: str, stem: str) -> bool:
    """Whether the file's name is the stem and more behind a mark: mood.labels.txt, mood_labels.txt."""
    return name.startswith(stem) and name[len(stem) :][:1] in ("-", "_", ".", " ")


USUAL_STEMS = frozenset({"model", "model_unquant"})
"""Files of which one is chosen where several models lie in a folder; see `_chosen`."""
_MODELS = (".tflite", ".lite", ".h5", ".hdf5", ".keras")
_READ_WHOLE = (*_MODELS, ".json", ".bin", ".pb")


def _metadata(files: Sequence[Path]) -> dict[str, Any]:
    """Read metadata.json of a Teachable Machine export; {} where there is none that can be read."""
    for file in files:
        if file.name == "metadata.json" and file.stat().st_size <= MAX_LABEL_BYTES:
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


def labels_of(
    export: Export, source: Path, given: Path | None = None, classes: int | None = None
) -> tuple[tuple[str, ...], str]:
    """Return one label for each class, in the order of the model's outputs, and where they come from.

    Looks into the file ``given`` by the user, a file of labels, metadata.json and the .tflite file itself, in this
    order. `classes`: number of the model's outputs, if it is known.

    Raises:
        ModelError: there are none, several that differ, or two of one name.
    """
    if given is not None:
        return parse_labels(given, classes), str(given)
    if len(export.labels) > 1 and len({_labels_or_none(file, classes) for file in export.labels}) > 1:
        names = " and ".join(str(file.relative_to(export.root)) for file in export.labels[:4])
        raise ModelError(f"{source}: holds several files of labels: {names}. Name the right one: --labels FILE")
    inside = _labels_inside(export.model, classes) if export.kind == "tflite" else None
    listed = export.metadata.get("labels")
    if isinstance(listed, list) and all(isinstance(label, str) for label in listed):
        listed = check_labels(tuple(label.strip() for label in listed), source)
    else:
        listed = None
    if export.labels:
        labels = parse_labels(export.labels[0], classes)
        if listed and listed != labels:
            raise ModelError(
                f"{source}: {export.labels[0].name} ({', '.join(labels[:8])}) and metadata.json "
                f"({', '.join(listed[:8])}) name different labels. Name a file with the right ones: --labels FILE"
            )
        if inside and inside != labels and sorted(inside) == sorted(labels):
            raise ModelError(
                f"{source}: {export.labels[0].name} has another order ({', '.join(labels[:8])}) than the labels inside "
                f"the model ({', '.join(inside[:8])}). Name a file with the right one: --labels FILE"
            )
        return labels, export.labels[0].name
    if listed:
        return listed, "metadata.json"
    if inside:
        return inside, "the model's metadata"
    raise ModelError(
        f"{source}: it comes without labels. Put labels.txt (one class per line, in the model's order) beside it, "
        "or name the file: --labels FILE"
    )


def _labels_or_none(file: Path, classes: int | None) -> tuple[str, ...] | None:
    try:
        return parse_labels(file, classes)
    except ModelError:
        return None


def _labels_inside(model: Path, classes: int | None = None) -> tuple[str, ...] | None:
    """Read the label file that TFLite metadata keeps in a zip at the end of the model file.

    Format: tensorflow.org/lite/models/convert/metadata.
    """
    try:
        with zipfile.ZipFile(model) as archive, scratch_folder("labels") as folder:
            texts = [
                e for e in archive.infolist() if e.filename.lower().endswith(".txt") and e.file_size <= MAX_LABEL_BYTES
            ]
            labelled = [e for e in texts if "label" in e.filename.lower()] or texts
            if not labelled:
                return None
            file = folder / "labels.txt"
            with archive.open(labelled[0]) as stream:
                file.write_bytes(stream.read(MAX_LABEL_BYTES))
            return parse_labels(file, classes)
    except (*BROKEN, RuntimeError, OSError):
        return None


def normalisation(model: bytes) -> tuple[Channels, Channels] | None:
    """Read NormalizationOptions of the input from TFLite metadata: (mean, std) of (value / 255 - mean) / std.

    Numbers for each channel are in the order of the model's channels.

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


def _options(flat: Any, unit: Any) -> tuple[Channels, Channels] | None:
    kind = unit.Offset(4 + 2 * OPTIONS_TYPE)
    options = unit.Offset(4 + 2 * OPTIONS)
    if not kind or not options or unit.Bytes[unit.Pos + kind] != NORMALIZATION:
        return None
    table = flat.Table(unit.Bytes, unit.Indirect(unit.Pos + options))
    mean, std = (_floats(table, field) for field in (MEAN, STD))
    return (mean, std) if mean is not None and std is not None and np.min(std) > 0 else None


def _floats(table: Any, field: int) -> Channels | None:
    """Read one number for all channels or three, as shares of 255; None where there is no finite one."""
    offset = table.Offset(4 + 2 * field)
    count = table.VectorLen(offset) if offset else 0
    if count not in (1, 3):
        return None
    values = [v / 255 for v in struct.unpack_from(f"<{count}f", table.Bytes, table.Vector(offset))]
    if not all(map(math.isfinite, values)):
        return None
    return values[0] if len(set(values)) == 1 else (values[0], values[1], values[2])


def _tables(flat: Any, table: Any, field: int) -> list[Any]:
    offset = table.Offset(4 + 2 * field)
    if not offset:
        return []
    begin = table.Vector(offset)
    return [flat.Table(table.Bytes, table.Indirect(begin + 4 * n)) for n in range(min(table.VectorLen(offset), 16))]
