"""One table of switches: every one has its setting, its topics and its values."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest

from ferd import topics
from ferd.settings_store import CameraSettings
from ferd.switches import SWITCHES, WrongValueError


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_has_a_setting_and_both_topics(name: str):
    default = {field.name: field.default for field in fields(CameraSettings)}[name]
    assert SWITCHES[name].read(default) == default
    assert SWITCHES[name].topic.pattern == f"ferd/{{node}}/{{camera}}/{name}/state"
    patterns = [one.pattern for one in vars(topics).values() if isinstance(one, topics.Topic) and one.taken]
    assert f"ferd/{{node}}/{{camera}}/{name}/set" in patterns


@pytest.mark.parametrize("value", ["ON", " on ", "true", "1", True, 1, 1.0])
def test_on(value: object):
    assert SWITCHES["enabled"].read(value) is True


@pytest.mark.parametrize("value", ["OFF", "False", "0", False, 0, 0.0])
def test_off(value: object):
    assert SWITCHES["buzzer"].read(value) is False


@pytest.mark.parametrize("value", ["", "maybe", 2, 0.5, None, [], math.nan])
def test_neither(value: object):
    with pytest.raises(WrongValueError, match="send ON or OFF"):
        SWITCHES["enabled"].read(value)


@pytest.mark.parametrize("value", ["", "x", -1, 101, True, None, math.nan, "nan", "1e999", 10**400])
def test_no_sensitivity(value: object):
    with pytest.raises(WrongValueError, match="from 0 to 100"):
        SWITCHES["sensitivity"].read(value)
