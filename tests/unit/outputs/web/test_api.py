"""What the API answers, and what it says to what it cannot do."""

import json
import logging

import pytest
from brokers import wait_for


def test_state_says_how_everything_stands(shown):
    state = shown.get("/api/state").json()
    assert state["node"] == "test"
    assert state["cameras"][0]["status"] == "online"
    assert state["cameras"][0]["lookers"] == 0
    assert "happiness" in state["labels"]
    assert state["broker"]["connected"] is False


def test_the_camera_is_switched_off_and_on_for_real(shown):
    assert shown.post("/api/cameras/camera/enabled", {"value": False}).status_code == 202
    wait_for(lambda: shown.camera()["status"] == "disabled", 10)
    assert shown.daemon._works.lanes["camera"].keeper.running is False
    assert shown.post("/api/cameras/camera/enabled", {"value": "ON"}).status_code == 202
    wait_for(lambda: shown.camera()["status"] == "online", 10)


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/api/cameras/attic/enabled", {"value": True}, 404, "there are: camera"),
        ("/api/cameras/camera/lights", {"value": True}, 404, "there are: enabled"),
        ("/api/cameras/camera/enabled", {"value": "perhaps"}, 400, "ON or OFF"),
        ("/api/cameras/camera/sensitivity", {"value": 101}, 400, "0 to 100"),
        ("/api/cameras/camera/sensitivity", {"value": True}, 400, "0 to 100"),
        ("/api/cameras/camera/enabled", {}, 400, "value"),
        ("/api/cameras/camera/enabled", [], 400, "JSON object"),
        ("/api/tune/use", {"smoothing": {"time_constant_s": -1}}, 400, "time_constant_s"),
        ("/api/tune/use", {"smoothing": {"nonsense": 1}}, 400, "nonsense"),
        ("/api/tune/use", {"smoothing": 3}, 400, "must be an object"),
        ("/api/tune/use", {"mqtt": {"host": "evil.example"}}, 400, "cannot be tuned"),
        ("/api/tune/use", {"alerts": [{"name": "sad"}]}, 400, "no alert"),
        ("/api/tune/use", {"alerts": 7}, 400, ""),
        ("/api/tune/diff", {"smoothing": {"time_constant_s": 1.0}}, 409, "without a file"),
    ],
)
def test_what_cannot_be_is_told(shown, path, body, status, told):
    answer = shown.post(path, body)
    assert answer.status_code == status
    assert told in answer.json()["error"]


@pytest.mark.parametrize(
    "text", ["", "{", "\x00", "[" * 30000, '{"value": NaN}', "\ud800".encode("utf-8", "surrogatepass")]
)
def test_what_is_no_json_is_told(shown, text):
    answer = shown.client.post(
        "/api/cameras/camera/sensitivity", content=text, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400


def test_the_history_has_the_last_seconds(shown):
    wait_for(lambda: sum(shown.get("/api/cameras/camera/history").json().get("frames", [])) > 10, 15)
    recent = shown.get("/api/cameras/camera/history").json()
    assert len(recent["label"]) == 600
    assert 1 in recent["people"]
    day = shown.get("/api/cameras/camera/history?span=day").json()
    assert len(day["label"]) == 2880
    assert shown.get("/api/cameras/camera/history?span=week").status_code == 400


def test_health_knows_memory_stages_models_and_the_log(shown):
    logging.getLogger("ferd.test").warning("the cable came off")
    health = shown.get("/api/health").json()
    assert health["rss_mb"] > 10
    assert {"detect", "classify", "smooth"} <= set(health["stages"]["camera"])
    assert health["models"][0]["card"]["kind"] == "expression"
    assert "the cable came off" in [line["text"] for line in health["log"]]


def test_metrics_are_of_prometheus(shown):
    from prometheus_client.parser import text_string_to_metric_families

    families = {family.name for family in text_string_to_metric_families(shown.get("/metrics").text)}
    assert {"ferd_camera_frames", "ferd_camera_online", "ferd_stage_milliseconds", "ferd_broker_connected"} <= families


def test_the_description_names_what_there_is(shown):
    described = shown.get("/api/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    for path, operations in described["paths"].items():
        for method in operations:
            concrete = path.replace("{camera}", "camera").replace("{switch}", "buzzer")
            if method == "get":
                assert shown.get(concrete).status_code == 200, path
    assert "/api/cameras/{camera}/replay" in described["paths"]


def test_other_settings_are_replayed_and_used(shown):
    wait_for(lambda: len(shown.post("/api/cameras/camera/replay", {}).json()["told"]["label"]) > 2, 15)
    answer = shown.post("/api/cameras/camera/replay", {"smoothing": {"on_threshold": 1.0, "off_threshold": 1.0}}).json()
    assert set(answer["would"]["label"]) == {255}, "nobody is ever that sure"
    assert any(label != 255 for label in answer["told"]["label"])
    assert shown.post("/api/tune/use", {"smoothing": {"min_hold_s": 0.7}}).status_code == 202
    wait_for(lambda: shown.get("/api/tune").json()["smoothing"]["min_hold_s"] == 0.7, 10)
    json.dumps(answer)
