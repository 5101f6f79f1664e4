"""Gestures of the drawn person, through detector, landmarks and eyes model."""

from collections import Counter

import pytest
from drawn_gestures import GESTURES, frames, script

from ferd.config import AlertConfig, CameraConfig, Config, GesturesConfig
from ferd.policy.gesture_rules import RELIABLE
from ferd.vision.loader import Models
from ferd.vision.pipeline import Pipeline

CONFIG = Config(gestures=GesturesConfig(enabled=True))


@pytest.fixture(scope="module")
def models():
    return Models(CONFIG)


def seen(models, made, fps, config=CONFIG, **how):
    """(t, name) of each gesture of a camera that looks at the drawn person."""
    mirror = how.get("mirror", False)
    chain = Pipeline.of(models, config, CameraConfig(mirror=mirror))
    readings = (chain.step(frame) for frame in frames(made, fps, **how))
    return [(one.t, one.name) for reading in readings for one in reading.gestures if one.t == reading.t]


def right(made, found, late_s=0.4):
    return [next((name for t, name in found if one.start < t <= one.end + late_s), None) == one.name for one in made]


@pytest.mark.parametrize(("fps", "how"), [(15, {}), (10, {"lost": 0.1}), (15, {"mirror": True})])
def test_what_the_drawn_person_does_is_recognised(models, fps, how):
    made = script(RELIABLE)
    found = seen(models, made, fps, **how)
    assert Counter(name for _, name in found) == Counter(RELIABLE), found
    # A frame that is lost at the end of a gesture makes it as much later.
    assert all(right(made, found, 0.4 + how.get("lost", 0) * 10 / fps))


def test_the_others_too_where_they_are_asked_for(models):
    rest = tuple(name for name in GESTURES if name not in RELIABLE)
    made = script(rest)
    config = Config(gestures=GesturesConfig(enabled=True, use=list(rest)))
    assert all(right(made, seen(models, made, 15, config)))


def test_a_gesture_can_raise_an_alert_of_the_main_face(models):
    alert = AlertConfig(name="help", gesture="tilt_left", level="warning", cooldown_s=0)
    config = Config(gestures=GesturesConfig(enabled=True), alerts=[alert])
    chain = Pipeline.of(models, config, CameraConfig())
    readings = [chain.step(frame) for frame in frames(script(("tilt_left", "nod")), 15)]
    raised = [reading.t for reading in readings if reading.alerts]
    assert readings[0].alerts == ()
    assert 1.5 < raised[-1] - raised[0] < 3.5
    assert {alert.reason for reading in readings for alert in reading.alerts} == {"tilt_left"}


def test_gestures_can_be_switched_on_and_off_while_it_runs(models):
    chain = Pipeline.of(models, Config(), CameraConfig())
    assert chain.gestures is None
    chain.use(CONFIG, CameraConfig())
    watch = chain.gestures
    chain.use(Config(gestures=GesturesConfig(enabled=True, use=["nod"])), CameraConfig())
    assert chain.gestures is watch
    chain.use(Config(), CameraConfig())
    assert chain.gestures is None


def test_thresholds_of_a_person_decide_and_are_given_back(models):
    """She tilts her head by 24 degrees: more than the default of 16, less than 30."""
    made = script(("tilt_left",))
    chain = Pipeline.of(models, CONFIG, CameraConfig())
    chain.tune_gestures({"tilt_left": 30.0})
    readings = [chain.step(frame) for frame in frames(made, 10)]
    assert not any(reading.gestures for reading in readings)
    strongest = max(reading.strengths[reading.main].get("tilt_left", 0.0) for reading in readings if reading.main)
    assert 16 < strongest < 30
    chain = Pipeline.of(models, CONFIG, CameraConfig())
    chain.tune_gestures({"tilt_left": 30.0})
    chain.tune_gestures({})
    assert any(chain.step(frame).gestures for frame in frames(made, 10))
