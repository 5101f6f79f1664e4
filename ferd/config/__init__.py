"""The configuration: one schema (schema.py), one reader (load.py), one printer (show.py)."""

from ferd.config.alerts import AlertConfig
from ferd.config.buzzer import BuzzerConfig
from ferd.config.fatigue import FatigueConfig
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
    "AlertConfig",
    "BuzzerConfig",
    "CameraConfig",
    "Config",
    "DetectorConfig",
    "ExpressionConfig",
    "FatigueConfig",
    "MqttConfig",
    "NodeConfig",
    "SmoothingConfig",
    "load_config",
]
