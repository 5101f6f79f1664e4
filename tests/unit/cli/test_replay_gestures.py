"""`ferd replay --gestures` uses the thresholds that were tuned on the page for a camera."""

import pytest

from ferd.cli.replay import _thresholds
from ferd.config import Config
from ferd.errors import ConfigError
from ferd.settings_store import CameraSettings, SettingsStore

CONFIG = Config.model_validate({"gestures": {"enabled": True}, "cameras": {"hall": {}, "desk": {}}})


def test_the_thresholds_of_the_first_camera_or_of_the_named_one(capsys):
    SettingsStore.of(None).set("desk", CameraSettings(gestures={"nod": 9.0}))
    assert _thresholds(CONFIG, None) == {}
    assert capsys.readouterr().err == ""
    assert _thresholds(CONFIG, "desk") == {"nod": 9.0}
    assert "thresholds tuned for camera desk: nod 9" in capsys.readouterr().err


def test_a_camera_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match="there is no such camera; there are: hall, desk"):
        _thresholds(CONFIG, "attic")


def test_without_gestures_nothing_is_read():
    assert _thresholds(Config(), "attic") == {}
