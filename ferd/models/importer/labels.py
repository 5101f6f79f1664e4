"""The labels of an export: from labels.txt, from metadata.json, or from inside the .tflite file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from ferd.errors import ModelError
from ferd.models.bundle import distinct, parse_labels
from ferd.models.importer.recognise import Export
from ferd.models.importer.unpack import BROKEN

MOST_BYTES = 1 << 20


def labels_of(export: Export, source: Path, given: Path | None = None) -> tuple[str, ...]:
    """One label a class, in the order of the model's outputs. `given`: a labels file that the user named.

    Raises ModelError when there are none, or two of one name.
    """
    if given is not None:
        return parse_labels(given)
    if export.labels is not None:
        return parse_labels(export.labels)
    listed = export.metadata.get("labels")
    if isinstance(listed, list) and all(isinstance(label, str) for label in listed):
        return distinct(tuple(label.strip() for label in listed), source)
    if export.kind == "tflite" and (inside := _inside(export.model)):
        return inside
    raise ModelError(
        f"{source}: there are no labels with it. Put labels.txt (one class a line, in the model's order) beside it, "
        "or name the file: --labels FILE"
    )


def _inside(model: Path) -> tuple[str, ...] | None:
    """TFLite metadata keeps its label file in a zip at the file's end (tensorflow.org/lite/models/convert/metadata)."""
    try:
        with zipfile.ZipFile(model) as archive, TemporaryDirectory() as folder:
            texts = [e for e in archive.infolist() if e.filename.lower().endswith(".txt") and e.file_size <= MOST_BYTES]
            labelled = [e for e in texts if "label" in e.filename.lower()] or texts
            if not labelled:
                return None
            file = Path(folder) / "labels.txt"
            with archive.open(labelled[0]) as stream:
                file.write_bytes(stream.read(MOST_BYTES))
            return parse_labels(file)
    except (*BROKEN, RuntimeError, OSError):
        return None
