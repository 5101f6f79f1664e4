"""Hold training from the page: a class is recorded while the button is held, and no longer."""

import numpy as np
import pytest
from brokers import wait_for

from ferd.errors import FerdError
from ferd.models.finetune.collect import Collected
from ferd.models.registry import find_bundle
from ferd.outputs.web.training import adapt_model


def samples(shown):
    return {one["label"]: one["samples"] for one in shown.get("/api/teach").json()["classes"]}


@pytest.fixture(autouse=True)
def _forgotten(shown):
    shown.post("/api/teach/forget", {})
    yield
    shown.post("/api/teach/forget", {})


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("record", {"camera": "attic", "label": "happy"}, "no such camera"),
        ("record", {"camera": "camera"}, "label: is missing"),
        ("record", {"camera": "camera", "label": " "}, "1 to 32"),
        ("record", {"camera": "camera", "label": "x" * 33}, "1 to 32"),
        ("record", {"camera": "camera", "label": "a\nb"}, "1 to 32"),
        ("train", {"name": "Mine!"}, "is not a valid model name"),
        ("train", {"name": "expression"}, "comes with ferd"),
        ("train", {"name": "mine"}, "at least two classes"),
        ("train", {"name": "mine", "adapt": True}, "record neutral and happiness first"),
        ("train", {"name": "mine", "adapt": "perhaps"}, "adapt: "),
    ],
)
def test_an_error_says_what_would_be_right(shown, path, body, message):
    answer = shown.post(f"/api/teach/{path}", body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_a_class_is_recorded_while_the_button_is_held(shown):
    assert shown.post("/api/teach/record", {"camera": "camera", "label": "me"}).status_code == 202
    wait_for(lambda: shown.get("/api/teach").json()["last"] is not None, 10)
    assert shown.get("/api/teach").json()["recording"] == "me"
    wait_for(
        lambda: shown.get("/api/teach").json()["recording"] is None,
        10,
        "the recording ends when the button is released or the browser is gone",
    )
    wait_for(lambda: shown.camera()["lookers"] == 0, 5)
    assert samples(shown)["me"] >= 1


def test_the_number_of_classes_is_bounded(shown):
    for number in range(12):
        assert shown.post("/api/teach/record", {"camera": "camera", "label": str(number)}).status_code == 202
    assert "12 classes" in shown.post("/api/teach/record", {"camera": "camera", "label": "more"}).json()["error"]


def test_too_few_samples_are_refused_and_nothing_is_stored(shown, tmp_path):
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


def collected(label, count=12):
    spec = find_bundle("expression").input
    random = np.random.default_rng(len(label))
    crops = [random.integers(0, 255, (spec.height, spec.width), np.uint8) for _ in range(count)]
    return Collected(label, crops=crops, names=[f"{label} {number}" for number in range(count)])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "record neutral and happiness first"),
        ([("neutral", 12), ("mine", 12)], "record happiness first"),
        ([("neutral", 12), ("happiness", 2)], "too few samples"),
    ],
)
def test_missing_samples_are_reported(given, message):
    with pytest.raises(FerdError, match=message):
        adapt_model("mine", [collected(*one) for one in given])


def test_the_corrected_model_keeps_the_labels_and_is_stored():
    """Samples of another class are ignored."""
    report = adapt_model("corrected", [collected("neutral"), collected("mine"), collected("happiness")])
    bundle = find_bundle("corrected")
    assert report["labels"] == list(bundle.labels) == list(find_bundle("expression").labels)
    assert report["held_out"] == 12
    assert sum(report["shift"].values()) == pytest.approx(0, abs=0.05)
    assert bundle.card["adapted"]["after"] == pytest.approx(report["after"], abs=1e-3)
