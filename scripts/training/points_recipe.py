"""The whole recipe of the points model: tiles, training, int8 file, figures, card."""

from __future__ import annotations

import argparse
import datetime
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ferd.models.runtime import Network
from ferd.vision.points import AROUND, LABELS, SIDE
from training import card
from training.face_data import load
from training.face_loop import Plan, fit, plot
from training.face_report import NOT_FOR, TRAINED_ON
from training.fit import to_input
from training.net import MEAN, STD, multiply_adds
from training.points_augment import augment
from training.points_data import Tiles, tiles
from training.points_net import PointsNet
from training.quantise import CALIBRATION_PICTURES, quantise

BATCH = 128
HELD = 8  # one picture in so many is kept aside
BETA = 0.02  # of the smooth L1 loss: below it, errors are finer than the teacher's own


def train(options: argparse.Namespace, folder: Path) -> None:
    torch.set_num_threads(options.threads)
    begun = time.monotonic()
    faces = load(folder).faces
    aside = [zlib.crc32(face.file.encode()) % HELD == 0 for face in faces]
    learned = tiles([f for f, held in zip(faces, aside, strict=True) if not held], folder)
    kept = tiles([f for f, held in zip(faces, aside, strict=True) if held], folder)
    print(f"{len(learned)} faces to learn from, {len(kept)} to judge by")
    plan = Plan("points", options.epochs, len(learned) // BATCH, BATCH, rate=3e-3)

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        g = torch.Generator().manual_seed(plan.seed * 10_000 + epoch)
        for _ in range(plan.steps):
            pixels, points = augment(learned, torch.multinomial(learned.weights, BATCH, generator=g), g)
            yield to_input(pixels), points

    def loss(said: Tensor, points: Tensor) -> Tensor:
        return 10 * nn.functional.smooth_l1_loss(said, points, beta=BETA)

    net = fit(PointsNet(), plan, options.work, batches, loss, lambda n: judge(n, kept), resume=not options.fresh)
    plot(options.work)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "points.tflite"
    g = torch.Generator().manual_seed(plan.seed)
    quantise(
        net, augment(learned, torch.multinomial(learned.weights, CALIBRATION_PICTURES, generator=g), g)[0].numpy(), path
    )
    content = _card(path, judge(net, kept), judge_file(path, kept), multiply_adds(net, (SIDE, SIDE)), len(learned))
    card.write(path.with_suffix(".json"), content)
    print(f"\n{content['figures']}\n{(time.monotonic() - begun) / 60:.0f} minutes")


def judge(net: nn.Module, kept: Tiles) -> dict[str, float]:
    """Mean distance of the points, as a share of the face's longer side; the boxes slip as a detector's do."""
    pixels, points = _fixed(kept)
    with torch.no_grad():
        said = torch.cat([net(to_input(part)) for part in pixels.split(512)])
    return {"point_error": _error(said, points)}


def judge_file(path: Path, kept: Tiles) -> float:
    """The same of the int8 file, through LiteRT."""
    pixels, points = _fixed(kept)
    network = Network(path)
    rows = [
        network.invoke(network.input.quantise(to_input(p[None]).numpy().reshape(network.input.shape))) for p in pixels
    ]
    return _error(torch.from_numpy(np.stack([network.outputs[0].dequantise(row).reshape(-1) for row in rows])), points)


def _fixed(kept: Tiles) -> tuple[Tensor, Tensor]:
    return augment(kept, torch.arange(len(kept)), torch.Generator().manual_seed(5), change=False)


def _error(said: Tensor, points: Tensor) -> float:
    return float((said - points).reshape(-1, 5, 2).norm(dim=2).mean()) * AROUND / 2


def _card(path: Path, plain: dict[str, float], error: float, macs: int, faces: int) -> dict[str, object]:
    return {
        "name": "points",
        "kind": "points",
        "version": 1,
        "labels": list(LABELS),
        "input": {"width": SIDE, "height": SIDE, "colour": "gray", "mean": MEAN, "std": STD},
        "output": "logits",
        "around": AROUND,
        "macs": macs,
        "figures": {
            "point_error": round(error, 4),
            "point_error_float": round(plain["point_error"], 4),
            "protocol": "mean distance from YuNet's points on the enlarged face, as a share of the face's longer side; "
            "pictures held back from training; boxes off by 7 % and 11 % (standard deviations of place and size)",
        },
        "trained_on": [
            {"name": "faces", "what": f"{faces} faces of the sets below", "licence": "see below"},
            *TRAINED_ON[:2],
        ],
        "not_for": NOT_FOR,
        "licence": "Apache-2.0",
        "sha256": card.digest(path),
        "created": datetime.date.today().isoformat(),
    }
