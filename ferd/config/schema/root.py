"""The whole configuration: every section, and the rules that concern several of them.

`ferd config default` prints the docstring below each key as the comment of that key.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from ferd.config.schema.alerts import AlertConfig, distinct_names
from ferd.config.schema.buzzer import BuzzerConfig
from ferd.config.schema.cameras import CameraConfig, CameraName
from ferd.config.schema.mqtt import MqttConfig
from ferd.config.schema.node import NodeConfig
from ferd.config.schema.policies import LEAST_FPS, FatigueConfig, GesturesConfig
from ferd.config.schema.recognition import DetectorConfig, ExpressionConfig, SmoothingConfig
from ferd.config.schema.values import Section
from ferd.config.schema.web import WebConfig
from ferd.config.source import is_browser


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
    gestures: GesturesConfig = Field(default_factory=GesturesConfig)
    alerts: Annotated[list[AlertConfig], AfterValidator(distinct_names), Field(max_length=32)] = Field(
        default_factory=list
    )
    buzzer: BuzzerConfig = Field(default_factory=BuzzerConfig)
    mqtt: MqttConfig = Field(default_factory=MqttConfig)
    web: WebConfig = Field(default_factory=WebConfig)

    @model_validator(mode="after")
    def _gestures_are_recognised(self) -> Config:
        for alert in self.alerts:
            for name in sorted(alert.gestures):
                if not self.gestures.enabled:
                    raise ValueError(f'alerts: "{alert.name}": needs gestures: set enabled = true in [gestures]')
                if name not in self.gestures.use:
                    raise ValueError(f'alerts: "{alert.name}": {name} is not recognised: add it to use in [gestures]')
        return self

    @model_validator(mode="after")
    def _browsers_can_send(self) -> Config:
        senders: dict[str, str] = {}
        for name, camera in self.cameras.items():
            if not is_browser(camera.source):
                continue
            if not self.web.enabled:
                raise ValueError(
                    f'cameras.{name}.source = "{camera.source}" needs the page: set enabled = true in [web]'
                )
            if (other := senders.setdefault(camera.source, name)) != name:
                raise ValueError(
                    f'cameras.{name}.source = "{camera.source}" is that of camera {other}, and one browser sends for '
                    f'one camera: write "browser:{len(senders) + 1}"'
                )
        return self

    @model_validator(mode="after")
    def _fast_enough(self) -> Config:
        if not self.fatigue.enabled or self.fatigue.allow_low_fps:
            return self
        for name, camera in self.cameras.items():
            if camera.fps < LEAST_FPS:
                raise ValueError(
                    f"cameras.{name}.fps = {camera.fps:g} is too low for fatigue.enabled: closed eyes are judged from "
                    f"{LEAST_FPS:g} frames a second on. Raise fps (15 is better), switch fatigue off, or set "
                    "fatigue.allow_low_fps = true to accept the report too_few_frames"
                )
        return self

    @model_validator(mode="after")
    def _patterns_exist(self) -> Config:
        for alert in self.alerts:
            try:
                self.buzzer.check_pattern(alert.buzzer)
            except ValueError as error:
                raise ValueError(f'alerts: "{alert.name}": {error}') from None
        return self
