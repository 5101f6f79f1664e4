"""Find a bundle: a .tflite file with its labels and its card.

Three forms are read: NAME.tflite + NAME.json (ferd's own), a .tflite file with labels.txt beside it, and a folder that
holds one of these (an unpacked Teachable Machine export).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ferd.errors import ModelError
from ferd.fs import exists, is_dir, is_file
from ferd.models.preprocess import Crop, InputSpec

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that change the direction of writing: they would act on the terminal or page that
shows the label."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Describe a model before it is loaded.

    ``card``: the JSON beside the file, {} without one. ``input`` is None without a card: the file's own shape decides.
    """

    name: str
    path: Path
    labels: tuple[str, ...]
    input: InputSpec | None = None
    output: Literal["logits", "probabilities"] = "probabilities"
    temperature: float = 1.0
    crop: Crop = field(default_factory=Crop)
    card: dict[str, Any] = field(default_factory=dict)

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
    return hashlib.sha256(path.read_bytes()).hexdigest()


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


def parse_labels(path: Path) -> tuple[str, ...]:
    """Read one label per line. Accepts "0 Happy", "Happy", leading spaces, a byte order mark and CRLF."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ModelError(f"{path}: is not a text file in UTF-8; one label per line is expected") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = all(re.match(rf"{number}(\s+\S|$)", line) for number, line in enumerate(lines))
    labels = tuple("".join(line.split(maxsplit=1)[1:]) or line if numbered else line for line in lines)
    return check_labels(labels, path)


def check_labels(labels: tuple[str, ...], source: Path) -> tuple[str, ...]:
    """Return the labels. Raises ModelError when there are none, one is repeated, or one cannot be shown."""
    if odd := [label for label in labels if UNPRINTABLE.search(label)]:
        raise ModelError(f"{source}: the label {odd[0]!r} holds characters that cannot be shown; rename the class")
    repeated = {label for label in labels if labels.count(label) > 1}
    if repeated or not labels:
        problem = f"holds {', '.join(sorted(repeated))} twice" if repeated else "holds no label"
        raise ModelError(f"{source}: {problem}; one distinct label for each class is needed")
    return labels


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
        card = json.loads(card_file.read_text(encoding="utf-8"))
        bundle = Bundle(
            name=str(card.get("name", file.stem)),
            path=file,
            labels=check_labels(tuple(str(label) for label in card["labels"]), card_file),
            input=InputSpec.from_card(card["input"]),
            output=card["output"],
            temperature=float(card.get("temperature", 1.0)),
            crop=Crop.from_card(card.get("crop", {})),
            card=card,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        problem = f"lacks the key {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(f"{card_file}: is not a model card: {problem}. models/README.md describes it") from None
    if bundle.temperature <= 0 or bundle.output not in ("logits", "probabilities"):
        raise ModelError(f'{card_file}: temperature must be above 0, output "logits" or "probabilities"')
    return bundle
