"""From a picture of a face to calibrated probabilities by label."""

from __future__ import annotations

import logging
import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.errors import ModelError
from ferd.models import sandbox as trial
from ferd.models.bundle import Bundle, InputSpec
from ferd.models.runtime import Network
from ferd.types import Image

log = logging.getLogger(__name__)


class Classifier:
    """A bundle, loaded. Call it with pictures of the input's size, uint8, gray or RGB as `input.colour` says."""

    def __init__(self, bundle: Bundle) -> None:
        """Raises ModelError when the file is broken or does not fit its labels or card; never crashes on it."""
        if not bundle.checksum_ok and (reason := trial.probe(bundle.path)):
            raise ModelError(f"{bundle.path}: {reason.removeprefix(f'{bundle.path}: ')}. Export or copy it again")
        started = time.monotonic()
        self.bundle = bundle
        self.labels = bundle.labels
        self.network = Network(bundle.path)
        self.input = bundle.input or _input_of(self.network, bundle)
        _check_fits(self.network, self.input, bundle)
        self._lookup = _lookup_table(self.network, self.input)
        log.info(
            "model loaded name=%s runtime=%s labels=%d ms=%.0f",
            bundle.name, self.network.runtime, len(self.labels), 1000 * (time.monotonic() - started),
        )  # fmt: skip

    def prepare(self, picture: Image) -> NDArray[Any]:
        """(H, W) gray or (H, W, 3) RGB uint8 of the input's size -> the input tensor as the file stores it."""
        return np.ascontiguousarray(self._lookup[picture].reshape(self.network.input.shape))

    def __call__(self, picture: Image) -> NDArray[np.float32]:
        """Probabilities, shape (labels,), float32, sum 1, in the order of `labels`."""
        output = self.network.outputs[0].dequantise(self.network.invoke(self.prepare(picture)).reshape(-1))
        if self.bundle.output == "logits":
            return softmax(output / np.float32(self.bundle.temperature))
        return sharpen(output, self.bundle.temperature)

    def __repr__(self) -> str:
        return f"<Classifier {self.bundle.name} {self.network!r}>"


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """exp(x) / sum(exp(x)), taken at x - max(x) so that nothing overflows.

    Scores that are no numbers say nothing: all are as likely. Else one of them would stay in every mean after it.
    """
    highest = logits.max()
    if not np.isfinite(highest):
        return np.full(logits.shape, 1 / logits.size, np.float32)
    powers = np.exp(logits - highest)
    return np.asarray(powers / powers.sum(), dtype=np.float32)


def sharpen(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Temperature on probabilities: softmax(log(p) / T). Also makes them sum to 1 after quantisation."""
    return softmax(np.log(np.maximum(probabilities, np.float32(1e-6))) / np.float32(temperature))


def to_input_colour(picture: Image, spec: InputSpec) -> Image:
    """A camera's picture (gray or BGR) in the colour that the model wants."""
    if spec.colour == "gray":
        return picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    code = cv2.COLOR_GRAY2RGB if picture.ndim == 2 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(picture, code), np.uint8)


def _input_of(network: Network, bundle: Bundle) -> InputSpec:
    """The input of a file without a card, after Teachable Machine: values from -1 to 1, one or three channels."""
    shape = network.input.shape
    if len(shape) != 4 or shape[0] != 1 or shape[3] not in (1, 3):
        raise ModelError(
            f"{bundle.path}: its input has the shape {list(shape)}; "
            "a picture classifier takes [1, height, width, 1 or 3]"
        )
    return InputSpec(width=shape[2], height=shape[1], colour="gray" if shape[3] == 1 else "rgb")


def _check_fits(network: Network, spec: InputSpec, bundle: Bundle) -> None:
    channels = 1 if spec.colour == "gray" else 3
    wanted = (1, spec.height, spec.width, channels)
    if network.input.shape != wanted:
        raise ModelError(
            f"{bundle.path}: its input is {list(network.input.shape)}, its card says {list(wanted)}; "
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


def _lookup_table(network: Network, spec: InputSpec) -> NDArray[Any]:
    """What each of the 256 pixel values becomes in the input tensor: normalising and quantising in one step."""
    values = (np.arange(256, dtype=np.float32) / 255 - np.float32(spec.mean)) / np.float32(spec.std)
    return network.input.quantise(values)
