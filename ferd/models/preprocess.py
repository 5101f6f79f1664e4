"""Describe how an image becomes the input tensor of a model, as its card specifies it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ferd.models.runtime import Tensor

Colour = Literal["gray", "rgb"]
View = Literal["face", "frame"]
Eyes = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Describe a model's input: size in pixels, colour, and the scale (value / 255 - mean) / std.

    ``of``: what the image shows, a face that was cut out or the middle square of the whole frame.
    """

    width: int
    height: int
    colour: Colour
    mean: float = 0.5
    std: float = 0.5
    of: View = "face"

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> InputSpec:
        """Read the ``input`` of a model card. Raises KeyError, TypeError or ValueError when it is malformed."""
        if card["colour"] not in ("gray", "rgb"):
            raise ValueError(f'colour is {card["colour"]!r}; use "gray" or "rgb"')
        if card.get("of", "face") not in ("face", "frame"):
            raise ValueError(f'of is {card["of"]!r}; use "face" or "frame"')
        spec = cls(
            int(card["width"]),
            int(card["height"]),
            card["colour"],
            float(card["mean"]),
            float(card["std"]),
            card.get("of", "face"),
        )
        if min(spec.width, spec.height) < 1 or spec.std <= 0:
            raise ValueError("width, height and std of the input must be above 0")
        return spec

    def to_card(self) -> dict[str, Any]:
        """Return what `from_card` reads."""
        return asdict(self)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height

    def lookup_table(self, tensor: Tensor) -> NDArray[Any]:
        """Return what each of the 256 pixel values becomes in the tensor: normalised and quantised in one step.

        Shape (256,), in the tensor's own type.
        """
        values = (np.arange(256, dtype=np.float32) / 255 - np.float32(self.mean)) / np.float32(self.std)
        return tensor.quantise(values)


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
