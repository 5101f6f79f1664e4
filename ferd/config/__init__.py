"""The configuration: schema (one module for each part), reader (loader), error messages, printer (template)."""

from ferd.config.loader import load_config, locate
from ferd.config.schema.alerts import AlertConfig, check_labels
from ferd.config.schema.buzzer import BuzzerConfig
from ferd.config.schema.cameras import CameraConfig
from ferd.config.schema.mqtt import MqttConfig
from ferd.config.schema.node import NodeConfig
from ferd.config.schema.policies import FatigueConfig, GesturesConfig
from ferd.config.schema.recognition import DetectorConfig, ExpressionConfig, SmoothingConfig
from ferd.config.schema.root import Config
from ferd.config.schema.values import Section
from ferd.config.schema.web import WebConfig

__all__ = [
    "AlertConfig",
    "BuzzerConfig",
    "CameraConfig",
    "Config",
    "DetectorConfig",
    "ExpressionConfig",
    "FatigueConfig",
    "GesturesConfig",
    "MqttConfig",
    "NodeConfig",
    "Section",
    "SmoothingConfig",
    "WebConfig",
    "check_labels",
    "load_config",
    "locate",
]
