"""The configuration: one schema (schema.py), one reader (load.py), one printer (show.py)."""

from ferd.config.buzzer import BuzzerConfig
from ferd.config.load import load_config
from ferd.config.mqtt import MqttConfig
from ferd.config.schema import (
    CameraConfig,
    Config,
    DetectorConfig,
    ExpressionConfig,
    NodeConfig,
    SmoothingConfig,
)

__all__ = [
    "BuzzerConfig",
    "CameraConfig",
    "Config",
    "DetectorConfig",
    "ExpressionConfig",
    "MqttConfig",
    "NodeConfig",
    "SmoothingConfig",
    "load_config",
]
