"""What is published when snapshots differ, and when they stop coming."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brokers import Ear, mosquitto, wait_for
from readings import face, reading
from schemas import faults

from ferd import topics
from ferd.config import Config
from ferd.errors import ConfigError
from ferd.outputs.mqtt import publisher as publisher_module
from ferd.outputs.mqtt import sink as module
from ferd.outputs.mqtt.sink import MqttSink
from ferd.payloads import AlertEvent, AlertState, Event, FatigueState, Health, State
from ferd.pictures import decode_jpeg
from ferd.settings_store import CameraSettings
from ferd.snapshot import LOOP_STALLED_S, CameraEvent, CameraSnapshot, Command, ModelInfo, Snapshot
from ferd.topics import Message
from ferd.types import Frame

IDENTITY = "ferd_abcdef"
WHOLE = f"homeassistant/device/{IDENTITY}/config"
QUIET = AlertState("none", None, None, 1000.0, False, ())
ALARM = AlertState("alarm", "eyes_closed", 0.1, 1001.0, True, ("fatigue",))
JOY = State("joy", 0.8, 1, 1000.0, 1)
LEFT = Event("face_left", "a", 1, None, None, None, 3.0, 1002.0)
BEGAN = AlertEvent("alert_began", "b", "fatigue", "alarm", "eyes_closed", None, None, 1001.0)


@pytest.fixture(autouse=True)
def _state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    caplog.set_level(logging.INFO)


def config(port: int = 1, node: str = "hall", cameras: tuple[str, ...] = ("desk",), **mqtt: Any) -> Config:
    return Config.model_validate(
        {
            "node": {"name": node},
            "cameras": {name: {"source": "demo"} for name in cameras},
            "mqtt": {"host": "127.0.0.1", "port": port, **mqtt},
        }
    )


def snapshot(wanted: Config, *cameras: CameraSnapshot) -> Snapshot:
    found = {camera.name: camera for camera in cameras} or {name: camera(wanted, name) for name in wanted.cameras}
    return Snapshot(0.0, 1000.0, wanted, ModelInfo("expression", ("joy", "fear"), "ferd", "litert"), found)


def camera(wanted: Config, name: str = "desk", **more: Any) -> CameraSnapshot:
    return CameraSnapshot(name, wanted.cameras[name], **({"settings": CameraSettings(), "alert": QUIET} | more))


def desk(wanted: Config, **more: Any) -> Snapshot:
    """A snapshot with one camera that is like this."""
    return snapshot(wanted, camera(wanted, **more))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Feed:
    """A sink without a broker, and what it publishes."""

    def __init__(self, wanted: Config, **more: Any) -> None:
        self.clock = Clock()
        self.sink = MqttSink(
            wanted,
            identity=IDENTITY,
            submit=lambda _command: None,
            storage=more.pop("storage", lambda job: job()),
            clock=self.clock,
            **more,
        )
        self.messages: list[Message] = []
        self.sink.subscribe(self.messages.append)
        self.sink.start()
        self.before: Snapshot | None = None

    def update(self, after: Snapshot, *events: CameraEvent) -> list[tuple[str, str]]:
        self.messages.clear()
        self.sink.update(self.before, after, events)
        self.before = after
        return self.published()

    def published(self) -> list[tuple[str, str]]:
        found = [(message.topic, message.encoded().decode()) for message in self.messages]
        assert [fault for topic, payload in found for fault in faults(topic, payload)] == []
        return [(topic.removeprefix("ferd/"), payload) for topic, payload in found]


@pytest.fixture
def make_feed() -> Iterator[Callable[..., Feed]]:
    made: list[Feed] = []

    def make(*arguments: Any, **more: Any) -> Feed:
        made.append(Feed(*arguments, **more))
        return made[-1]

    yield make
    for feed in made:
        feed.sink.stop()


def test_the_first_snapshot_publishes_everything_that_is_retained(make_feed: Callable[..., Feed]):
    wanted = config()
    (info, *rest, discovery) = make_feed(wanted).update(snapshot(wanted))
    assert info[0] == "hall/info"
    assert json.loads(info[1]) | {"version": "", "run": ""} == {
        "v": 1,
        "version": "",
        "model": "expression",
        "labels": ["joy", "fear"],
        "cameras": ["desk"],
        "id": "ferd_abcdef",
        "run": "",
    }
    assert rest == [
        ("hall/desk/status", "offline"),
        ("hall/desk/alert", QUIET.to_json().decode()),
        ("hall/desk/enabled/state", "ON"),
        ("hall/desk/buzzer/state", "ON"),
        ("hall/desk/sensitivity/state", "50"),
    ]
    assert discovery[0] == WHOLE


def test_a_camera_that_is_switched_off_starts_as_disabled(make_feed: Callable[..., Feed]):
    wanted = config()
    off = camera(wanted, status="disabled", settings=CameraSettings(enabled=False))
    published = dict(make_feed(wanted).update(snapshot(wanted, off)))
    assert (published["hall/desk/status"], published["hall/desk/enabled/state"]) == ("disabled", "OFF")


def test_only_what_differs_is_published(make_feed: Callable[..., Feed]):
    wanted = config()
    feed = make_feed(wanted)
    feed.update(desk(wanted))
    assert feed.update(desk(wanted)) == []
    assert feed.update(desk(wanted, status="online")) == [("hall/desk/status", "online")]
    assert feed.update(desk(wanted, status="online", state=JOY)) == [("hall/desk/state", JOY.to_json().decode())]
    off = CameraSettings(buzzer=False, sensitivity=0.0)
    assert feed.update(desk(wanted, status="online", state=JOY, settings=off)) == [
        ("hall/desk/buzzer/state", "OFF"),
        ("hall/desk/sensitivity/state", "0"),
    ]


def test_a_camera_is_online_before_its_reading_and_offline_after_its_alerts_have_ended(
    make_feed: Callable[..., Feed],
):
    wanted = config()
    feed = make_feed(wanted)
    feed.update(desk(wanted))
    began = CameraEvent("desk", BEGAN)
    first = feed.update(desk(wanted, status="online", state=JOY, alert=ALARM), began)
    assert [topic for topic, _ in first] == [f"hall/desk/{it}" for it in ("status", "alert", "state", "event")]
    nobody = State(None, None, 0, 1003.0, 2)
    last = feed.update(desk(wanted, status="offline", state=nobody), CameraEvent("desk", LEFT))
    assert [topic for topic, _ in last] == [f"hall/desk/{it}" for it in ("alert", "state", "event", "status")]


def test_alerts_and_changes_of_the_fatigue_level_are_urgent(make_feed: Callable[..., Feed]):
    """Otherwise an alarm of three seconds would be over before its level is published."""
    wanted = config()
    feed = make_feed(wanted)
    urgent = []
    for level, awareness in [("none", 1.0), ("none", 0.9), ("warning", 0.8), ("alarm", 0.7), ("alarm", 0.6)]:
        fatigue = FatigueState(level, awareness, None, 1.0, None, None, 0.0, 0)  # type: ignore[arg-type]
        feed.update(desk(wanted, fatigue=fatigue))
        urgent += [message.urgent for message in feed.messages if message.topic.endswith("/fatigue")]
    assert urgent == [False, False, True, True, False]
    feed.update(desk(wanted, alert=ALARM), CameraEvent("desk", BEGAN), CameraEvent("desk", LEFT))
    urgent = [message.urgent for message in feed.messages if message.topic.endswith(("/alert", "/event"))]
    assert urgent == [True, True, False]


def test_a_removed_camera_is_cleared_and_a_new_one_is_introduced(make_feed: Callable[..., Feed]):
    feed = make_feed(config())
    feed.update(snapshot(config()))
    both = config(cameras=("desk", "door"))
    published = dict(feed.update(snapshot(both)))
    assert published["hall/door/status"] == "offline"
    assert "hall/desk/status" not in published
    assert json.loads(published["hall/info"])["cameras"] == ["desk", "door"]
    published = dict(feed.update(snapshot(config())))
    assert (published["hall/door/status"], published["hall/door/alert"]) == ("", "")


def test_health_and_events_have_the_name_of_the_node(make_feed: Callable[..., Feed]):
    wanted = config()
    feed = make_feed(wanted)
    feed.update(snapshot(wanted))
    feed.messages.clear()
    feed.sink.publish_health(Health(1.0, None, None, 0, {}, None, 0.0))
    assert [message.topic for message in feed.messages] == ["ferd/hall/health"]


def test_a_stalled_loop_is_reported_offline_until_it_runs_again(
    make_feed: Callable[..., Feed], caplog: pytest.LogCaptureFixture
):
    wanted = config(cameras=("desk", "door"))
    feed = make_feed(wanted)
    both = snapshot(wanted, camera(wanted, "desk", status="online"), camera(wanted, "door"))
    feed.update(both)
    feed.messages.clear()
    feed.clock.now += LOOP_STALLED_S - 0.1
    assert feed.sink._tick() == pytest.approx(0.1)
    feed.clock.now += 0.2
    for _ in range(3):
        feed.sink._tick()
    assert feed.published() == [("hall/desk/status", "offline")]
    assert caplog.text.count("main loop stalled") == 1
    assert ("hall/desk/status", "online") in feed.update(both)
    assert feed.update(both) == []


def test_a_stalled_loop_says_that_nobody_judges_the_driver(make_feed: Callable[..., Feed]):
    wanted = config()
    feed = make_feed(wanted)
    watched = desk(wanted, status="online", fatigue=FatigueState("none", 1.0, 0.0, 1.0, None, None, 0.0, 0))
    feed.update(watched)
    feed.clock.now += LOOP_STALLED_S + 0.1
    feed.messages.clear()
    feed.sink._tick()
    said = dict(feed.published())
    assert json.loads(said["hall/desk/fatigue"])["unjudged"] == "loop_stopped"
    assert json.loads(dict(feed.update(watched))["hall/desk/fatigue"])["judged"]


def test_the_mqtt_thread_notices_a_stalled_loop_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LOOP_STALLED_S", 1.0)
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear:
        wanted = config(broker.port)
        with running(wanted) as sink:
            first = desk(wanted)
            online = desk(wanted, status="online")
            sink.update(None, first, ())
            sink.update(first, online, ())
            ear.wait("ferd/hall/desk/status", "online")
            ear.wait("ferd/hall/desk/status", "offline")
            assert ear.payloads("ferd/hall/status") == ["online"]
            sink.update(online, online, ())
            ear.wait("ferd/hall/desk/status", "online")


class running:  # noqa: N801  # used as a function
    """A sink with a storage thread's worth of nothing: jobs run at once."""

    def __init__(self, wanted: Config, submit: Callable[[Command], None] = lambda _command: None) -> None:
        self.sink = MqttSink(wanted, identity=IDENTITY, submit=submit, storage=lambda job: job())

    def __enter__(self) -> MqttSink:
        self.sink.start()
        return self.sink

    def __exit__(self, *_: object) -> None:
        begin = time.monotonic()
        self.sink.stop()
        assert time.monotonic() - begin < 2.0


def connected(sink: MqttSink) -> None:
    wait_for(lambda: sink.status.connected, 10, str(sink.status))


def test_a_rename_removes_the_old_name_and_publishes_everything_under_the_new_one(tmp_path: Path):
    with mosquitto(tmp_path) as broker:
        old, new = config(broker.port), config(broker.port, node="kitchen")
        with running(old) as sink:
            before = desk(old, status="online", state=JOY)
            sink.update(None, before, ())
            connected(sink)
            with Ear(broker.port) as ear:
                ear.wait("ferd/hall/desk/state")
            after = desk(new, status="online", state=JOY)
            sink.update(before, after, ())
            with Ear(broker.port) as ear:
                wait_for(lambda: ear.payloads("ferd/kitchen/desk/state"), 10)
                assert ear.wait("ferd/kitchen/status") == "online"
                assert ear.wait("ferd/kitchen/desk/status") == "online"
                ear.wait("ferd/kitchen/info")
                # The old one may come first: it was retained.
                wait_for(lambda: json.loads(ear.wait(WHOLE))["device"]["name"] == "Kitchen", 10)
            with Ear(broker.port) as ear:
                ear.wait("ferd/kitchen/desk/state")
                assert [topic for topic, _, _ in ear.heard if topic.startswith("ferd/hall")] == []


def test_a_reload_reconnects_only_for_another_broker_or_without_a_connection(tmp_path: Path):
    with mosquitto(tmp_path) as broker:
        first = config(broker.port)
        with running(first) as sink:
            before = snapshot(first)
            sink.update(None, before, ())
            connected(sink)
            kept = sink._publisher
            again = snapshot(config(broker.port))
            sink.update(before, again, ())
            assert sink._publisher is kept, "nothing of [mqtt] differs"
            other = snapshot(config(broker.port, discovery_prefix="ha"))
            sink.update(again, other, ())
            assert sink._publisher is not kept
            connected(sink)
            broker.stop()
            wait_for(lambda: not sink.status.connected)
            kept = sink._publisher
            kept.status = replace(kept.status, reconnects=7)
            same = snapshot(config(broker.port, discovery_prefix="ha"))
            sink.update(other, same, ())
            assert sink._publisher is not kept, "a reload tries again at once"
            assert sink.status.reconnects == 7
            kept = sink._publisher
            changed_file = replace(same, files={"mqtt": (("password", 1, 2),)}, config=same.config.model_copy())
            sink.update(same, changed_file, ())
            assert sink._publisher is not kept


def test_a_reload_returns_at_once_even_from_a_frozen_broker(tmp_path: Path):
    with mosquitto(tmp_path) as broker:
        first = config(broker.port)
        with running(first) as sink:
            before = snapshot(first)
            sink.update(None, before, ())
            connected(sink)
            broker.freeze()
            begin = time.monotonic()
            sink.update(before, snapshot(config(broker.port, node="kitchen")), ())
            assert time.monotonic() - begin < 0.3


def test_a_file_that_is_missing_is_an_error_and_keeps_the_connection(tmp_path: Path, make_feed: Callable[..., Feed]):
    wanted = config()
    feed = make_feed(wanted)
    feed.update(snapshot(wanted))
    bad = config(username="ferd", password_file=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="password_file"):
        feed.sink.check(bad)
    kept = feed.sink._publisher
    with pytest.raises(ConfigError):
        feed.update(snapshot(bad))
    assert feed.sink._publisher is kept
    assert not kept._stopping.is_set()
    with pytest.raises(ConfigError):
        make_feed(bad)


def test_what_takes_effect_at_the_next_start_only_is_logged(
    make_feed: Callable[..., Feed], caplog: pytest.LogCaptureFixture
):
    feed = make_feed(config())
    feed.update(snapshot(config()))
    feed.update(snapshot(config(persist_events=True)))
    assert caplog.text.count("take effect at the next start only") == 1


def test_what_is_remembered_is_written_by_the_storage_thread_only(tmp_path: Path, make_feed: Callable[..., Feed]):
    """Neither the loop nor a callback of the MQTT client may wait for a slow card."""
    jobs: list[Callable[[], None]] = []
    feed = make_feed(config(cameras=("desk", "door")), storage=jobs.append)
    feed.update(snapshot(config(cameras=("desk", "door"))))
    file = tmp_path / "state" / f"announced-{IDENTITY}.json"
    assert not file.exists()
    run(jobs)
    assert "ferd/hall/door/status" in json.loads(file.read_text())["topics"]
    feed.update(snapshot(config()))
    cleared = [message for message in feed.messages if message.clears]
    run(jobs)
    for message in cleared:
        feed.sink._outbox.acknowledge(message, 0.0)
    assert json.loads(file.read_text())["cleared"]
    run(jobs)
    assert json.loads(file.read_text())["cleared"] == {}


def run(jobs: list[Callable[[], None]]) -> None:
    while jobs:
        jobs.pop(0)()


def test_a_stop_writes_the_events_that_the_broker_does_not_have(tmp_path: Path):
    wanted = config(persist_events=True)
    with running(wanted) as sink:
        before = desk(wanted)
        sink.update(None, before, ())
        sink.update(before, before, [CameraEvent("desk", replace(LEFT, id=str(n))) for n in range(20)])
    with running(wanted) as sink:
        assert sink._store is not None
        assert len(sink._store) == 20


def test_a_storage_thread_that_hangs_does_not_delay_the_stop(caplog: pytest.LogCaptureFixture):
    wanted = config(persist_events=True)
    sink = MqttSink(wanted, identity=IDENTITY, submit=lambda _: None, storage=lambda _job: None)
    sink.start()
    sink.update(None, desk(wanted), [CameraEvent("desk", BEGAN)])
    begin = time.monotonic()
    sink.stop()
    assert time.monotonic() - begin < 2.3
    assert "events may be lost count=1" in caplog.text


def test_a_command_is_submitted_and_answered(tmp_path: Path):
    commands: list[Command] = []
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear:
        wanted = config(broker.port)
        with running(wanted, commands.append) as sink:
            sink.update(None, snapshot(wanted), ())
            ear.wait("ferd/hall/status", "online")
            ear.say("ferd/hall/request/snooze", '{"seconds":60,"transaction":"a1"}')
            ear.say("ferd/hall/desk/sensitivity/set", "much")
            refused = json.loads(ear.wait("ferd/hall/response/sensitivity"))
            assert (refused["status"], refused["data"]) == ("error", {"camera": "desk"})
            (command,) = commands
            assert (command.verb, command.camera, command.value, command.source) == ("snooze", None, 60.0, "mqtt")
            assert command.reply is not None
            command.reply(None, {"seconds": 60.0})
            answer = json.loads(ear.wait("ferd/hall/response/snooze"))
            assert (answer["status"], answer["data"], answer["transaction"]) == ("ok", {"seconds": 60.0}, "a1")


def test_everything_is_published_again_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(publisher_module, "BIRTH_WAITS_S", (0.1, 0.2))
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear:
        wanted = config(broker.port)
        with running(wanted) as sink:
            sink.update(None, snapshot(wanted), ())
            ear.wait(WHOLE)
            sink.republish()
            wait_for(lambda: len(ear.payloads(WHOLE)) == 2)


def test_many_threads_may_look_while_snapshots_come(make_feed: Callable[..., Feed]):
    """The watch in the MQTT thread and the loop never deadlock, and the last word is the loop's."""
    wanted = config()
    feed = make_feed(wanted)
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            feed.clock.now += LOOP_STALLED_S
            feed.sink._tick()

    thread = threading.Thread(target=watch)
    thread.start()
    online = desk(wanted, status="online")
    for _ in range(200):
        feed.update(online)
    stop.set()
    thread.join(5)
    feed.update(online)
    last = feed.sink._outbox.last("ferd/hall/desk/status")
    assert last is not None
    assert last.payload == "online"


def test_the_log_says_once_which_home_assistant_shows_the_entities(
    make_feed: Callable[..., Feed], caplog: pytest.LogCaptureFixture
):
    """An older one ignores the device document without a word, and shows nothing."""
    caplog.set_level(logging.INFO)
    wanted = config()
    feed = make_feed(wanted)
    feed.update(snapshot(wanted))
    feed.update(snapshot(config(cameras=("desk", "door"))))
    said = [it.getMessage() for it in caplog.records if it.getMessage().startswith("announced to Home Assistant")]
    assert len(said) == 1
    assert 'discovery = "components"' in said[0]


@pytest.mark.parametrize(("image", "shape"), [(False, None), (True, (110, 110)), ("frame", (240, 320))])
def test_a_picture_is_published_when_it_is_on_and_a_broker_is_there(tmp_path: Path, image: object, shape: object):
    """It is not retained, and it does not come again while the expression stays."""
    frame = Frame(0.0, np.full((240, 320, 3), 90, np.uint8))
    shown: dict[str, Any] = {"status": "online", "frame": frame, "reading": reading(0.0, face())}
    with mosquitto(tmp_path) as broker, Ear(broker.port, "nothing") as ear:
        heard: list[tuple[bytes, bool]] = []
        ear._client.on_message = lambda _c, _u, message: heard.append((message.payload, message.retain))
        ear._client.subscribe("ferd/hall/desk/+")
        wanted = config(broker.port, image=image)
        with running(wanted) as sink:
            sink.update(None, desk(wanted), ())
            connected(sink)
            for seq in (1, 2):
                sink.update(desk(wanted), desk(wanted, state=State("joy", 0.8, 1, 1000.0, seq), **shown), ())
            wait_for(lambda: any(b'"seq":2' in payload for payload, _ in heard), 20)
        pictures = [(payload, retained) for payload, retained in heard if payload.startswith(b"\xff\xd8")]
    if shape is None:
        assert pictures == []
        return
    ((jpeg, retained),) = pictures
    assert not retained
    assert decode_jpeg(jpeg, gray=False).shape[:2] == shape


def test_without_a_broker_no_picture_is_made(make_feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "picture", lambda *_: pytest.fail("nobody takes it"))
    wanted = config(image=True)
    feed = make_feed(wanted)
    frame = Frame(0.0, np.full((240, 320, 3), 90, np.uint8))
    feed.update(desk(wanted, status="online", state=JOY, frame=frame, reading=reading(0.0, face())))


def test_the_expiry_of_events_follows_a_reload():
    with running(config(event_expiry_s=100)) as sink:
        before = desk(config(event_expiry_s=100))
        sink.update(None, before, [CameraEvent("desk", LEFT)])
        assert [m.expires_s for m in sink._outbox.due(time.monotonic()) if topics.EVENT.names_in(m.topic)] == [100]
        sink.update(before, desk(config(event_expiry_s=200)), [CameraEvent("desk", LEFT)])
        assert [m.expires_s for m in sink._outbox.due(time.monotonic()) if topics.EVENT.names_in(m.topic)] == [200]
