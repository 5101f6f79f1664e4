"""The card beside a model file: what goes in, what comes out, how good it is, what it is not for."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

from training.crop import CROP
from training.data import LABELS, SIDE
from training.judge import Figures

NOT_FOR = (
    "A face's expression is not a person's feeling. Not for judging, ranking, hiring, policing or "
    "diagnosing anyone. Article 5(1)(f) of the EU AI Act forbids inferring emotions at work and in "
    "education, except for medical or safety reasons."
)
PROTOCOL = (
    "FER+ majority protocol on the FER2013 public test: votes of one dropped, pictures without a "
    "label of more than half of the votes left out, contempt counted as wrong, pictures with an "
    "identical twin in train left out; int8 file through LiteRT. The temperature is fitted on "
    "every second picture, ece is of the other half."
)
FERPLUS = {
    "name": "FER2013 with FER+ labels",
    "what": "28,413 gray faces of 48x48 from web searches, votes of ten people each",
    "licence": "labels MIT; pictures unstated: they are not part of ferd, only weights ship",
}
PHOTOS = {
    "name": "gray press photos",
    "what": "about 3,400 faces of public figures, one label each by students, each cut in three ways",
    "licence": "Apache-2.0",
}
UNLABELLED = {
    "name": "faces without a label",
    "what": "4,016 of TV frames, street scenes and portraits; larger nets trained on the above said what they show",
    "licence": "pictures unstated: they are not part of ferd, only weights ship",
}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def card(
    model: Path,
    figures: Figures,
    more: dict[str, float],
    stress: dict[str, float],
    *,
    mean: float,
    std: float,
    temperature: float,
    macs: int,
    trained_on: list[dict[str, str]],
) -> dict[str, Any]:
    """The card's content; `more` and `stress` are further accuracies."""
    recall = {k: round(v, 4) for k, v in zip(LABELS, figures.recall, strict=True)}
    return {
        "name": model.stem,
        "kind": "expression",
        "version": 1,
        "labels": list(LABELS),
        "input": {"width": SIDE, "height": SIDE, "colour": "gray", "mean": mean, "std": std},
        "output": "logits",
        "temperature": temperature,
        "crop": CROP.to_card(),
        "macs": macs,
        "figures": {
            "accuracy": round(figures.accuracy, 4),
            **{name: round(value, 4) for name, value in more.items()},
            "ece": round(figures.ece, 4),
            "recall": recall,
            "stress": {name: round(value, 4) for name, value in stress.items()},
            "n": figures.n,
            "protocol": PROTOCOL,
        },
        "trained_on": trained_on,
        "not_for": NOT_FOR,
        "licence": "Apache-2.0",
        "sha256": digest(model),
        "created": datetime.date.today().isoformat(),
    }


def write(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
