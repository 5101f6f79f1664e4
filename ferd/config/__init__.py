"""The configuration: one schema (schema.py), one reader (load.py), one printer (show.py)."""

from ferd.config.alerts import AlertConfig
from ferd.config.buzzer import BuzzerConfig
from ferd.config.fatigue import FatigueConfig
from ferd.config.loader import load_config
from ferd.config.models import (
    CameraConfig,
    Config,
    DetectorConfig,
    ExpressionConfig,
    NodeConfig,
    SmoothingConfig,
)
from ferd.config.mqtt import MqttConfig

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
