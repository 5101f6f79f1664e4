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
    "accuracy, recall and stress: FER+ majority protocol on the FER2013 public test: votes of one dropped, pictures "
    "without a label of more than half of the votes left out, contempt counted as wrong, pictures with an identical "
    "twin in train left out. sets: people held back from each set, cut by the eyes as in use, whole where no face was "
    "found; contempt posed on purpose left out. Int8 file through LiteRT. One temperature, which makes the largest "
    "difference between mean confidence and accuracy of any set of 300 pictures and more smallest; ece: each half of "
    "the pictures at the temperature that the other half gives, 15 bins; ece_by_chance: what a perfectly calibrated "
    "model measures on that many pictures."
)
RESEARCH = "non-commercial research only, at its source; the pictures are not part of ferd, only weights ship"
SETS = {
    "ferplus": {
        "name": "FER2013 with FER+ labels",
        "what": "28,413 gray faces of 48x48 from web searches, votes of ten people each",
        "licence": "labels MIT; pictures unstated: they are not part of ferd, only weights ship",
    },
    "photos": {
        "name": "gray press photos",
        "what": "3,361 faces of public figures, one label each by students, each cut in three ways",
        "licence": "Apache-2.0",
    },
    "rafdb": {
        "name": "RAF-DB",
        "what": "9,203 faces of all ages from the web, about 40 people's labels each",
        "licence": RESEARCH,
    },
    "affectnet_ffhq": {
        "name": "AffectNet (fear, sadness) and FFHQ (happiness, neutral)",
        "what": "4,986 faces from the web, 3,490 of them with a label",
        "licence": "AffectNet: non-commercial research only; FFHQ: CC BY-NC-SA 4.0; only weights ship",
    },
    "kdef": {
        "name": "KDEF",
        "what": "461 frontal portraits of 33 people, seven expressions posed",
        "licence": RESEARCH,
    },
    "ckplus48": {
        "name": "CK+",
        "what": "405 peak frames of 50 people, expressions posed",
        "licence": "research agreement, non-commercial; the pictures are not part of ferd, only weights ship",
    },
    "jaffe": {
        "name": "JAFFE",
        "what": "86 pictures of 4 Japanese women, seven expressions posed",
        "licence": RESEARCH,
    },
    "nir": {
        "name": "near-infrared faces",
        "what": "30 frames of 10 people, neutral or happy",
        "licence": "MIT",
    },
}
"""What is held back is not counted."""
BEFORE = {
    "name": "faces without a label",
    "what": "4,016 of TV frames, streets and portraits, known to expression-ferplus, whose weights it began with",
    "licence": "pictures unstated: they are not part of ferd, only weights ship",
}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def card(
    model: Path,
    figures: Figures,
    more: dict[str, float],
    sets: dict[str, dict[str, Any]],
    stress: dict[str, float],
    *,
    mean: float,
    std: float,
    temperature: float,
    macs: int,
    trained_on: list[dict[str, str]],
) -> dict[str, Any]:
    """The card's content; `more` and `stress` are further figures of FER+, `sets` those of every set."""
    recall = {k: round(v, 4) for k, v in zip(LABELS, figures.recall, strict=True)}
    return {
        "name": model.stem,
        "kind": "expression",
        "version": 1,
        "labels": list(LABELS),
        "input": {"width": SIDE, "height": SIDE, "colour": "gray", "mean": mean, "std": std},
        "output": "logits",
        "mirror": True,
        "temperature": temperature,
        "crop": CROP.to_card(),
        "macs": macs,
        "figures": {
            "accuracy": round(figures.accuracy, 4),
            **{name: round(value, 4) for name, value in more.items()},
            "recall": recall,
            "sets": sets,
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
