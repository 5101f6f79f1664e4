"""Every configuration key, its type, range, default and meaning. `ferd config default` prints this.

Large sections have a module of their own beside this one.
"""

from __future__ import annotations

import re
import socket
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ferd.config.alerts import AlertConfig, distinct_names
from ferd.config.buzzer import BuzzerConfig
from ferd.config.fatigue import FatigueConfig
from ferd.config.mqtt import MqttConfig
from ferd.config.source import check_source
from ferd.config.types import File, Flag, Fraction, Name, Number, Seconds, Section, Whole
from ferd.config.web import WebConfig


def host_name() -> str:
    """This machine's name in the form that topics allow: [a-z0-9-]{1,32}."""
    return re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().lower()).strip("-")[:32] or "ferd"


class NodeConfig(Section):
    name: Name = Field(default_factory=host_name)
    """Name of this box in topics: ferd/<name>/…  Letters a-z, digits and hyphens. Default: the host name."""
    id: Name | None = None
    """Who this ferd is towards Home Assistant, where several run on one machine: give each but the first an id of its
    own, for ever. Not set: the machine's own id; a new name then keeps all entities."""


def _rectangles(value: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    for x, y, w, h in value:
        if x < 0 or y < 0 or w <= 0 or h <= 0:
            raise ValueError(f"[{x}, {y}, {w}, {h}] is not a rectangle: use [left, top, width, height] in pixels")
    return value


RESERVED = ("request", "response")
"""Topics of the node itself, ferd/<node>/request/…, beside those of its cameras."""


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name} is a topic of the node itself; give the camera another name")
    return name


CameraName = Annotated[Name, AfterValidator(_not_reserved)]


class CameraConfig(Section):
    source: Annotated[str, AfterValidator(check_source)] = "auto"
    """"auto", "picamera2", "usb", "usb:1", "/dev/video0", "/dev/v4l/by-id/…", a video file, a folder of pictures,
    "rtsp://…", "http://…" or "demo"."""
    width: Annotated[Whole, Field(ge=64, le=4096)] = 640
    """Width of the picture that is asked for, in pixels."""
    height: Annotated[Whole, Field(ge=48, le=4096)] = 480
    """Height of the picture that is asked for, in pixels."""
    fps: Annotated[Number, Field(gt=0, le=120)] = 15
    """Pictures a second that are asked for. More than the board can analyse are skipped and counted."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Turn the picture clockwise by so many degrees."""
    mirror: Flag = False
    """Swap left and right, as in a mirror."""
    ignore_zones: Annotated[list[tuple[int, int, int, int]], AfterValidator(_rectangles)] = Field(default_factory=list)
    """Rectangles [left, top, width, height] in pixels in which faces are ignored (a poster, a television)."""


class DetectorConfig(Section):
    kind: Literal["auto", "face", "yunet", "haar"] = "auto"
    """"auto" takes the first that is there: face (ferd's own), yunet if its file is found, haar."""
    yunet: File | None = None
    """The YuNet file (face_detection_yunet_2023mar.onnx, from OpenCV Zoo). Also found on the model shelf."""
    min_face_px: Annotated[Whole, Field(ge=16, le=1000)] = 48
    """Faces smaller than this (pixels of the picture) are not looked for."""


class ExpressionConfig(Section):
    model: Annotated[str, Field(min_length=1)] = "expression"
    """A name on the model shelf (`ferd model list`) or a path to a .tflite file or bundle folder."""


class SmoothingConfig(Section):
    time_constant_s: Annotated[Number, Field(ge=0, le=60)] = 0.1
    """Time constant, in seconds: pictures of so long count as one look at the face. More is calmer and later."""
    on_threshold: Fraction = 0.4
    """A label is taken up when it is the likeliest, and its probability is at least this."""
    off_threshold: Fraction = 0.2
    """A held label is dropped when its filtered probability stays below this. Below `on_threshold`: hysteresis."""
    switch_ratio: Annotated[Number, Field(ge=1, le=1000)] = 1.05
    """A new label takes the place of the held one when it is so many times as likely, by all looks since the change."""
    min_hold_s: Seconds = 0.0
    """A new label must stay ahead for so long before it is told; a held one is kept for so much longer."""

    @model_validator(mode="after")
    def _hysteresis(self) -> SmoothingConfig:
        if self.off_threshold > self.on_threshold:
            raise ValueError(
                f"off_threshold ({self.off_threshold}) must not be above on_threshold ({self.on_threshold}): "
                "lower off_threshold or raise on_threshold"
            )
        return self


class Config(Section):
    """The whole configuration. Defaults work without a file."""

    node: NodeConfig = Field(default_factory=NodeConfig)
    cameras: Annotated[dict[CameraName, CameraConfig], Field(min_length=1, max_length=8)] = Field(
        default_factory=lambda: {"camera": CameraConfig()}
    )
    detector: DetectorConfig = Field(default_factory=DetectorConfig)
    expression: ExpressionConfig = Field(default_factory=ExpressionConfig)
    smoothing: SmoothingConfig = Field(default_factory=SmoothingConfig)
    fatigue: FatigueConfig = Field(default_factory=FatigueConfig)
    alerts: Annotated[list[AlertConfig], AfterValidator(distinct_names), Field(max_length=32)] = Field(
        default_factory=list
    )
    buzzer: BuzzerConfig = Field(default_factory=BuzzerConfig)
    mqtt: MqttConfig = Field(default_factory=MqttConfig)
    web: WebConfig = Field(default_factory=WebConfig)

    @model_validator(mode="after")
    def _sounds_exist(self) -> Config:
        for alert in self.alerts:
            try:
                self.buzzer.check_pattern(alert.buzzer)
            except ValueError as error:
                raise ValueError(f'alerts: "{alert.name}": {error}') from None
        return self
