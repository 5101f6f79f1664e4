"""Find out how an imported model wants its pixels: try each usual scale and channel order on pictures.

A float file does not say how it was trained, and a wrong scale still gives plausible scores. Where it is known what the
pictures show, the scale counts that reads them best; elsewhere the one whose answers differ between pictures and stay
the same when a picture is mirrored, darkened or brightened.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.models import sandbox
from ferd.models.bundle import Output
from ferd.models.preprocess import SCALES, Channels, Colour, InputSpec
from ferd.types import Image
from ferd.vision.classifier import probabilities
from ferd.vision.images import to_input_colour

LIGHTS = (1.0, 0.45, 0.7, 1.3)
"""Factors of the brightness of the copies of each picture; every second copy is mirrored. The right scale reads them
all: with one light, a model that is robust by itself reads some faces under a wrong scale as well."""

BUDGET_S = 20.0
"""Processor time of all runs, estimated from one."""
MIN_PICTURES = 8
CLEAR = 1.25
"""The best way counts as found when it is better than the next by this factor."""
CLOSE = 0.95
"""On pictures of which nothing is known, the usual way is kept when it is within this share of the best."""
BETTER_THAN_CHANCE = 1.5
SPREAD = 0.4
"""Least `spread` times `steady` of answers that follow the pictures."""
FLOOR = 0.01


@dataclass(frozen=True, slots=True)
class Way:
    """One way to read the input, and how the model does with it.

    Attributes:
        right: share of the pictures whose known label is the most likely one, mean over the labels; None where
            nothing is known of the pictures.
        sure: geometric mean of the known label's probability, over pictures and labels.
        spread: mutual information between pictures and answers, as a share of its maximum: 0 when all answers are the
            same, or all undecided.
        steady: share of the pictures whose answer stays the same when they are mirrored, darker or brighter.
        said: by known label, the answer that came most often.
    """

    name: str
    spec: InputSpec
    right: float | None = None
    sure: float = 0.0
    spread: float = 0.0
    steady: float = 0.0
    said: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        right = "" if self.right is None else f"{100 * self.right:3.0f} % right, "
        return f"{self.name}: {right}{100 * self.spread:.0f} % spread, {100 * self.steady:.0f} % steady"


@dataclass(frozen=True, slots=True)
class Finding:
    """The chosen way, why it was chosen ("" for a guess), and what the user should look at.

    ``ways``: all, the usual ones first.
    """

    way: Way
    reason: str
    ways: tuple[Way, ...]
    doubt: str | None = None


def named_scale(name: str, colour: Colour) -> tuple[Channels, Channels]:
    """Return (mean, std) of a scale of `SCALES` in the channel order of the input; one mean for gray."""
    mean, std = SCALES[name]
    order = "bgr" if name == "caffe" else "rgb"
    return _ordered(mean, colour, order), _ordered(std, colour, order)


def _ordered(value: Channels, colour: Colour, order: str) -> Channels:
    if not isinstance(value, tuple):
        return value
    if colour == "gray":
        return sum(value) / 3
    return value if colour == order else (value[2], value[1], value[0])


def possible_ways(spec: InputSpec, scale: tuple[Channels, Channels] | None, channels: Colour | None) -> list[Way]:
    """Return the ways to try, the usual ones first.

    Args:
        scale, channels: fixed by the user, or known from the file; None: to be found.
    """
    # Gray face models come from Keras with rescale=1/255; colour models are MobileNets more often than not.
    names = ["0..1", "-1..1", "0..255", "imagenet"] if spec.colour == "gray" else list(SCALES)
    orders: list[Colour] = ["gray"] if spec.colour == "gray" else [channels] if channels else ["rgb", "bgr"]
    ways = []
    for order in orders:
        suffix = "" if order == "gray" else f" {order.upper()}"
        if scale is not None:
            ways.append(Way(f"the given scale{suffix}", replace(spec, colour=order, mean=scale[0], std=scale[1])))
            continue
        for name in names:
            if name == "caffe" and order == "rgb" and channels is None:
                continue  # its pixels are BGR
            mean, std = named_scale(name, order)
            ways.append(Way(f"{name}{suffix}", replace(spec, colour=order, mean=mean, std=std)))
    return ways


@dataclass(frozen=True, slots=True)
class Model:
    """A model file to try. ``run_s``: time of one run; ``head``: which of its outputs counts."""

    file: Path
    labels: Sequence[str]
    output: Output
    run_s: float
    head: int = 0


def try_ways(model: Model, ways: Sequence[Way], pictures: Sequence[Image], truths: Sequence[str | None]) -> list[Way]:
    """Run the model, in the sandbox, on the pictures in each way and return the ways with their figures.

    Args:
        pictures: BGR (H, W, 3) of the input's size. A slow model sees some of them only.
        truths: what each shows, one of the labels or None.
    """
    labels = model.labels
    most = int(BUDGET_S / max(model.run_s, 1e-4) / len(ways) / len(LIGHTS))
    step = max(1, -(-len(pictures) // max(most, MIN_PICTURES)))
    pictures, truths = pictures[::step], truths[::step]
    gray = ways[0].spec.colour == "gray"
    copies = [copy if not gray else to_input_colour(copy, ways[0].spec) for one in pictures for copy in _in_lights(one)]
    scores = sandbox.score(model.file, copies, [way.spec for way in ways], model.head)
    result = []
    for way, rows in zip(ways, scores, strict=True):
        answers = np.stack([probabilities(np.asarray(row, np.float32), model.output) for row in rows])
        result.append(judge(way, answers.reshape(len(pictures), len(LIGHTS), len(labels)), truths, labels))
    return result


def _in_lights(picture: Image) -> list[Image]:
    copies = [np.asarray(cv2.convertScaleAbs(picture, alpha=light), np.uint8) for light in LIGHTS]
    return [np.ascontiguousarray(copy[:, ::-1]) if n % 2 else copy for n, copy in enumerate(copies)]


def judge(way: Way, answers: NDArray[np.float32], truths: Sequence[str | None], labels: Sequence[str]) -> Way:
    """Return the way with its figures. `answers`: probabilities, (pictures, copies, labels)."""
    top = answers.argmax(axis=2)
    first = answers[:, 0]
    counts = Counter(truth for truth in truths if truth is not None)
    known = sorted(counts)
    # No more can be learnt from the answers than there are different things to see.
    most = math.log(max(2, min(len(labels), len(first))))
    if len(known) > 1 and counts.total() == len(truths):
        most = float(_entropy(np.array(list(counts.values())) / counts.total()))
    spread = float(_entropy(first.mean(axis=0)) - _entropy(first).mean()) / most
    way = replace(way, spread=min(1.0, max(0.0, spread)), steady=float((top == top[:, :1]).mean()))
    if len(known) < 2:  # a model that always says the same would be right
        return way
    shares, logs, said = [], [], {}
    for label in known:
        rows = [n for n, truth in enumerate(truths) if truth == label]
        index = labels.index(label)
        shares.append(float((top[rows] == index).mean()))
        logs.append(float(np.log(answers[rows, :, index] + FLOOR).mean()))
        said[label] = labels[Counter(top[rows].reshape(-1).tolist()).most_common(1)[0][0]]
    return replace(way, right=sum(shares) / len(shares), sure=math.exp(sum(logs) / len(logs)), said=said)


def _entropy(probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(-(probabilities * np.log(probabilities + 1e-9)).sum(axis=-1))


def choose(ways: Sequence[Way], usual: Way, classes: int, *, own: bool) -> Finding:
    """Choose among tried ways.

    Args:
        ways: in the order in which they are preferred when the pictures do not decide.
        usual: the way that counts when the pictures show nothing.
        own: the pictures are the user's, of the kind that the model was trained on. Faces of one person that the model
            may know nothing of can only decide where their expression is known.
    """
    if ways[0].right is not None:
        ranked = sorted(ways, key=lambda way: -way.sure)
        best = ranked[0]
        if best.sure >= BETTER_THAN_CHANCE / classes and (best.right or 0) >= BETTER_THAN_CHANCE / classes:
            unclear = len(ranked) > 1 and best.sure < CLEAR * ranked[1].sure
            doubt = f"{ranked[1].name} reads the pictures nearly as well" if unclear else None
            reason = f"reads {100 * (best.right or 0):.0f} % of the known pictures right"
            return Finding(best, reason, tuple(ways), doubt)
        follows = max(ways, key=lambda way: way.spread * way.steady)
        if follows.spread * follows.steady >= SPREAD:
            wrong = "; ".join(f"{label} as {said}" for label, said in follows.said.items() if said != label)
            doubt = f"it reads {wrong}: are the labels in the order of the model? (--labels FILE)"
            return Finding(follows, "its answers follow the pictures", tuple(ways), doubt)
        return Finding(usual, "", tuple(ways), "no scale reads the pictures right")
    if own:
        ranked = sorted(ways, key=lambda way: -way.spread * way.steady)
        best, quality = ranked[0], ranked[0].spread * ranked[0].steady
        rest = max((way.spread * way.steady for way in ranked[1:]), default=0.0)
        if quality >= SPREAD and quality >= CLEAR * rest:
            return Finding(best, "its answers follow the pictures", tuple(ways))
        if quality >= SPREAD and usual.spread * usual.steady < CLOSE * quality:
            return Finding(
                best, "its answers follow the pictures", tuple(ways), f"{ranked[1].name} does nearly as well"
            )
    return Finding(usual, "", tuple(ways), "the pictures do not decide the scale")
