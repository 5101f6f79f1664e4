"""Hold what the API answers, and its errors."""

import json
import logging

import pytest
from brokers import wait_for
from pages import TIMINGS, page

from ferd.snapshot import LOOP_STALLED_S, Command


def test_state_describes_node_cameras_and_broker(shown):
    state = shown.get("/api/state").json()
    assert state["node"] == "test"
    assert state["cameras"][0]["status"] == "online"
    assert state["cameras"][0]["lookers"] == 0
    assert "happiness" in state["labels"]
    assert state["gestures"] == [], "they are off"
    assert state["cameras"][0]["latency_ms"] == 31.2, "from capture to reading"
    assert state["broker"] == {"connected": False, "reason": "connection refused", "reconnects": 0, "waiting": 3}


def test_a_switch_becomes_a_typed_command(shown):
    assert shown.post("/api/cameras/camera/enabled", {"value": False}).status_code == 202
    wait_for(lambda: shown.camera()["status"] == "disabled", 10)
    assert shown.post("/api/cameras/camera/enabled", {"value": "ON"}).status_code == 202
    wait_for(lambda: shown.camera()["status"] == "online", 10)
    assert shown.post("/api/cameras/camera/sensitivity", {"value": "70"}).status_code == 202
    wait_for(lambda: shown.camera()["sensitivity"] == 70.0, 10)
    shown.post("/api/cameras/camera/sensitivity", {"value": 50})
    assert shown.loop.commands[:3] == [
        Command("enabled", "camera", False, source="page"),
        Command("enabled", "camera", True, source="page"),
        Command("sensitivity", "camera", 70.0, source="page"),
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/api/cameras/attic/enabled", {"value": True}, 404, "there are: camera"),
        ("/api/cameras/camera/lights", {"value": True}, 404, "there are: enabled"),
        ("/api/cameras/camera/enabled", {"value": "perhaps"}, 400, "ON or OFF"),
        ("/api/cameras/camera/sensitivity", {"value": 101}, 400, "0 to 100"),
        ("/api/cameras/camera/sensitivity", {"value": True}, 400, "0 to 100"),
        ("/api/cameras/camera/enabled", {}, 400, "value: is missing"),
        ("/api/cameras/camera/enabled", [], 400, "JSON object"),
        ("/api/tune/use", {"smoothing": {"time_constant_s": -1}}, 400, "time_constant_s"),
        ("/api/tune/use", {"smoothing": {"nonsense": 1}}, 400, "nonsense"),
        ("/api/tune/use", {"smoothing": 3}, 400, "must be an object"),
        ("/api/tune/use", {"mqtt": {"host": "evil.example"}}, 400, "mqtt: unknown key"),
        ("/api/tune/use", {"alerts": [{"name": "sad"}]}, 400, "no alert"),
        ("/api/tune/use", {"alerts": 7}, 400, "alerts: must be a list"),
        ("/api/tune/use", {"alerts": [{"above": 0.5}]}, 400, "alerts.0.name: is missing"),
        ("/api/tune/diff", {"smoothing": {"time_constant_s": 1.0}}, 409, "without a file"),
    ],
)
def test_an_error_says_what_would_be_right(shown, path, body, status, message):
    answer = shown.post(path, body)
    assert answer.status_code == status
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    "text", ["", "{", "\x00", "[" * 30000, '{"value": NaN}', "\ud800".encode("utf-8", "surrogatepass")]
)
def test_a_body_that_is_not_json_is_refused(shown, text):
    answer = shown.client.post(
        "/api/cameras/camera/sensitivity", content=text, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_the_history_has_the_last_seconds(shown):
    wait_for(lambda: sum(shown.get("/api/cameras/camera/history").json().get("frames", [])) > 10, 15)
    recent = shown.get("/api/cameras/camera/history").json()
    assert len(recent["label"]) == 600
    assert 1 in recent["people"]
    day = shown.get("/api/cameras/camera/history?span=day").json()
    assert len(day["label"]) == 2880
    assert recent["events"][0] | {"at": None, "told_at": None} == {
        "v": 1,
        "event_type": "face_appeared",
        "id": "8d0f",
        "track": 1,
        "from": None,
        "to": None,
        "confidence": None,
        "held_s": None,
        "at": None,
        "node": "test",
        "camera": "camera",
        "told_at": None,
    }
    answer = shown.get("/api/cameras/camera/history?span=week")
    assert answer.status_code == 400
    assert "'recent' or 'day'" in answer.json()["error"]


def test_health_describes_memory_steps_models_and_log(shown):
    logging.getLogger("ferd.test").warning("the cable came off")
    health = shown.get("/api/health").json()
    assert health["rss_mb"] > 10
    assert health["stages"] == {"camera": TIMINGS}
    assert health["models"][0]["card"]["kind"] == "expression"
    assert "the cable came off" in [line["text"] for line in health["log"]]


def test_metrics_can_be_read_by_prometheus(shown):
    from prometheus_client.parser import text_string_to_metric_families

    found = list(text_string_to_metric_families(shown.get("/metrics").text))
    families = {family.name for family in found}
    assert {"ferd_camera_frames", "ferd_camera_online", "ferd_stage_milliseconds", "ferd_broker_connected"} <= families
    assert [family.samples[0].value for family in found if family.name == "ferd_events_waiting"] == [3]


def test_each_operation_of_the_openapi_document_exists(shown):
    described = shown.get("/api/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for path, operations in described["paths"].items():
        assert "422" not in json.dumps(operations), "errors are 400 with `error`"
        for method in operations:
            concrete = path.replace("{camera}", "camera").replace("{switch}", "buzzer")
            if method == "get":
                assert shown.get(concrete).status_code == 200, path
    assert "/api/cameras/{camera}/replay" in described["paths"]
    settings = described["components"]["schemas"]["SettingsBody"]["properties"]
    assert "on_threshold" in settings["smoothing"]["properties"]


def test_other_settings_are_replayed_and_used(shown):
    wait_for(lambda: len(shown.post("/api/cameras/camera/replay", {}).json()["told"]["label"]) > 2, 15)
    answer = shown.post("/api/cameras/camera/replay", {"smoothing": {"on_threshold": 1.0, "off_threshold": 1.0}}).json()
    assert set(answer["would"]["label"]) == {255}, "nobody is ever that sure"
    assert any(label != 255 for label in answer["told"]["label"])
    assert shown.post("/api/tune/use", {"smoothing": {"min_hold_s": 0.7}}).status_code == 202
    wait_for(lambda: shown.get("/api/tune").json()["smoothing"]["min_hold_s"] == 0.7, 10)
    json.dumps(answer)


def test_healthz_reports_a_stopped_loop():
    with page() as shown:
        shown.wait_online()
        shown.loop.stalled.set()
        wait_for(lambda: shown.get("/healthz").status_code == 503, LOOP_STALLED_S + 2)
        assert "the main loop has not run for" in shown.get("/healthz").text
        camera = shown.camera()
        assert camera["status"] == "offline"
        assert "main loop" in camera["error"]
        shown.loop.stalled.clear()
        wait_for(lambda: shown.get("/healthz").status_code == 200, 5)
