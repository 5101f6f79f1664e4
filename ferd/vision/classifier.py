"""Turn an image of a face into calibrated probabilities by label."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferd.errors import ModelError
from ferd.models.bundle import Bundle, Output
from ferd.models.preprocess import InputEncoder, InputSpec, spec_of
from ferd.models.registry import load_network
from ferd.models.runtime import Network
from ferd.names import label_problem
from ferd.types import Image
from ferd.vision.sides import Sides

log = logging.getLogger(__name__)


class Classifier:
    """Classify images of the input's size, uint8, gray or RGB as `input.colour` says."""

    def __init__(self, bundle: Bundle) -> None:
        """Load a bundle. Raises ModelError when the file is broken or does not fit its labels or card."""
        started = time.monotonic()
        self.bundle = bundle
        self.labels = bundle.labels
        self.network = load_network(bundle)
        self.input = bundle.input or _input_of(self.network, bundle)
        _check_fits(self.network, self.input, bundle)
        self._encode = InputEncoder(self.input, self.network.input)
        for label in self.labels:
            if problem := label_problem(label):
                log.warning('the class "%s" of model %s %s; add it again with --rename', label, bundle.name, problem)
        log.info(
            "model loaded name=%s runtime=%s labels=%d ms=%.0f",
            bundle.name, self.network.runtime, len(self.labels), 1000 * (time.monotonic() - started),
        )  # fmt: skip

    def prepare(self, image: Image) -> NDArray[Any]:
        """Turn (H, W) or (H, W, 3) uint8 of the input's size and colour into the input tensor as the file stores it."""
        return self._encode(image)

    def __call__(self, image: Image) -> NDArray[np.float32]:
        """Return probabilities, shape (labels,), sum 1, in the order of `labels`."""
        output = self.network.outputs[0].dequantise(self.network.invoke(self.prepare(image)).reshape(-1))
        return probabilities(output, self.bundle.output, self.bundle.temperature)

    def both_ways(self, image: Image) -> NDArray[np.float32]:
        """Return the mean with the picture in the mirror, as ferd reads a new face, where the card allows it."""
        return np.asarray(np.mean([self(look) for look in Sides(mirrors=self.bundle.mirrors)(0, image)], axis=0))

    def __repr__(self) -> str:
        return f"<Classifier {self.bundle.name} {self.network!r}>"


def probabilities(output: NDArray[np.float32], kind: Output, temperature: float = 1.0) -> NDArray[np.float32]:
    """Turn what the network gives into probabilities of all labels, sum 1."""
    if kind == "logit":  # of the second label: the other one has 0
        return softmax(np.array([0, output[0]], np.float32) / np.float32(temperature))
    if kind == "probability":
        return sharpen(np.array([1 - output[0], output[0]], np.float32), temperature)
    if kind == "logits":
        return softmax(output / np.float32(temperature))
    return sharpen(output, temperature)


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return exp(x) / sum(exp(x)), computed at x - max(x) so that nothing overflows.

    Without a finite maximum all labels are equally likely: one NaN would otherwise stay in every later mean.
    """
    highest = logits.max()
    if not math.isfinite(highest):
        return np.full(logits.shape, 1 / logits.size, np.float32)
    powers = np.exp(logits - highest)
    powers /= powers.sum()
    return np.asarray(powers, dtype=np.float32)


def sharpen(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Apply a temperature to probabilities, softmax(log(p) / T). Also makes them sum to 1 after quantisation."""
    return softmax(np.log(np.maximum(probabilities, np.float32(1e-6))) / np.float32(temperature))


def _input_of(network: Network, bundle: Bundle) -> InputSpec:
    """Return the input of a file without a card: a quantised input's own range, or -1 to 1 as Teachable Machine has it.

    Only a trial could decide the scale of a float file; `ferd model add` makes one.
    """
    spec = spec_of(network.input.shape, network.input.limits)
    if spec is None:
        raise ModelError(
            f"{bundle.path}: its input has the shape {list(network.input.shape)}; "
            "an image classifier takes [1, height, width, 1 or 3]"
        )
    if not network.input.quantised:
        log.warning(
            "model %s has no card: pixels are scaled to -1..1, a guess. `ferd model add %s` tries out what it needs",
            bundle.name, bundle.path,
        )  # fmt: skip
    return spec


def _check_fits(network: Network, spec: InputSpec, bundle: Bundle) -> None:
    if network.input.shape != spec.shape:
        raise ModelError(
            f"{bundle.path}: its input is {list(network.input.shape)}, its card says {list(spec.shape)}; "
            "the two files do not belong together"
        )
    if network.input.dtype not in (np.int8, np.uint8, np.float32):
        raise ModelError(f"{bundle.path}: its input type is {network.input.dtype}; export it as int8, uint8 or float32")
    classes = int(np.prod(network.outputs[0].shape))
    wanted = 1 if bundle.output in ("logit", "probability") else len(bundle.labels)
    if classes != wanted or len(bundle.labels) < 2:
        raise ModelError(
            f"{bundle.path}: gives {classes} scores, but there are {len(bundle.labels)} labels "
            f"({', '.join(bundle.labels[:8])}); use the labels that were exported with it"
            + ("" if bundle.card else ". `ferd model add` also takes models with one score or several outputs")
        )
