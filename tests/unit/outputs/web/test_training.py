"""Teach from the page: a class is recorded while somebody holds the button, and no longer."""

import pytest
from brokers import wait_for


def samples(shown):
    return {one["label"]: one["samples"] for one in shown.get("/api/teach").json()["classes"]}


@pytest.fixture(autouse=True)
def _forgotten(shown):
    shown.post("/api/teach/forget", {})
    yield
    shown.post("/api/teach/forget", {})


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("record", {"camera": "attic", "label": "happy"}, "no such camera"),
        ("record", {"camera": "camera"}, "label"),
        ("record", {"camera": "camera", "label": " "}, "1 to 32"),
        ("record", {"camera": "camera", "label": "x" * 33}, "1 to 32"),
        ("record", {"camera": "camera", "label": "a\nb"}, "1 to 32"),
        ("train", {"name": "Mine!"}, "no name for the shelf"),
        ("train", {"name": "expression"}, "comes with ferd"),
        ("train", {"name": "mine"}, "at least two classes"),
        ("train", {"name": "mine", "adapt": True}, "record neutral and happiness first"),
        ("train", {"name": "mine", "adapt": "yes"}, "true or false"),
    ],
)
def test_what_cannot_be_is_told(shown, path, body, told):
    answer = shown.post(f"/api/teach/{path}", body)
    assert answer.status_code == 400
    assert told in answer.json()["error"]


def test_a_class_is_recorded_while_the_button_is_held(shown):
    assert shown.post("/api/teach/record", {"camera": "camera", "label": "me"}).status_code == 202
    wait_for(lambda: shown.get("/api/teach").json()["last"] is not None, 10)
    assert shown.get("/api/teach").json()["recording"] == "me"
    wait_for(
        lambda: shown.get("/api/teach").json()["recording"] is None, 10, "who lets go, or is gone, records no more"
    )
    wait_for(lambda: shown.camera()["lookers"] == 0, 5)
    assert samples(shown)["me"] >= 1


def test_classes_without_end_are_not_kept(shown):
    for number in range(12):
        assert shown.post("/api/teach/record", {"camera": "camera", "label": str(number)}).status_code == 202
    assert "12 classes" in shown.post("/api/teach/record", {"camera": "camera", "label": "more"}).json()["error"]


def test_too_few_samples_are_told_and_nothing_is_stored(shown, tmp_path):
    for label in ("me", "you"):
        shown.post("/api/teach/record", {"camera": "camera", "label": label})
    shown.post("/api/teach/train", {"name": "thin"})
    wait_for(lambda: shown.get("/api/teach").json()["job"]["state"] == "failed", 30)
    assert "too few samples" in shown.get("/api/teach").json()["job"]["error"]
    assert shown.post("/api/tune/use", {"expression": {"model": "thin"}}).status_code == 400


def test_a_model_whose_labels_the_alerts_do_not_have_is_refused(shown, tmp_path):
    answer = shown.post("/api/tune/use", {"expression": {"model": str(tmp_path / "none.tflite")}})
    assert answer.status_code == 400
    assert "none.tflite" in answer.json()["error"]
