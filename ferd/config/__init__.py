"""The configuration: schema (models), reader (loader), error messages (messages), printer (template)."""

from ferd.config.loader import load_config, locate
from ferd.config.models import (
    AlertConfig,
    BuzzerConfig,
    CameraConfig,
    Config,
    DetectorConfig,
    ExpressionConfig,
    FatigueConfig,
    MqttConfig,
    NodeConfig,
    SmoothingConfig,
    WebConfig,
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
    "WebConfig",
    "load_config",
    "locate",
]
