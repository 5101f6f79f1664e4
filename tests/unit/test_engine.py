"""The daemon with a camera that fails on cue, and a line to systemd that is listened to."""

import socket
import threading
import time

import pytest
from brokers import wait_for

from ferd.config import Config
from ferd.engine import Engine
from ferd.errors import FerdError
from ferd.outputs.systemd import Systemd
from ferd.payloads import adapter
from ferd.settings_store import CameraSettings, SettingsStore
from ferd.sources.demo import picture
from ferd.sources.fake import FakeCamera, FakeCameras, fail, play
from ferd.types import Frame


@pytest.fixture(autouse=True)
def _state_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))


@pytest.fixture
def config():
    """Nobody listens at port 1 of this machine: a daemon without a broker."""
    return Config.model_validate({"node": {"name": "test"}, "mqtt": {"host": "127.0.0.1", "port": 1}})


@pytest.fixture
def run():
    """Runs a daemon in a thread, and what it put on the board in a list."""
    running = []

    def start(daemon):
        told = []
        daemon.board.subscribe(lambda message: told.append((message.topic, message.payload.decode())))
        thread = threading.Thread(target=daemon.run)
        thread.start()
        running.append((daemon, thread))
        return told

    yield start
    for daemon, thread in running:
        daemon.stop()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def still():
    """Daemons that do not run; a reload starts their publishers all the same."""
    made = []

    def make(config, **more):
        made.append(Engine(config, **more))
        return made[-1]

    yield make
    for daemon in made:
        daemon.publisher.stop()


class Portrait(FakeCamera):
    """Shows one real face, with a little noise."""

    def read(self):
        frame = super().read()
        image = picture()
        image[0, 0] = self.done("read") % 256
        return Frame(frame.t, image)


def statuses(told):
    return [payload for topic, payload in told if topic == "ferd/test/camera/status"]


def test_a_camera_that_comes_off_is_offline_and_comes_back(config, run):
    cameras = FakeCameras([[play(1.0), fail("the cable came off")], [play(3600)]])
    told = run(Engine(config, open_camera=lambda _camera: cameras()))
    wait_for(lambda: statuses(told) == ["offline", "online", "offline", "online"], 15, str(told))


def test_what_was_seen_is_taken_back_when_the_camera_is_lost(config, run):
    camera = Portrait([play(2.5), fail("the cable came off")], fps=10)
    told = run(Engine(config, open_camera=lambda _camera: camera))
    wait_for(lambda: statuses(told)[:3] == ["offline", "online", "offline"], 20, str(told))
    states = [payload for topic, payload in told if topic == "ferd/test/camera/state"]
    assert '"expression":"neutral"' in "".join(states)
    assert '"expression":null,"confidence":null,"faces":0' in states[-1]
    kinds = [payload.partition('"event_type":"')[2].partition('"')[0] for topic, payload in told if "event" in topic]
    assert kinds[-1] == "face_left"


def test_systemd_hears_ready_and_signs_of_life_and_stopping(config, run, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(10)
        systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"})
        cameras = FakeCameras([[play(3600)]])
        daemon = Engine(config, open_camera=lambda _camera: cameras(), systemd=systemd)
        run(daemon)
        heard = {line.recv(500).decode().partition("=")[0] for _ in range(4)}
        assert {"READY", "WATCHDOG"} <= heard
        daemon.stop()
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

        run(Engine(config, open_camera=lambda _camera: Stuck([]), systemd=systemd))
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
        told = run(Engine(config, open_camera=lambda _camera: FakeCamera([]), systemd=systemd))
        heard = [line.recv(500) for _ in range(6)]
        assert heard.count(b"WATCHDOG=1") >= 4
        assert any(it.startswith(b"READY=1") and b"camera=disabled" in it for it in heard)
        assert statuses(told) == ["disabled"]


def test_a_reload_without_a_file_is_refused(config, run):
    daemon = Engine(config, open_camera=lambda _camera: FakeCamera([]))
    with pytest.raises(FerdError, match="restart it"):
        daemon.reload()


def test_a_reload_is_no_restart(config, still):
    daemon = still(config, load=lambda: config, open_camera=lambda _camera: FakeCamera([]))
    health = daemon._health
    daemon.reload()
    assert daemon._health is health


def test_another_id_waits_for_the_next_start(config, still, caplog):
    """Announced at once, Home Assistant would have every entity twice: nothing takes back what the old one had."""
    node = config.node.model_copy(update={"id": "second"})
    daemon = still(config, load=lambda: config.model_copy(update={"node": node}))
    told = []
    daemon.board.subscribe(lambda message: told.append(message.topic))
    daemon.reload()
    assert not [topic for topic in told if topic.startswith("homeassistant/")]
    assert "with the next start only" in caplog.text


def test_payloads_are_ready_before_any_thread_starts(config):
    adapter.cache_clear()
    Engine(config, open_camera=lambda _camera: FakeCamera([]))
    assert adapter.cache_info().currsize >= 8
