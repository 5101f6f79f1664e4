"""[detector], [expression] and [smoothing]: which models read a face, and how their readings are smoothed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from ferd.config.schema.values import File, Fraction, Number, Seconds, Section, Whole


class DetectorConfig(Section):
    kind: Literal["auto", "face", "yunet", "haar"] = "auto"
    """"auto" uses the first that is available: face (ferd's own), yunet if its file is found, haar."""
    yunet: File | None = None
    """The YuNet file (face_detection_yunet_2023mar.onnx, from OpenCV Zoo). Also found in the model folders."""
    min_face_px: Annotated[Whole, Field(ge=16, le=1000)] = 48
    """Smallest face to detect, in pixels of the picture."""


class ExpressionConfig(Section):
    model: Annotated[str, Field(min_length=1)] = "expression"
    """The name of an installed model (`ferd model list`), or a path to a .tflite file or bundle folder."""


Profile = Literal["calm", "quick"]
QUICK: Mapping[str, float] = {"time_constant_s": 0.15, "switch_ratio": 1.1, "caution": 0.0}
"""Values of the profile "quick" where they differ from those of "calm", which are the defaults."""


class SmoothingConfig(Section):
    profile: Profile = "calm"
    """"calm" or "quick": the defaults of the keys below; a key that is set overrides its profile.
    calm: for rooms in which people talk. A label follows a clear change after about half a second, that of somebody
    who talks after one or two. quick: after a fifth of a second, but the label flickers while somebody talks."""
    time_constant_s: Annotated[Number, Field(ge=0, le=60)] = 0.4
    """Time constant: seconds of clear evidence that another label needs to replace the current one, longer if doubtful.
    The confidence follows with the same one. quick: 0.15."""
    on_threshold: Fraction = 0.4
    """A label is adopted when it is the most probable one and its probability is at least this."""
    off_threshold: Fraction = 0.2
    """The current label is dropped when its filtered probability stays below this and no other one reaches
    `on_threshold`. Below `on_threshold`: hysteresis."""
    switch_ratio: Annotated[Number, Field(ge=1, le=20)] = 1.5
    """A frame is evidence for another label when that is more than this many times as probable as the current one.
    quick: 1.1."""
    caution: Annotated[Number, Field(ge=0, le=10)] = 1.0
    """How much more evidence a change needs while scores and mouth move to and fro, as of somebody who talks: at 1 two
    to three times as much, at 0 none more. Above 0, frames of a yawn count for little as well. quick: 0."""
    min_hold_s: Seconds = 0.0
    """A new label must lead for this much longer before it is published; the current one is kept until then."""

    @model_validator(mode="wrap")
    @classmethod
    def _of_profile(cls, values: Any, handler: ModelWrapValidatorHandler[SmoothingConfig]) -> SmoothingConfig:
        if not isinstance(values, Mapping) or values.get("profile") != "quick":
            return handler(values)
        config = handler({**QUICK, **values})
        config.model_fields_set.difference_update(QUICK.keys() - values.keys())  # defaults still
        return config

    def rules(self) -> dict[str, float]:
        """Return the values that the smoothing itself takes."""
        return self.model_dump(exclude={"profile"})

    @model_validator(mode="after")
    def _hysteresis(self) -> SmoothingConfig:
        if self.off_threshold > self.on_threshold:
            raise ValueError(
                f"off_threshold ({self.off_threshold}) must not be above on_threshold ({self.on_threshold}): "
                "lower off_threshold or raise on_threshold"
            )
        return self
