"""The application with a camera that fails on cue, a line to systemd that is listened to, and reloads."""

import socket
import threading
import time

import pytest
from brokers import wait_for

from ferd.app import Application
from ferd.config import Config
from ferd.errors import FerdError, ModelError
from ferd.outputs.systemd import Systemd
from ferd.payloads import adapter
from ferd.restart_history import REQUESTS, REQUESTS_WINDOW_S
from ferd.settings_store import CameraSettings, SettingsStore
from ferd.snapshot import Command
from ferd.sources.demo import picture
from ferd.sources.fake import FakeCamera, FakeCameras, fail, play
from ferd.types import Frame
from ferd.vision.loader import Models


@pytest.fixture(autouse=True)
def _state_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))


@pytest.fixture
def config():
    """Nobody listens at port 1 of this machine: a daemon without a broker."""
    return Config.model_validate({"node": {"name": "test"}, "mqtt": {"host": "127.0.0.1", "port": 1}})


@pytest.fixture
def run():
    """Runs an application in a thread, and what it puts into the outbox in a list."""
    running = []

    def start(app):
        sent = []
        app.mqtt.subscribe(lambda message: sent.append((message.topic, message.encoded().decode())))
        thread = threading.Thread(target=app.run)
        thread.start()
        running.append((app, thread))
        return sent

    yield start
    for app, thread in running:
        app.stop()
        thread.join(10)
        assert not thread.is_alive()


class Portrait(FakeCamera):
    """Shows one real face, with a little noise."""

    def read(self):
        frame = super().read()
        image = picture()
        image[0, 0] = self.done("read") % 256
        return Frame(frame.t, image, captured_at=time.monotonic())


def statuses(sent):
    return [payload for topic, payload in sent if topic == "ferd/test/camera/status"]


def asked(verb, camera=None, value=None):
    answers = []
    return Command(verb, camera, value, lambda error, data: answers.append((error, data))), answers


def test_a_camera_that_comes_off_is_offline_and_comes_back(config, run):
    cameras = FakeCameras([[play(1.0), fail("the cable came off")], [play(3600)]])
    sent = run(Application(config, open_camera=lambda _camera: cameras()))
    wait_for(lambda: statuses(sent) == ["offline", "online", "offline", "online"], 15, str(sent))


def test_what_was_seen_is_taken_back_when_the_camera_is_lost(config, run):
    camera = Portrait([play(2.5), fail("the cable came off")], fps=10)
    sent = run(Application(config, open_camera=lambda _camera: camera))
    wait_for(lambda: statuses(sent)[:3] == ["offline", "online", "offline"], 20, str(sent))
    states = [payload for topic, payload in sent if topic == "ferd/test/camera/state"]
    assert '"expression":"neutral"' in "".join(states)
    assert '"expression":null,"confidence":null,"faces":0' in states[-1]
    kinds = [payload.partition('"event_type":"')[2].partition('"')[0] for topic, payload in sent if "event" in topic]
    assert kinds[-1] == "face_left"


def test_systemd_is_notified_of_ready_and_life_and_stopping(config, run, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(10)
        systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"})
        cameras = FakeCameras([[play(3600)]])
        app = Application(config, open_camera=lambda _camera: cameras(), systemd=systemd)
        run(app)
        heard = {line.recv(500).decode().partition("=")[0] for _ in range(4)}
        assert {"READY", "WATCHDOG"} <= heard
        app.stop()
        until = time.monotonic() + 10
        while line.recv(500) != b"STOPPING=1":
            assert time.monotonic() < until


def test_a_camera_that_hangs_does_not_feed_the_watchdog(config, run, tmp_path):
    """It hangs while it is opened: no frame, no new attempt, no sign of life."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(1.0)
        systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"})
        let_go = threading.Event()

        class Stuck(FakeCamera):
            def open(self):
                let_go.wait()

        run(Application(config, open_camera=lambda _camera: Stuck([]), systemd=systemd))
        assert line.recv(500) == b"WATCHDOG=1", "the attempt itself is progress"
        with pytest.raises(TimeoutError):
            line.recv(500)
        let_go.set()


def test_with_every_camera_switched_off_the_watchdog_is_fed(config, run, tmp_path):
    """There is nothing to do, and that is done."""
    SettingsStore.of(None).set("camera", CameraSettings(enabled=False))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(5)
        systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"})
        sent = run(Application(config, open_camera=lambda _camera: FakeCamera([]), systemd=systemd))
        heard = [line.recv(500) for _ in range(6)]
        assert heard.count(b"WATCHDOG=1") >= 4
        assert any(it.startswith(b"READY=1") and b"camera=disabled" in it for it in heard)
        assert statuses(sent) == ["disabled"]


def test_a_reload_without_a_file_is_refused(config):
    app = Application(config, open_camera=lambda _camera: FakeCamera([]))
    with pytest.raises(FerdError, match="restart it"):
        app.reload()


def test_a_reload_of_rules_keeps_cameras_models_and_uptime(config, run):
    cameras, rules = FakeCameras([[play(3600)]]), config.smoothing.model_copy(update={"min_hold_s": 1.0})
    changed = config.model_copy(update={"smoothing": rules})
    app = Application(config, load=lambda: changed, open_camera=lambda _camera: cameras())
    sent = run(app)
    wait_for(lambda: "online" in statuses(sent), 10, str(sent))
    models = app._models
    app.ask_to_reload()
    wait_for(lambda: app.config is changed, 10)
    assert app._models is models
    time.sleep(0.5)
    assert statuses(sent) == ["offline", "online"]
    assert len(cameras.made) == 1


def test_other_models_are_loaded_while_pictures_are_still_read(config, run, monkeypatch):
    """A model that takes its time to load or to be tried must not stop the readings."""
    cameras, let_go = FakeCameras([[play(3600)]]), threading.Event()
    changed = config.model_copy(update={"fatigue": config.fatigue.model_copy(update={"enabled": True})})
    app = Application(config, load=lambda: changed, open_camera=lambda _camera: cameras())
    sent = run(app)
    wait_for(lambda: "online" in statuses(sent), 10, str(sent))

    def slow(new):
        let_go.wait(30)
        return Models(new)

    monkeypatch.setattr("ferd.app.Models", slow)
    command, answers = asked("reload")
    app._commands.submit(command)
    wait_for(lambda: app._loading is not None, 10)
    before = app.snapshot.cameras["camera"].counters.frames
    wait_for(lambda: app.snapshot.cameras["camera"].counters.frames > before + 3, 10)
    assert answers == []
    let_go.set()
    wait_for(lambda: answers, 20)
    assert answers == [(None, {"changed": "models and rules"})]
    assert app.config is changed
    assert statuses(sent) == ["offline", "online"]


def test_models_that_cannot_be_loaded_leave_everything_as_it_was(config, run, monkeypatch, caplog):
    cameras = FakeCameras([[play(3600)]])
    changed = config.model_copy(update={"fatigue": config.fatigue.model_copy(update={"enabled": True})})
    app = Application(config, load=lambda: changed, open_camera=lambda _camera: cameras())
    sent = run(app)
    wait_for(lambda: "online" in statuses(sent), 10, str(sent))

    def broken(_config):
        raise ModelError("hangs on a picture of a face")

    monkeypatch.setattr("ferd.app.Models", broken)
    command, answers = asked("reload")
    app._commands.submit(command)
    wait_for(lambda: answers, 10)
    assert answers == [("hangs on a picture of a face", {})]
    assert app.config is config
    assert "everything runs on as it was" in caplog.text
    assert statuses(sent) == ["offline", "online"]


def test_another_id_waits_for_the_next_start(config, run, caplog):
    """Announced at once, Home Assistant would have every entity twice: nothing takes back what the old one had."""
    node = config.node.model_copy(update={"id": "second"})
    cameras = FakeCameras([[play(3600)]])
    app = Application(
        config, load=lambda: config.model_copy(update={"node": node}), open_camera=lambda _camera: cameras()
    )
    sent = run(app)
    wait_for(lambda: "online" in statuses(sent), 10, str(sent))
    sent.clear()
    app.ask_to_reload()
    wait_for(lambda: "at the next start only" in caplog.text, 10)
    time.sleep(0.5)
    assert not [topic for topic, _payload in sent if topic.startswith("homeassistant/")]


def test_a_switch_is_published_again_though_nothing_changed(config, run):
    """Whoever pressed it sees the result, also when it stood so already."""
    cameras = FakeCameras([[play(3600)]])
    app = Application(config, open_camera=lambda _camera: cameras())
    sent = run(app)
    wait_for(lambda: "online" in statuses(sent), 10, str(sent))
    sent.clear()
    app._commands.submit(Command("sensitivity", "camera", 50.0))
    app_topic = "ferd/test/camera/sensitivity/state"
    wait_for(lambda: (app_topic, "50") in sent, 10, str(sent))
    assert [topic for topic, _ in sent if topic.endswith("enabled/state")] == []


def test_the_service_restarts_on_request_but_not_without_end(config, tmp_path, monkeypatch):
    """Twenty restarts in a row were systemd's limit, and the service stayed down for good."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    for number in range(REQUESTS):  # each is a new process
        assert Application(config, open_camera=lambda _camera: FakeCamera([])).restart(100.0 + number) == {}
    app = Application(config, open_camera=lambda _camera: FakeCamera([]))
    with pytest.raises(FerdError, match="Ask again in 580 s"):
        app.restart(120.0)
    assert app.restart(100.0 + REQUESTS_WINDOW_S) == {}


def test_payloads_are_ready_before_any_thread_starts(config):
    adapter.cache_clear()
    Application(config, open_camera=lambda _camera: FakeCamera([]))
    assert adapter.cache_info().currsize >= 8
