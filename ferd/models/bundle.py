"""A bundle: a .tflite file with its labels and its card.

Found as NAME.tflite + NAME.json (our own form), as a .tflite file with labels.txt beside it, or as a folder that
holds one of these (a Teachable Machine export, unpacked).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ferd.errors import ModelError
from ferd.fs import exists, is_dir, is_file
from ferd.vision.align import Crop

Colour = Literal["gray", "rgb"]
View = Literal["face", "frame"]
UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of writing: they would act on whoever shows the label."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How a picture becomes the input: size in pixels, colour, then (value / 255 - mean) / std.

    `of`: what the picture shows: a face that was cut out, or the middle square of the whole frame.
    """

    width: int
    height: int
    colour: Colour
    mean: float = 0.5
    std: float = 0.5
    of: View = "face"

    def to_card(self) -> dict[str, Any]:
        """The `input` of a model card."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is known of a model before it is loaded. `card` is the JSON beside the file, {} if there is none.

    `input` is None when there is no card: the file's own shape decides then.
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
        """What it is for: "expression" (any classifier of faces), "face" or "eyes"."""
        return str(self.card.get("kind", "expression"))

    @property
    def checksum_ok(self) -> bool:
        """True when the file is, to the bit, the one that the card was written for."""
        return bool(self.card.get("sha256")) and self.card["sha256"] == sha256_of(self.path)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_bundle(path: Path) -> Bundle:
    """The bundle at a .tflite file or in a folder. Raises ModelError with the remedy; does not load the network."""
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
    """Labels in the forms met in the wild: "0 Happy", "Happy", leading spaces, byte order mark, CRLF."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ModelError(f"{path}: is not a text file in UTF-8; one label a line is expected") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = all(re.match(rf"{number}(\s+\S|$)", line) for number, line in enumerate(lines))
    labels = tuple("".join(line.split(maxsplit=1)[1:]) or line if numbered else line for line in lines)
    return distinct(labels, path)


def _tflite_file(path: Path) -> Path:
    if is_dir(path):
        files = sorted(path.glob("*.tflite"))
        if len(files) != 1:
            raise ModelError(f"{path}: holds {len(files)} .tflite files; name the one that is meant")
        return files[0]
    if not is_file(path):
        raise ModelError(f"{path}: no such model file. `ferd model list` shows what is on the shelf")
    return path


def _check_is_tflite(file: Path) -> None:
    """The flatbuffer identifier "TFL3" at byte 4 tells a wrong file at once, before any runtime sees it."""
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
            labels=distinct(tuple(str(label) for label in card["labels"]), card_file),
            input=_input_spec(card["input"]),
            output=card["output"],
            temperature=float(card.get("temperature", 1.0)),
            crop=Crop.from_card(card.get("crop", {})),
            card=card,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        problem = f"lacks the key {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(f"{card_file}: is not a model card: {problem}. models/README.md describes it") from None
    if bundle.temperature <= 0 or bundle.output not in ("logits", "probabilities"):
        raise ModelError(f'{card_file}: temperature must be above 0, output "logits" or "probabilities"')
    return bundle


def _input_spec(spec: dict[str, Any]) -> InputSpec:
    if spec["colour"] not in ("gray", "rgb"):
        raise ValueError(f'colour is {spec["colour"]!r}; "gray" or "rgb" is meant')
    if spec.get("of", "face") not in ("face", "frame"):
        raise ValueError(f'of is {spec["of"]!r}; "face" or "frame" is meant')
    made = InputSpec(
        int(spec["width"]),
        int(spec["height"]),
        spec["colour"],
        float(spec["mean"]),
        float(spec["std"]),
        spec.get("of", "face"),
    )
    if min(made.width, made.height) < 1 or made.std <= 0:
        raise ValueError("width, height and std of the input must be above 0")
    return made


def distinct(labels: tuple[str, ...], source: Path) -> tuple[str, ...]:
    if odd := [label for label in labels if UNSHOWABLE.search(label)]:
        raise ModelError(f"{source}: the label {odd[0]!r} holds characters that cannot be shown; rename the class")
    twice = {label for label in labels if labels.count(label) > 1}
    if twice or not labels:
        problem = f"holds {', '.join(sorted(twice))} twice" if twice else "holds no label"
        raise ModelError(f"{source}: {problem}; one distinct label for each class is needed")
    return labels
