"""Thresholds from a practice on the page: computed, checked, handed to the loop, and shown."""

import pytest
from brokers import wait_for


def test_a_practice_gives_a_threshold_and_changes_nothing(shown):
    body = {"gesture": "tilt_left", "peaks": [12.0] * 10, "unasked": 2.0}
    answer = shown.post("/api/cameras/camera/gestures/practice", body)
    assert answer.json() == {"threshold": 9.6, "seen": 10, "problem": ""}
    assert shown.camera()["tuned_gestures"] == {}
    restless = shown.post("/api/cameras/camera/gestures/practice", body | {"unasked": 11.9}).json()
    assert restless["threshold"] is None
    assert "sit still" in restless["problem"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"peaks": [12.0] * 3}, "too few"),
        ({"gesture": "double_blink"}, "practise long_blink"),
        ({"gesture": "wave"}, "gesture"),
        ({"peaks": [12.0] * 101}, "peaks"),
        ({"peaks": "many"}, "peaks: must be a list"),
        ({"unasked": "none"}, "unasked"),
    ],
)
def test_a_practice_that_cannot_be_used_is_refused(shown, change, message):
    body = {"gesture": "tilt_left", "peaks": [12.0] * 10, "unasked": 2.0} | change
    answer = shown.post("/api/cameras/camera/gestures/practice", body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_thresholds_are_used_and_given_back(shown):
    assert shown.post("/api/cameras/camera/gestures", {"thresholds": {"nod": 9.5}}).status_code == 202
    wait_for(lambda: shown.camera()["tuned_gestures"] == {"nod": 9.5}, 20)
    shown.post("/api/cameras/camera/gestures", {"thresholds": {}})
    wait_for(lambda: shown.camera()["tuned_gestures"] == {}, 20)
    assert shown.get("/api/state").json()["thresholds"]["nod"] == [7.0, 0.0]


@pytest.mark.parametrize("thresholds", [{"nod": 99}, {"wave": 9}, {"nod": None}, [], "nod"])
def test_thresholds_outside_their_limits_are_refused(shown, thresholds):
    answer = shown.post("/api/cameras/camera/gestures", {"thresholds": thresholds})
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert shown.post("/api/cameras/nobody/gestures", {"thresholds": {}}).status_code == 404
