"""Find a bundle: a .tflite file with its labels and its card.

Three forms are read: NAME.tflite + NAME.json (ferd's own), a .tflite file with labels.txt beside it, and a folder that
holds one of these (an unpacked Teachable Machine export).
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ferd.errors import ModelError
from ferd.fs import exists, is_dir, is_file
from ferd.models.labels import check_labels, parse_labels
from ferd.models.preprocess import Crop, InputSpec

MAX_CARD_BYTES = 1 << 20
"""What is behind is not read, so that a larger card is no JSON."""
Output = Literal["logits", "probabilities", "logit", "probability"]
"""What the file gives: a number for each label, or one number, for the second of two labels."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Describe a model before it is loaded.

    Attributes:
        input: None without a card: the file's own shape decides.
        head: number of the output that counts, from 0, where the file has several.
        card: the JSON beside the file, {} without one.
    """

    name: str
    path: Path
    labels: tuple[str, ...]
    input: InputSpec | None = None
    output: Output = "probabilities"
    temperature: float = 1.0
    crop: Crop = field(default_factory=Crop)
    head: int = 0
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def mirrors(self) -> bool:
        """Whether its card says that a picture in the mirror has the same class."""
        return self.card.get("mirror") is True

    @property
    def kind(self) -> str:
        """Purpose of the model: "expression" (any classifier of faces), "face", "eyes" or "landmarks"."""
        return str(self.card.get("kind", "expression"))

    @property
    def checksum_ok(self) -> bool:
        """Whether the file is bit for bit the one that its card was written for. Says nothing about who wrote it."""
        return bool(self.card.get("sha256")) and self.card["sha256"] == sha256_of(self.path)


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256 digest in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_bundle(path: Path) -> Bundle:
    """Read the bundle at a .tflite file or in a folder, without loading the network.

    Raises:
        ModelError: with the remedy.
    """
    file = _tflite_file(path)
    _check_is_tflite(file)
    card_file = file.with_suffix(".json")
    if exists(card_file):
        return _from_card(file, card_file)
    labels_file = file.with_name("labels.txt")
    if not exists(labels_file):
        raise ModelError(f"{file}: no {card_file.name} and no labels.txt beside it; put the export's labels.txt there")
    return Bundle(name=file.stem, path=file, labels=parse_labels(labels_file))


def _tflite_file(path: Path) -> Path:
    if is_dir(path):
        files = sorted(path.glob("*.tflite"))
        if len(files) != 1:
            raise ModelError(f"{path}: holds {len(files)} .tflite files; name the file to use")
        return files[0]
    if not is_file(path):
        raise ModelError(f"{path}: no such model file. `ferd model list` shows the installed models")
    return path


def _check_is_tflite(file: Path) -> None:
    """Refuse a wrong file before any runtime sees it: the flatbuffer identifier "TFL3" stands at byte 4."""
    try:
        with file.open("rb") as stream:
            head = stream.read(8)
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror}). Check its owner and mode") from None
    if not head:
        raise ModelError(f"{file}: is empty; copy or download it again")
    if head[4:8] != b"TFL3":
        raise ModelError(f"{file}: is not a TFLite model; export it as TensorFlow Lite")


def _from_card(file: Path, card_file: Path) -> Bundle:
    try:
        with card_file.open("rb") as stream:
            card = json.loads(stream.read(MAX_CARD_BYTES))
        bundle = Bundle(
            name=str(card.get("name", file.stem)),
            path=file,
            labels=check_labels(tuple(str(label) for label in card["labels"]), card_file),
            input=InputSpec.from_card(card["input"]),
            output=card["output"],
            temperature=float(card.get("temperature", 1.0)),
            crop=Crop.from_card(card.get("crop", {})),
            head=int(card.get("head", 0)),
            card=card,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        problem = f"lacks the key {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(f"{card_file}: is not a model card: {problem}. models/README.md describes it") from None
    if not 0 < bundle.temperature < math.inf or bundle.output not in get_args(Output):
        raise ModelError(f'{card_file}: temperature must be above 0, output "logits" or "probabilities"')
    return bundle
