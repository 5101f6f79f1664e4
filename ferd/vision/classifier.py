"""Turn an image of a face into calibrated probabilities by label."""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferd.errors import ModelError
from ferd.models.bundle import Bundle
from ferd.models.preprocess import InputSpec
from ferd.models.registry import load_network
from ferd.models.runtime import Network
from ferd.types import Image

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
        self._lookup = self.input.lookup_table(self.network.input)
        log.info(
            "model loaded name=%s runtime=%s labels=%d ms=%.0f",
            bundle.name, self.network.runtime, len(self.labels), 1000 * (time.monotonic() - started),
        )  # fmt: skip

    def prepare(self, image: Image) -> NDArray[Any]:
        """Turn (H, W) gray or (H, W, 3) RGB uint8 of the input's size into the input tensor as the file stores it."""
        return np.ascontiguousarray(self._lookup[image].reshape(self.network.input.shape))

    def __call__(self, image: Image) -> NDArray[np.float32]:
        """Return probabilities, shape (labels,), sum 1, in the order of `labels`."""
        output = self.network.outputs[0].dequantise(self.network.invoke(self.prepare(image)).reshape(-1))
        if self.bundle.output == "logits":
            return softmax(output / np.float32(self.bundle.temperature))
        return sharpen(output, self.bundle.temperature)

    def __repr__(self) -> str:
        return f"<Classifier {self.bundle.name} {self.network!r}>"


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return exp(x) / sum(exp(x)), computed at x - max(x) so that nothing overflows.

    Without a finite maximum all labels are equally likely: one NaN would otherwise stay in every later mean.
    """
    highest = logits.max()
    if not np.isfinite(highest):
        return np.full(logits.shape, 1 / logits.size, np.float32)
    powers = np.exp(logits - highest)
    return np.asarray(powers / powers.sum(), dtype=np.float32)


def sharpen(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Apply a temperature to probabilities, softmax(log(p) / T). Also makes them sum to 1 after quantisation."""
    return softmax(np.log(np.maximum(probabilities, np.float32(1e-6))) / np.float32(temperature))


def _input_of(network: Network, bundle: Bundle) -> InputSpec:
    """Return the input of a file without a card, as in Teachable Machine: values from -1 to 1, 1 or 3 channels."""
    shape = network.input.shape
    if len(shape) != 4 or shape[0] != 1 or shape[3] not in (1, 3):
        raise ModelError(
            f"{bundle.path}: its input has the shape {list(shape)}; "
            "an image classifier takes [1, height, width, 1 or 3]"
        )
    return InputSpec(width=shape[2], height=shape[1], colour="gray" if shape[3] == 1 else "rgb")


def _check_fits(network: Network, spec: InputSpec, bundle: Bundle) -> None:
    channels = 1 if spec.colour == "gray" else 3
    expected = (1, spec.height, spec.width, channels)
    if network.input.shape != expected:
        raise ModelError(
            f"{bundle.path}: its input is {list(network.input.shape)}, its card says {list(expected)}; "
            "the two files do not belong together"
        )
    if network.input.dtype not in (np.int8, np.uint8, np.float32):
        raise ModelError(f"{bundle.path}: its input type is {network.input.dtype}; export it as int8, uint8 or float32")
    classes = int(np.prod(network.outputs[0].shape))
    if classes != len(bundle.labels):
        raise ModelError(
            f"{bundle.path}: gives {classes} scores, but there are {len(bundle.labels)} labels "
            f"({', '.join(bundle.labels[:8])}); use the labels that were exported with it"
        )
