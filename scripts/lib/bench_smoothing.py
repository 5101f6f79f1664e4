"""Scenes of known truth, told by several filters, and how right, how restless and how late each of them is.

A scene: a person holds an expression for 2 to 10 s, then another person another one. Every frame shifts, turns,
blurs, relights and at times hides a part of the face, slowly (a lamp, a posture) and quickly (noise, motion).
Truth is what the crowd says of the face. A tenth of the frames is lost, times jitter.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ferd.config import SmoothingConfig
from ferd.evaluation.samples import Sample, read_samples
from ferd.models.registry import find_bundle
from ferd.policy.smoothing import Smoother, SmoothingRules
from ferd.vision.classifier import Classifier

RATES = (5, 10, 30)
LOST = 0.1
JITTER = 0.2
STEP_S = 0.05
"""Truth and told are compared on this grid."""


@dataclass(frozen=True)
class Scene:
    """`cuts`: (begin, end, label) of each expression. `frames`: (t, probabilities), t rising."""

    cuts: list[tuple[float, float, str]]
    frames: list[tuple[float, np.ndarray]]


Filter = Callable[[Scene, Sequence[str]], list[tuple[float, str | None]]]
"""What is told when: (t, label) at each frame."""


def main() -> None:
    options = arguments()
    classifier = Classifier(find_bundle(options.model))
    faces = by_label(list(read_samples(options.data / "ferplus.npz")), classifier.labels)
    results: dict[str, dict[int, dict[str, float]]] = {}
    for fps in RATES:
        scenes = [
            make_scene(np.random.default_rng([options.seed, n]), faces, fps, classifier) for n in range(options.scenes)
        ]
        for name, told in FILTERS.items():
            results.setdefault(name, {})[fps] = score(scenes, told, classifier.labels)
    print(json.dumps(results, indent=2) if options.json else table(results))
    if options.plot:
        plot(results, options.plot)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-smoothing", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of ferplus.npz")
    parser.add_argument("--model", default="expression")
    parser.add_argument("--scenes", type=int, default=40, help="scenes of about a minute at each rate")
    parser.add_argument("--seed", type=int, default=7, help="another number: other scenes")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def by_label(samples: Sequence[Sample], labels: Sequence[str]) -> dict[str, list[np.ndarray]]:
    faces = {label: [s.picture for s in samples if s.label == label] for label in labels}
    return {label: pictures for label, pictures in faces.items() if pictures}


def make_scene(rng: np.random.Generator, faces: dict[str, list[np.ndarray]], fps: int, model: Classifier) -> Scene:
    """The faces and the slow changes depend on the scene's number only, so all rates see the same story."""
    cuts, frames, begin, label = [], [], 0.0, ""
    while begin < 60:
        # As often as the crowd saw it: drawn evenly, fear and disgust would be a third of all time.
        others = [name for name in faces if name != label]
        counts = np.array([len(faces[name]) for name in others])
        label = str(rng.choice(others, p=counts / counts.sum()))
        length = float(rng.uniform(2, 10))
        face = faces[label][int(rng.integers(len(faces[label])))]
        look = Wobble(rng)
        quick = np.random.default_rng([int(rng.integers(1 << 30)), fps])
        for i in range(int(length * fps)):
            if quick.random() >= LOST:
                t = (i + 0.5 + quick.uniform(-JITTER, JITTER)) / fps
                frames.append((begin + t, model(look.apply(face, t, quick))))
        cuts.append((begin, begin + length, label))
        begin += length
    return Scene(cuts, frames)


class Wobble:
    """A slow sway of posture and light with a random phase, and what differs from frame to frame."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._phase = rng.uniform(0, 2 * np.pi, 3)
        self._speed = rng.uniform(0.5, 3.0, 3)

    def apply(self, face: np.ndarray, t: float, quick: np.random.Generator) -> np.ndarray:
        sway = np.sin(self._phase + self._speed * t)
        matrix = cv2.getRotationMatrix2D((23.5, 23.5), 3 * sway[0] + quick.normal(0, 4), quick.uniform(0.9, 1.1))
        matrix[:, 2] += sway[1] + quick.normal(0, 2, 2)
        picture = cv2.warpAffine(face, matrix, (48, 48), borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
        picture = 255 * (picture / 255) ** quick.uniform(0.6, 1.7)
        picture *= (1 + 0.15 * sway[2]) * quick.uniform(0.7, 1.3)
        if (sigma := quick.uniform(-0.5, 1.8)) > 0.1:  # motion, or a camera that looks for its focus
            picture = cv2.GaussianBlur(picture, (0, 0), sigma)
        return np.clip(picture + quick.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)


def raw(scene: Scene, labels: Sequence[str]) -> list[tuple[float, str | None]]:
    return [(t, labels[int(np.argmax(p))]) for t, p in scene.frames]


def mean_of_5(scene: Scene, labels: Sequence[str]) -> list[tuple[float, str | None]]:
    scores = [p for _, p in scene.frames]
    means = [np.mean(scores[max(0, i - 4) : i + 1], axis=0) for i in range(len(scores))]
    return [(t, labels[int(np.argmax(m))]) for (t, _), m in zip(scene.frames, means, strict=True)]


def exponential(scene: Scene, labels: Sequence[str]) -> list[tuple[float, str | None]]:
    """The usual recipe: y += 0.2 (x - y) at each frame."""
    told, y = [], scene.frames[0][1]
    for t, p in scene.frames:
        y = y + 0.2 * (p - y)
        told.append((t, labels[int(np.argmax(y))]))
    return told


def ours(scene: Scene, labels: Sequence[str]) -> list[tuple[float, str | None]]:
    smoother = Smoother(labels, SmoothingRules(**SmoothingConfig().model_dump()))
    return [(t, smoother.update(t, p).label) for t, p in scene.frames]


def informed(scene: Scene, labels: Sequence[str]) -> list[tuple[float, str | None]]:
    """A yardstick: it is told when the expression changes, and takes the mean of all frames since."""
    told: list[tuple[float, str | None]] = []
    for begin, end, _ in scene.cuts:
        since = [(t, np.log(np.maximum(p, 1e-3))) for t, p in scene.frames if begin <= t < end]
        sums = itertools.accumulate(logs for _, logs in since)
        told += [(t, labels[int(np.argmax(total))]) for (t, _), total in zip(since, sums, strict=True)]
    return told


FILTERS: dict[str, Filter] = {
    "raw": raw,
    "mean of 5": mean_of_5,
    "exponential": exponential,
    "ours": ours,
    "informed": informed,
}


def score(scenes: Sequence[Scene], told: Filter, labels: Sequence[str]) -> dict[str, float]:
    """Shares in percent, flips a minute beyond the true ones, delays in seconds.

    A delay is counted where the expression was told at all while it was held.
    """
    right = grid = flips = 0
    seconds, delays, missed = 0.0, [], 0
    for scene in scenes:
        line = told(scene, labels)
        times = np.array([t for t, _ in line])
        changes = sum(a[1] != b[1] for a, b in itertools.pairwise(line))
        flips += max(0, changes - (len(scene.cuts) - 1))
        seconds += scene.cuts[-1][1]
        for begin, end, label in scene.cuts:
            moments = np.arange(begin, end, STEP_S)
            places = np.searchsorted(times, moments, side="right") - 1
            said = np.array([line[p][1] if p >= 0 else None for p in places], dtype=object)
            right += int((said == label).sum())
            grid += len(moments)
            hits = np.flatnonzero(said == label)
            if len(hits):
                delays.append(float(moments[hits[0]] - begin))
            else:
                missed += 1
    return {
        "right_percent": round(100 * right / grid, 1),
        "flips_a_minute": round(60 * flips / seconds, 2),
        "delay_median_s": round(float(np.median(delays)), 2),
        "delay_p95_s": round(float(np.percentile(delays, 95)), 2),
        "never_told_percent": round(100 * missed / sum(len(s.cuts) for s in scenes), 1),
    }


def table(results: dict[str, dict[int, dict[str, float]]]) -> str:
    head = f"{'filter':<12}{'fps':>5}{'right %':>10}{'flips/min':>11}{'delay med':>11}{'delay p95':>11}{'never %':>9}"
    rows = [
        f"{name:<12}{fps:>5}" + "".join(f"{v:>{w}}" for v, w in zip(r.values(), (10, 11, 11, 11, 9), strict=True))
        for name, rates in results.items()
        for fps, r in rates.items()
    ]
    return "\n".join([head, *rows])


def plot(results: dict[str, dict[int, dict[str, float]]], file: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    titles = {"right_percent": "told is right, % of time", "flips_a_minute": "flips a minute too many",
              "delay_median_s": "median delay, s"}  # fmt: skip
    for axes, (key, title) in zip(figure.subplots(1, 3), titles.items(), strict=True):
        for k, (name, rates) in enumerate(results.items()):
            axes.bar(np.arange(len(RATES)) + 0.17 * k, [rates[fps][key] for fps in RATES], 0.15, label=name)
        axes.set_xticks(np.arange(len(RATES)) + 0.34, [f"{fps} fps" for fps in RATES])
        axes.set_title(title)
    axes.legend()
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
