"""Describe how an image becomes the input tensor of a model, as its card specifies it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ferd.models.runtime import Tensor

Colour = Literal["gray", "rgb", "bgr"]
Layout = Literal["nhwc", "nchw"]
View = Literal["face", "frame"]
Eyes = tuple[tuple[float, float], tuple[float, float]]
Channels = float | tuple[float, float, float]
"""One number for all channels, or one for each, in the order of the model's colour."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Describe a model's input: size in pixels, colour, and the scale (value / 255 - mean) / std.

    Attributes:
        of: what the image shows, a face that was cut out or the middle square of the whole frame.
        layout: "nhwc", rows of pixels, or "nchw", one plane for each channel, as PyTorch orders them.
    """

    width: int
    height: int
    colour: Colour
    mean: Channels = 0.5
    std: Channels = 0.5
    of: View = "face"
    layout: Layout = "nhwc"

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> InputSpec:
        """Read the ``input`` of a model card. Raises KeyError, TypeError or ValueError when it is malformed."""
        for key, allowed in (("colour", COLOURS), ("of", ("face", "frame")), ("layout", ("nhwc", "nchw"))):
            value = card[key] if key == "colour" else card.get(key, allowed[0])
            if value not in allowed:
                raise ValueError(f"{key} is {value!r}; use {' or '.join(map(repr, allowed))}")
        spec = cls(
            int(card["width"]),
            int(card["height"]),
            card["colour"],
            _channels(card["mean"]),
            _channels(card["std"]),
            card.get("of", "face"),
            card.get("layout", "nhwc"),
        )
        if min(spec.width, spec.height) < 1 or np.min(spec.std) <= 0:
            raise ValueError("width, height and std of the input must be above 0")
        if spec.colour == "gray" and (isinstance(spec.mean, tuple) or isinstance(spec.std, tuple)):
            raise ValueError("a gray input has one mean and one std")
        return spec

    def to_card(self) -> dict[str, Any]:
        """Return what `from_card` reads."""
        card = asdict(self)
        if self.layout == "nhwc":
            del card["layout"]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in card.items()}

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the tensor that takes this input."""
        channels = 1 if self.colour == "gray" else 3
        if self.layout == "nchw":
            return 1, channels, self.height, self.width
        return 1, self.height, self.width, channels

    def lookup_table(self, tensor: Tensor) -> NDArray[Any]:
        """Return what each of the 256 pixel values becomes in the tensor: normalised and quantised in one step.

        Shape (256,), or (256, 3) where the channels differ, in the tensor's own type.
        """
        pixels = np.arange(256, dtype=np.float32) / 255
        mean, std = (np.asarray(value, np.float32) for value in (self.mean, self.std))
        if mean.ndim or std.ndim:
            pixels = pixels[:, None]
        return tensor.quantise((pixels - mean) / std)


COLOURS: tuple[Colour, ...] = ("gray", "rgb", "bgr")


def _channels(value: Any) -> Channels:
    """Read one number or a list of three. Raises TypeError or ValueError."""
    numbers = tuple(float(number) for number in (value if isinstance(value, list | tuple) else [value]))
    if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
        raise ValueError(f"mean and std are one number or three, not {value!r}")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1], numbers[2])


SCALES: dict[str, tuple[Channels, Channels]] = {
    "-1..1": (0.5, 0.5),
    "0..1": (0.0, 1.0),
    "0..255": (0.0, 1 / 255),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": ((0.4076, 0.4580, 0.4850), (1 / 255, 1 / 255, 1 / 255)),
}
"""The usual scales: (mean, std) of (value / 255 - mean) / std. "imagenet": deviations from the mean of ImageNet's red,
green and blue, as torchvision has them; "caffe": 0 to 255 less the means of blue, green and red."""

TOLERANCE = 0.02
"""Share of a range by which a quantised input may deviate: 255 steps cannot hold -1, 0 and 1 exactly."""


def scale_by_range(limits: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return the scale that maps pixels 0 to 255 onto a quantised input, when its limits are one of the usual ranges.

    Other limits come from the images used for quantisation, and say nothing.
    """
    if limits is None:
        return None
    low, high = limits
    for darkest, brightest in ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0)):
        if max(abs(low - darkest), abs(high - brightest)) < TOLERANCE * (brightest - darkest):
            return -low / (high - low), 1 / (high - low)
    return None


def spec_of(shape: tuple[int, ...], limits: tuple[float, float] | None = None) -> InputSpec | None:
    """Return the input of an image classifier by the shape of its tensor; None when it takes something else.

    Args:
        limits: real values that a quantised tensor can hold; they give the scale. Otherwise it is -1 to 1.
    """
    if len(shape) != 4 or shape[0] != 1:
        return None
    mean, std = scale_by_range(limits) or SCALES["-1..1"]
    if shape[3] in (1, 3):
        return InputSpec(shape[2], shape[1], "gray" if shape[3] == 1 else "rgb", mean, std)
    if shape[1] in (1, 3):
        return InputSpec(shape[3], shape[2], "gray" if shape[1] == 1 else "rgb", mean, std, layout="nchw")
    return None


class InputEncoder:
    """Turn images into the input tensor of one network, as the file stores it."""

    def __init__(self, spec: InputSpec, tensor: Tensor) -> None:
        self._table = spec.lookup_table(tensor)
        self._planes = spec.layout == "nchw"
        self._shape = tensor.shape

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """Encode (H, W) or (H, W, 3) uint8 of the input's size and colour."""
        values = self._table.take(image) if self._table.ndim == 1 else self._table[image, np.arange(3)]
        if self._planes and values.ndim == 3:
            values = np.moveaxis(values, -1, 0)
        return np.ascontiguousarray(values.reshape(self._shape))


class Relation(NamedTuple):
    """Place a square by a detector's box: centre = box centre + (dx * w, dy * h), side = scale * max(w, h)."""

    dx: float = 0.0
    dy: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Crop:
    """Describe how a model wants its faces cut.

    Attributes:
        eyes: where the subject's right and left eye lie, in units of the side of the crop.
        least: smallest side of a crop placed by the eyes, in units of the side that the box would give: the eyes of a
            turned head lie close together, and their distance alone would cut into the face.
        relations: by detector name, for faces without landmarks.
    """

    eyes: Eyes | None = None
    least: float = 0.0
    relations: Mapping[str, Relation] = field(default_factory=dict)

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Crop:
        """Read the ``crop`` of a model card. Raises KeyError, TypeError or ValueError when it is malformed."""
        relations = {
            name: Relation(float(r["dx"]), float(r["dy"]), float(r["scale"]))
            for name, r in card.items()
            if isinstance(r, Mapping)
        }
        eyes = card.get("eyes")
        if not eyes:
            return cls(relations=relations)
        (rx, ry), (lx, ly) = eyes
        return cls(((float(rx), float(ry)), (float(lx), float(ly))), float(card.get("least", 0.0)), relations)

    def to_card(self) -> dict[str, Any]:
        """Return what `from_card` reads."""
        card: dict[str, Any] = {name: dict(r._asdict()) for name, r in self.relations.items()}
        return {"eyes": [list(eye) for eye in self.eyes], "least": self.least} | card if self.eyes else card
