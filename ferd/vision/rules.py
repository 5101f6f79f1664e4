"""Turn the configured rules into the values that the policies take."""

from __future__ import annotations

from ferd.config import Config
from ferd.policy.alert_engine import AlertEngine
from ferd.policy.alert_rules import Condition, Rule
from ferd.policy.drowsiness import DrowsinessLimits
from ferd.policy.gesture_rules import GestureRules
from ferd.policy.smoothing import SmoothingRules
from ferd.policy.sound_patterns import SILENT


def smoothing_rules(config: Config) -> SmoothingRules:
    """Return the values of [smoothing]."""
    return SmoothingRules(**config.smoothing.rules())


def drowsiness_limits(config: Config) -> DrowsinessLimits | None:
    """Return the values of [fatigue], None where it is off."""
    return (
        DrowsinessLimits(**config.fatigue.model_dump(exclude={"enabled", "allow_low_fps"}))
        if config.fatigue.enabled
        else None
    )


def alert_rules(config: Config) -> tuple[Rule, ...]:
    """Return the rules of [[alerts]], in the order of the configuration."""
    return tuple(
        Rule(
            name=alert.name,
            conditions=[Condition(**condition.model_dump()) for condition in alert.conditions],
            combine=any if alert.any else all,
            for_s=0.0 if alert.gestures and "for_s" not in alert.model_fields_set else alert.for_s,
            cooldown_s=alert.cooldown_s,
            level=alert.level,
            pattern=None if alert.buzzer == SILENT else alert.buzzer,
            mqtt=alert.mqtt,
        )
        for alert in config.alerts
    )


def gesture_rules(config: Config) -> GestureRules | None:
    """Return the values of [gestures], None where they are off."""
    if not config.gestures.enabled:
        return None
    values = config.gestures
    return GestureRules(
        use=tuple(values.use),
        hold_s=values.hold_s,
        sensitivity=values.sensitivity,
        cooldown_s=values.cooldown_s,
        wake=values.wake or None,
        wake_s=values.wake_s,
    )


def make_alert_engine(config: Config) -> AlertEngine:
    """Make an alert engine with the configured fatigue limits and alert rules."""
    return AlertEngine(drowsiness_limits(config), alert_rules(config))
