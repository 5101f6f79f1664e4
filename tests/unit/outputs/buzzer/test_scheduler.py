"""What is heard of many cameras and many alerts, at made-up times."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.outputs.buzzer.scheduler import LOST_GAP_S, Settings, SoundScheduler
from ferd.policy.sound_patterns import BUILT_IN, DEFAULTS, SILENT, Output
from ferd.types import LEVELS, LEVELS_OWN, Alert


def alert(level, name="fatigue", pattern=LEVELS_OWN, reason="eyes_closed"):
    return Alert(name, level, reason, 0.0, pattern)


def scheduler(**settings):
    return SoundScheduler(Settings(BUILT_IN, DEFAULTS, **settings))


def heard(scheduler, now):
    """(what plays, whether it sounds right now)."""
    output, _until = scheduler.at(now)
    playing = scheduler.playing
    return (playing.pattern.name if playing else None), output.sound


def edges(scheduler, start, end):
    """The times at which the sound changes, stepping as the thread does."""
    found, on, now, steps = [], False, start, 0
    while now is not None and now < end:
        output, until = scheduler.at(now)
        if output.sound != on:
            on = output.sound
            found.append((round(now, 3), on))
        assert until is None or until >= now
        now = None if until is None else max(until, now + 1e-6)
        steps += 1
        assert steps < 10_000, "the thread would spin"
    return found


def test_a_notice_is_played_once():
    one = scheduler()
    one.set_alerts("cabin", [alert("notice")], 10.0)
    assert edges(one, 10.0, 60.0) == [(10.0, True), (10.06, False)]
    assert heard(one, 60.0) == (None, False)


def test_a_notice_that_nobody_can_judge_is_repeated_quietly_while_it_lasts():
    one = scheduler()
    blind = replace(alert("notice", reason="eyes_not_seen"), repeat_s=60.0)
    one.set_alerts("cabin", [blind], 0.0)
    assert [t for t, on in edges(one, 0.0, 200.0) if on] == [0.0, 60.0, 120.0, 180.0]
    one.set_alerts("cabin", [replace(blind, reason="turned_away")], 200.0)
    assert [t for t, on in edges(one, 200.0, 250.0) if on] == [240.0], "another reason does not begin it again"
    one.set_alerts("cabin", [], 250.0)
    assert edges(one, 250.0, 400.0) == []


def test_a_warning_is_repeated_until_it_ends():
    one = scheduler()
    one.set_alerts("cabin", [alert("warning")], 0.0)
    assert edges(one, 0.0, 19.9) == [
        (0.0, True), (0.12, False), (0.24, True), (0.36, False),
        (10.0, True), (10.12, False), (10.24, True), (10.36, False),
    ]  # fmt: skip
    assert heard(one, 20.05) == ("double", True)
    one.set_alerts("cabin", [], 20.06)
    assert heard(one, 20.06) == (None, False), "at once, in the middle of a beep"


def test_an_alarm_is_repeated_without_a_pause():
    one = scheduler()
    one.set_alerts("cabin", [alert("alarm")], 0.0)
    sounds = edges(one, 0.0, 30.0)
    gaps = [after[0] - before[0] for before, after in itertools.pairwise(sounds) if after[1]]
    assert max(gaps) < 0.5


def test_a_worse_level_cuts_in_at_once():
    one = scheduler()
    one.set_alerts("cabin", [alert("warning")], 0.0)
    assert heard(one, 0.0) == ("double", True)
    assert heard(one, 0.5) == ("double", False)
    one.set_alerts("cabin", [alert("alarm")], 0.5)
    assert heard(one, 0.5) == ("urgent", True)


def test_the_same_alert_does_not_begin_again():
    one = scheduler()
    assert one.set_alerts("cabin", [alert("alarm")], 0.0)
    assert heard(one, 0.15) == ("urgent", True), "it begins when it is first asked for"
    assert not one.set_alerts("cabin", [Alert("fatigue", "alarm", "perclos", 3.0, LEVELS_OWN, 0.2)], 0.3)
    assert heard(one, 0.15 + 0.15) == ("urgent", False)


def test_the_worst_over_all_cameras_wins():
    one = scheduler()
    one.set_alerts("front", [alert("warning")], 0.0)
    one.set_alerts("rear", [alert("alarm"), alert("notice", "phone")], 1.0)
    assert heard(one, 1.0)[0] == "urgent"
    one.set_alerts("rear", [], 2.0)
    assert heard(one, 2.0) == ("double", True)
    assert edges(one, 2.0, 3.0)[0] == (2.0, True)


def test_two_of_a_level_are_one_sound():
    one = scheduler()
    one.set_alerts("front", [alert("warning", pattern="chirp")], 0.0)
    assert heard(one, 0.0) == ("chirp", True)
    one.set_alerts("rear", [alert("warning")], 0.5)
    assert heard(one, 0.5) == ("chirp", False), "the first goes on"
    one.set_alerts("front", [], 0.7)
    assert heard(one, 0.7) == ("double", True), "the other is heard when it is alone"


def test_two_notices_in_the_same_second_are_one_chirp():
    one = scheduler()
    one.set_alerts("front", [alert("notice", "phone"), alert("notice", "drowsy")], 0.0)
    assert edges(one, 0.0, 10.0) == [(0.0, True), (0.06, False)]


def test_a_later_notice_is_heard():
    one = scheduler()
    one.set_alerts("front", [alert("notice", "phone")], 0.0)
    edges(one, 0.0, 5.0)
    one.set_alerts("front", [alert("notice", "phone"), alert("notice", "drowsy")], 5.0)
    assert heard(one, 5.0) == ("chirp", True)


def test_a_notice_that_remains_of_an_alarm_does_not_sound():
    one = scheduler()
    one.set_alerts("cabin", [alert("alarm")], 0.0)
    assert heard(one, 0.0)[1]
    one.set_alerts("cabin", [alert("notice")], 4.0)
    assert heard(one, 4.0) == (None, False)


def test_a_warning_that_remains_of_an_alarm_does_not_sound_at_once():
    one = scheduler()
    one.set_alerts("cabin", [alert("alarm")], 0.0)
    assert heard(one, 0.0)[1]
    one.set_alerts("cabin", [alert("warning", reason="perclos")], 4.0)
    assert heard(one, 4.0) == (None, False), "the eyes are open"
    assert edges(one, 4.0, 25.0)[0] == (14.0, True)


@pytest.mark.parametrize("level", ["notice", "warning"])
def test_a_second_microsleep_is_heard_although_perclos_holds_the_level(level):
    one = scheduler()
    one.set_alerts("cabin", [alert(level, reason="perclos")], 0.0)
    assert heard(one, 0.0)[1]
    for start in (3.0, 6.0):
        assert not heard(one, start - 0.1)[1]
        assert one.set_alerts("cabin", [alert(level)], start)
        assert heard(one, start)[1]
        assert not one.set_alerts("cabin", [alert(level, reason="perclos")], start + 1)
        assert not heard(one, start + 1)[1], "and nothing sounds because the eyes are open again"


def test_a_pattern_of_its_own_and_silence():
    one = scheduler()
    one.set_alerts("cabin", [alert("alarm", pattern="continuous")], 0.0)
    assert edges(one, 0.0, 5.0) == [(0.0, True)]
    one.set_alerts("cabin", [alert("alarm", pattern="gone")], 5.0)
    assert heard(one, 5.0) == ("urgent", True), "an unknown name is not silence"
    for silence in (None, SILENT):
        one.set_alerts("cabin", [alert("alarm", pattern=silence)], 6.0)
        assert heard(one, 6.0) == (None, False)


@pytest.mark.parametrize("level", ["notice", "warning"])
def test_a_snooze_silences_everything_but_an_alarm(level):
    one = scheduler()
    one.snooze(10.0)
    one.set_alerts("cabin", [alert(level)], 0.0)
    assert heard(one, 0.0) == (None, False)
    assert not one.audible("cabin", alert(level), 5.0)
    assert one.audible("cabin", alert(level), 10.0)
    _output, until = one.at(1.0)
    assert until <= 10.0
    assert heard(one, 10.0)[0] == ("double" if level == "warning" else None), "a missed chirp is not played later"


def test_snooze_does_not_silence_an_alarm_unless_configured():
    for allowed in (False, True):
        one = scheduler(snooze_silences_alarm=allowed)
        one.set_alerts("cabin", [alert("alarm")], 0.0)
        assert heard(one, 0.0)[1]
        one.snooze(100.0)
        assert heard(one, 0.05) == ((None, False) if allowed else ("urgent", True))
        assert one.audible("cabin", alert("alarm"), 0.05) is not allowed


def test_a_warning_that_becomes_an_alarm_during_a_snooze_is_heard():
    one = scheduler()
    one.set_alerts("cabin", [alert("warning")], 0.0)
    one.snooze(100.0)
    assert heard(one, 1.0) == (None, False)
    one.set_alerts("cabin", [alert("alarm")], 2.0)
    assert heard(one, 2.0) == ("urgent", True)


def test_a_snooze_can_be_ended():
    one = scheduler()
    one.set_alerts("cabin", [alert("warning")], 0.0)
    one.snooze(100.0)
    assert heard(one, 1.0) == (None, False)
    one.snooze(1.0)
    assert heard(one, 1.0) == ("double", True)


def test_a_muted_camera_is_silent_and_the_others_are_not():
    one = scheduler()
    one.set_alerts("front", [alert("alarm")], 0.0)
    one.set_alerts("rear", [alert("warning")], 0.0)
    one.set_muted("front", True)
    assert heard(one, 0.0)[0] == "double"
    assert not one.audible("front", alert("alarm"), 0.0)
    one.set_muted("front", False)
    assert heard(one, 1.0)[0] == "urgent"


def test_the_camera_is_lost_during_an_alarm():
    """The alarm ends, since nobody sees whether it still holds, and the lost camera is heard."""
    one = scheduler()
    one.set_watching("cabin", True, 0.0)
    one.set_alerts("cabin", [alert("alarm")], 0.0)
    assert heard(one, 1.0)[0] == "urgent"
    one.set_alerts("cabin", [], 2.0)
    one.set_watching("cabin", False, 2.0)
    results = edges(one, 2.0, 2.0 + 60 + 2)
    assert [on for _t, on in results] == [True, False] * 6, "one long, two short, and once more a minute later"
    assert results[0] == (2.0, True)
    assert results[6] == (2.0 + 60, True)
    one.set_watching("cabin", True, 70.0)
    assert heard(one, 70.0) == (None, False)


def test_a_warning_of_another_camera_outranks_a_lost_camera():
    one = scheduler()
    one.set_watching("front", False, 20.0)
    one.set_alerts("rear", [alert("notice")], 20.0)
    assert heard(one, 20.0)[0] == "blind"
    one.set_alerts("rear", [alert("warning")], 20.1)
    assert heard(one, 20.1)[0] == "double"


def test_a_camera_that_comes_and_goes_is_not_heard_each_time():
    one = scheduler()
    began = []
    for second in range(30):
        one.set_watching("cabin", second % 2 == 1, float(second))
        if heard(one, float(second)) == ("blind", True):
            began.append(second)
    assert len(began) <= 30 / LOST_GAP_S + 1


def test_a_lost_camera_is_heard_only_where_somebody_relies_on_it():
    one = scheduler()
    one.set_reports_lost(False)
    one.set_watching("cabin", False, 0.0)
    assert heard(one, 0.0) == (None, False)
    one.set_reports_lost(True)
    assert heard(one, 1.0) == ("blind", True), "the configuration has changed"


def test_a_camera_that_is_switched_off_is_not_lost():
    one = scheduler()
    one.set_muted("cabin", True)
    one.set_watching("cabin", False, 0.0)
    one.set_alerts("cabin", [alert("alarm")], 0.0)
    one.forget("cabin")
    one.set_watching("rear", True, 1.0)
    assert heard(one, 1.0) == (None, False)
    output, until = one.at(1.0)
    assert output.watching
    assert until is None
    assert not one.audible("cabin", alert("alarm"), 1.0), "it is still muted"


def test_the_status_led():
    one = scheduler()
    one.set_muted("front", False)
    assert not one.at(0.0)[0].watching, "no frame was read yet"
    one.set_watching("front", True, 0.0)
    assert one.at(0.0)[0].watching
    one.set_watching("rear", False, 0.0)
    assert not one.at(0.0)[0].watching, "one of two is lost"


def test_the_status_led_winks_while_nobody_can_judge():
    one = scheduler()
    one.set_watching("front", True, 0.0)
    assert one.set_judged("front", False)
    lit, now = [], 0.0
    while now < 6.0:
        output, until = one.at(now)
        assert until is not None
        lit.append((round(now, 1), output.watching))
        now = until + 1e-6
    assert lit == [(0.0, True), (0.1, False), (2.0, True), (2.1, False), (4.0, True), (4.1, False)]
    assert one.set_judged("front", True)
    assert one.at(6.0) == (Output(False, None, True, False), None)
    one.set_judged("front", False)
    one.set_watching("rear", False, 7.0)
    assert not one.at(8.05)[0].watching, "a lost camera is dark"


def test_the_alert_led_follows_the_worst_level_even_in_a_snooze():
    one = scheduler()
    one.snooze(100.0)
    one.set_alerts("cabin", [alert("alarm", pattern=SILENT)], 0.0)
    lit = [one.at(n / 100)[0].level for n in range(100)]
    flashes = sum(1 for before, now in zip([False, *lit], lit, strict=False) if now and not before)
    assert flashes == 3, "one and a half in half a second: 2.5 a second"
    one.set_alerts("cabin", [alert("notice")], 1.0)
    assert all(one.at(1 + n / 100)[0].level for n in range(100))
    one.set_alerts("cabin", [], 2.0)
    assert not one.at(2.0)[0].level


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["alerts", "watching", "mute", "snooze", "forget"]),
        st.lists(st.tuples(st.sampled_from(["x", "y"]), st.sampled_from(LEVELS)), max_size=2),
        st.booleans(),
        st.floats(0, 3),
    ),
    max_size=25,
)


@given(STEPS)
def test_the_worst_that_may_be_heard_is_always_heard(steps):
    one, now = scheduler(every_s={"alarm": 0.0, "warning": 0.0, "blind": 60.0}), 0.0
    holding, muted, snoozed = {}, {}, 0.0
    for camera, what, alerts, flag, wait in steps:
        now += wait
        shown = [alert(level, name) for name, level in dict(alerts).items()]
        if what == "alerts":
            one.set_alerts(camera, shown, now)
            holding[camera] = shown
        elif what == "watching":
            one.set_watching(camera, not flag, now)
        elif what == "mute":
            one.set_muted(camera, flag)
            muted[camera] = flag
        elif what == "snooze":
            snoozed = now + 2
            one.snooze(snoozed)
        else:
            one.forget(camera)
            holding[camera] = []
        _output, until = one.at(now)
        assert until is None or until >= now
        levels = {a.level for c, some in holding.items() if not muted.get(c) for a in some}
        playing = one.playing.kind if one.playing else None
        if "alarm" in levels:
            assert playing == "alarm"
        elif "warning" in levels and now >= snoozed:
            assert playing == "warning"
        else:
            assert playing in (None, "notice", "blind")
