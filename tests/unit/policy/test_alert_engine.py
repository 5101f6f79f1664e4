"""Changed rules while alerts run: what was observed and what sounds goes on."""

import pytest

from ferd.policy.alert_engine import AlertEngine
from ferd.policy.alert_rules import Condition, Rule
from ferd.policy.drowsiness import DrowsinessLimits
from ferd.types import Box, EyeMouthState, Face, FaceReading, Reading, Track

FPS = 10
LIMITS = DrowsinessLimits()
OTHER_LIMITS = DrowsinessLimits(perclos_notice=0.2, perclos_warning=0.3, unseen_after_s=20)
SAD = Rule("sad", [Condition(label="sadness", above=0.6)], for_s=5.0, cooldown_s=30.0, level="warning")


class Driver:
    """Somebody before the camera: frames in, readings with alerts out."""

    def __init__(self, limits=LIMITS, rules=()):
        self.engine, self.t = AlertEngine(limits, rules), 0.0

    def drive(self, seconds, eyes=0.03, sadness=0.1):
        """The reading after so many seconds of this; `eyes`: how closed, None: nobody is there."""
        for _ in range(round(seconds * FPS)):
            self.t += 1 / FPS
            now = self.engine(self._reading(eyes, sadness))
        return now

    def levels(self, seconds, **face):
        """(seconds, name, level) at each change of the worst alert."""
        began, before, found = self.t, None, []
        while self.t < began + seconds - 1e-6:
            alerts = self.drive(1 / FPS, **face).alerts
            now = (alerts[0].name, alerts[0].level) if alerts else None
            if now != before:
                found.append((round(self.t - began, 1), *(now or (None, None))))
            before = now
        return found

    def _reading(self, eyes, sadness):
        if eyes is None:
            return Reading(self.t)
        track = Track(1, Face(Box(0, 0, 80, 80)), 0.0, self.t)
        smooth = {"sadness": sadness, "neutral": 1 - sadness}
        blinks = eyes < 0.1 and self.t % 5 < 0.15
        face = FaceReading(track, smooth, smooth, None, None, 0.0, EyeMouthState(0.95 if blinks else eyes, 0.02))
        return Reading(self.t, (face,), 1)


def test_an_alarm_goes_on_when_the_limits_change():
    driver = Driver()
    driver.drive(10)
    (alarm,) = driver.drive(4, eyes=0.98).alerts
    assert alarm.level == "alarm"
    driver.engine.use(OTHER_LIMITS, ())
    (now,) = driver.drive(1 / FPS, eyes=0.98).alerts
    assert now.level == "alarm"
    assert now.since == alarm.since, "it did not begin again"
    assert driver.drive(3).alerts == (), "open eyes end it"


def test_perclos_goes_on_when_the_limits_change():
    driver = Driver()
    for _ in range(30):
        driver.drive(1.4)
        driver.drive(0.4, eyes=0.98)
    before = driver.drive(1).fatigue
    driver.engine.use(OTHER_LIMITS, ())
    after = driver.drive(1 / FPS).fatigue
    assert before.perclos == pytest.approx(0.22, abs=0.03)
    assert after.perclos == pytest.approx(before.perclos, abs=0.01)
    assert after.observed == pytest.approx(before.observed, abs=0.01)


def test_the_baseline_goes_on_when_the_limits_change():
    """Eyes that always read as half closed have been learned: 0.83 is not closed for this person."""
    driver = Driver()
    driver.drive(60, eyes=0.4)
    driver.engine.use(OTHER_LIMITS, ())
    assert driver.levels(5, eyes=0.83) == []
    assert [level for _, _, level in Driver().levels(5, eyes=0.83)][-1] == "alarm"


def test_a_closure_is_timed_across_a_change():
    """2 s closed, another rule, 1 s more: the alarm comes when it is due."""
    driver = Driver()
    driver.drive(5)
    driver.drive(2, eyes=0.98)
    driver.engine.use(OTHER_LIMITS, ())
    found = driver.levels(2, eyes=0.98)
    assert found[0] == (0.1, "fatigue", "warning")
    assert (found[1][0], found[1][2]) == (pytest.approx(1.0, abs=0.2), "alarm")


@pytest.mark.parametrize(("alarm_s", "due"), [(2.5, 0.5), (3.0, 1.0), (5.0, 3.0)])
def test_the_seconds_that_were_counted_are_held_against_the_new_limit(alarm_s, due):
    driver = Driver()
    driver.drive(5)
    driver.drive(2, eyes=0.98)
    driver.engine.use(DrowsinessLimits(eyes_closed_alarm_s=alarm_s), ())
    alarm = next(t for t, _, level in driver.levels(5, eyes=0.98) if level == "alarm")
    assert alarm == pytest.approx(due, abs=0.2)


def test_a_longer_window_does_not_report_a_driver_who_was_seen_all_the_time():
    driver = Driver()
    driver.drive(60)
    driver.engine.use(DrowsinessLimits(unseen_after_s=60), ())
    assert driver.levels(30) == []
    driver.drive(35, eyes=None)
    assert driver.levels(40, eyes=None)[-1][1:] == ("fatigue", "notice")


def test_a_driver_who_is_not_seen_is_reported_after_the_new_time():
    driver = Driver(DrowsinessLimits(unseen_after_s=0))
    driver.drive(20)
    assert driver.drive(60, eyes=None).alerts == ()
    driver.drive(20)
    driver.engine.use(LIMITS, ())
    at = next(t for t, _, level in driver.levels(30, eyes=None) if level)
    assert 9.5 <= at <= 10.5


def test_fatigue_can_be_switched_off_and_starts_new():
    driver = Driver()
    driver.drive(5)
    assert driver.drive(4, eyes=0.98).alerts
    driver.engine.use(None, ())
    now = driver.drive(1, eyes=0.98)
    assert (now.fatigue, now.alerts) == (None, ())
    driver.engine.use(LIMITS, ())
    found = driver.levels(4, eyes=0.98)
    assert [level for _, _, level in found if level] == ["notice", "warning", "alarm"]


def test_the_sensitivity_stays():
    driver = Driver(None, [SAD])
    driver.engine.tune(0.5)
    driver.engine.use(LIMITS, [SAD])
    assert driver.engine.fatigue.factor == 0.5
    assert driver.drive(6, sadness=0.4).alerts


def changed(**keys):
    return Rule(**{name: getattr(SAD, name) for name in Rule.__slots__} | keys)


@pytest.mark.parametrize(
    "rule",
    [
        SAD,
        changed(for_s=60.0),
        changed(pattern="urgent"),
        changed(level="alarm"),
        changed(conditions=[Condition(label="sadness", above=0.7)]),
    ],
    ids=["same", "for_s", "pattern", "level", "above"],
)
def test_an_alert_that_holds_goes_on_when_its_rule_changes(rule):
    driver = Driver(None, [SAD])
    (before,) = driver.drive(8, sadness=0.9).alerts
    driver.engine.use(None, [Rule("other", [Condition(faces="absent")]), rule])
    (after,) = driver.drive(1 / FPS, sadness=0.9).alerts
    assert (after.name, after.since, after.reason) == (before.name, before.since, before.reason)
    assert (after.level, after.pattern) == (rule.level, rule.pattern)
    assert driver.drive(1).alerts == (), "it ends with its condition"


def test_a_condition_is_timed_across_a_change():
    driver = Driver(None, [SAD])
    driver.drive(1)
    driver.drive(4, sadness=0.9)
    driver.engine.use(None, [changed(for_s=6.0)])
    assert driver.levels(5, sadness=0.9)[-1][0] == pytest.approx(2.0, abs=0.2)


def test_a_threshold_that_is_not_reached_any_more_ends_the_alert():
    driver = Driver(None, [SAD])
    assert driver.drive(8, sadness=0.8).alerts
    driver.engine.use(None, [changed(conditions=[Condition(label="sadness", above=0.9)])])
    assert driver.drive(1, sadness=0.8).alerts == ()


def test_a_cooldown_goes_on_and_follows_the_new_rule():
    driver = Driver(None, [SAD])
    driver.drive(8, sadness=0.9)
    driver.drive(2)
    driver.engine.use(None, [changed(cooldown_s=10.0)])
    assert driver.levels(20, sadness=0.9)[-1][0] == pytest.approx(8.4, abs=0.4)


def test_a_rule_that_is_gone_ends():
    driver = Driver(None, [SAD])
    assert driver.drive(8, sadness=0.9).alerts
    driver.engine.use(None, [])
    assert driver.drive(1 / FPS, sadness=0.9).alerts == ()


def test_another_subject_under_the_same_name_starts_again():
    """29 s of sadness are no evidence of a face that was away."""
    driver = Driver(None, [SAD])
    assert driver.drive(8, sadness=0.9).alerts
    driver.engine.use(None, [changed(conditions=[Condition(faces="present")])])
    assert driver.levels(10, sadness=0.9)[-1] == (pytest.approx(5.0, abs=0.3), "sad", "warning")
