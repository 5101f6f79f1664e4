"""The Home Assistant add-on: its options become a ferd.toml that ferd accepts, its broker that of the supervisor."""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import ferd_addon
import pytest
from ferd_addon import AddonError, Places, broker_of_supervisor, device_groups, merged, prepare

from ferd.config import load_config

TOKEN = "the-token-of-the-supervisor"
BROKER = {
    "host": "core-mosquitto", "port": 1883, "ssl": False, "username": "addons", "password": 'p"a\\ss é',
    "protocol": "3.1.1", "addon": "core_mosquitto",
}  # fmt: skip
NO_SERVICE = (400, {"result": "error", "message": "Service not enabled"})


class Supervisor:
    """A stand-in of the supervisor's API: gives the answers in turn, the last one for ever."""

    def __init__(self, *answers: tuple[int, dict[str, Any]]) -> None:
        self.answers, self.paths = list(answers), []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.paths.append(self.path)
                status, body = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    status, body = 401, {"result": "error", "message": "unauthorized"}
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.environ = {"SUPERVISOR_TOKEN": TOKEN, "SUPERVISOR_API": f"http://127.0.0.1:{self.server.server_port}"}

    def __enter__(self) -> Supervisor:
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with Supervisor((200, {"result": "ok", "data": BROKER})) as running:
        yield running


@pytest.fixture
def places(tmp_path: Path) -> Places:
    for folder in ("data", "config", "dev"):
        (tmp_path / folder).mkdir()
    return Places(tmp_path)


def started(places: Places, supervisor: Supervisor, options: dict[str, Any]) -> list[str]:
    places.options.write_text(json.dumps(options))
    return prepare(places, supervisor.environ)


def test_the_default_options_make_a_valid_ferd_toml(places: Places, supervisor: Supervisor) -> None:
    options = {"cameras": [{"name": "camera", "source": "auto"}], "fatigue": False, "gestures": False, "verbose": False}
    assert started(places, supervisor, options) == ["run", "--config", str(places.config)]
    config = load_config(places.config)
    assert list(config.cameras) == ["camera"]
    assert (config.mqtt.host, config.mqtt.username, config.node.name) == ("core-mosquitto", "addons", "ferd")
    assert (config.web.enabled, config.web.bind, config.web.trusted_proxy) == (True, "0.0.0.0", "172.30.32.2")
    assert supervisor.paths == ["/services/mqtt"]


def test_the_password_is_in_a_file_of_its_own(places: Places, supervisor: Supervisor) -> None:
    started(places, supervisor, {})
    file = load_config(places.config).mqtt.password_file
    assert file is not None
    assert file.read_text() == f"{BROKER['password']}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert BROKER["password"] not in places.config.read_text()


def test_every_option_reaches_its_key(places: Places, supervisor: Supervisor) -> None:
    camera = {"name": "hall", "source": "rtsp://me@192.0.2.9/live", "password": "geheim", "width": 1280, "height": 720,
              "fps": 10.0, "rotate": "90", "mirror": True}  # fmt: skip
    options = {
        "node_name": "hall-pi", "cameras": [camera, {"name": "desk", "source": "/dev/video2"}], "model": "",
        "fatigue": True, "gestures": True, "buzzer_pin": 18, "buzzer_kind": "passive", "mqtt_host": "broker.lan",
        "mqtt_port": 8883, "mqtt_username": "ferd", "mqtt_password": "secret", "mqtt_tls": True, "verbose": True,
    }  # fmt: skip
    assert started(places, supervisor, options)[-1] == "--verbose"
    config = load_config(places.config)
    hall = config.cameras["hall"]
    assert (hall.width, hall.height, hall.fps, hall.rotate, hall.mirror) == (1280, 720, 10.0, 90, True)
    assert hall.source_password_file is not None
    assert hall.source_password_file.read_text() == "geheim\n"
    assert config.cameras["desk"].source == "/dev/video2"
    assert (config.node.name, config.fatigue.enabled, config.gestures.enabled) == ("hall-pi", True, True)
    assert (config.buzzer.pin, config.buzzer.kind) == (18, "passive")
    assert (config.mqtt.host, config.mqtt.port, config.mqtt.username, config.mqtt.tls) == (
        "broker.lan", 8883, "ferd", True,
    )  # fmt: skip
    assert config.mqtt.password_file is not None
    assert config.mqtt.password_file.read_text() == "secret\n"
    assert supervisor.paths == []  # a broker is named: nobody is asked


def test_another_user_name_is_kept_with_the_supervisors_broker(places: Places, supervisor: Supervisor) -> None:
    started(places, supervisor, {"mqtt_username": "mine", "mqtt_password": "own"})
    config = load_config(places.config)
    assert (config.mqtt.host, config.mqtt.username) == ("core-mosquitto", "mine")
    assert config.mqtt.password_file is not None
    assert config.mqtt.password_file.read_text() == "own\n"


def test_unknown_options_are_ignored_with_a_warning(
    places: Places, supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    started(places, supervisor, {"colour": "red", "cameras": [{"name": "a", "source": "auto", "zoom": 2}]})
    assert "option=colour" in caplog.text
    assert "option=cameras.a.zoom" in caplog.text
    assert list(load_config(places.config).cameras) == ["a"]


def test_the_users_own_file_is_kept_below_the_options(places: Places, supervisor: Supervisor) -> None:
    places.own.write_text(
        '[node]\nname = "mine"\n[smoothing]\nmin_hold_s = 2.0\n[fatigue]\nenabled = false\nalert_after_s = 9\n'
        '[[alerts]]\nname = "sad"\nlabel = "sadness"\nabove = 0.6\n[web]\nenabled = false\nbind = "127.0.0.1"\n'
        "max_fps = 5\n".replace("alert_after_s = 9\n", "")
    )
    started(places, supervisor, {"fatigue": True})
    config = load_config(places.config)
    assert (config.node.name, config.smoothing.min_hold_s, config.fatigue.enabled) == ("mine", 2.0, True)
    assert [alert.name for alert in config.alerts] == ["sad"]
    assert (config.web.enabled, config.web.bind, config.web.max_fps) == (True, "0.0.0.0", 5)


def test_a_broken_file_of_the_user_is_named_with_its_line(places: Places, supervisor: Supervisor) -> None:
    places.own.write_text("[node]\nname = hall\n")
    with pytest.raises(AddonError, match=r"config/ferd\.toml: .*line 2.*Correct it"):
        started(places, supervisor, {})


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_options_that_cannot_be_read(places: Places, text: str) -> None:
    places.options.write_text(text)
    with pytest.raises(AddonError, match="Save them again"):
        prepare(places, {})


def test_two_cameras_of_one_name(places: Places, supervisor: Supervisor) -> None:
    with pytest.raises(AddonError, match='two cameras have the name "a"'):
        started(places, supervisor, {"cameras": [{"name": "a", "source": "auto"}, {"name": "a", "source": "usb"}]})


def test_without_a_broker_the_remedy_is_named() -> None:
    naps: list[float] = []
    with Supervisor(NO_SERVICE) as supervisor:
        with pytest.raises(AddonError, match=r'Service not enabled.*"Mosquitto broker".*mqtt_host'):
            broker_of_supervisor(supervisor.environ, wait_s=15, retry_s=5, sleep=naps.append)
        assert len(supervisor.paths) == 4
    assert naps == [5, 5, 5]


def test_a_broker_that_starts_later_is_found() -> None:
    with Supervisor(NO_SERVICE, NO_SERVICE, (200, {"result": "ok", "data": BROKER})) as supervisor:
        assert broker_of_supervisor(supervisor.environ, sleep=lambda _: None)["host"] == "core-mosquitto"


@pytest.mark.parametrize(
    ("answer", "environ"),
    [((200, {"result": "ok", "data": {}}), {}), ((200, {}), {}), (NO_SERVICE, {"SUPERVISOR_TOKEN": "wrong"})],
)
def test_an_answer_without_a_broker_is_no_traceback(
    answer: tuple[int, dict[str, Any]], environ: dict[str, str]
) -> None:
    with Supervisor(answer) as supervisor:
        with pytest.raises(AddonError, match="there is no MQTT broker"):
            broker_of_supervisor(supervisor.environ | environ, wait_s=0)


def test_a_supervisor_that_is_not_there() -> None:
    with pytest.raises(AddonError, match="there is no MQTT broker"):
        broker_of_supervisor({"SUPERVISOR_API": "http://127.0.0.1:1"}, wait_s=0)


def test_trees_are_merged() -> None:
    below = {"a": {"x": 1, "y": 2}, "b": [1], "c": 1}
    assert merged(below, {"a": {"y": 3}, "b": [2], "d": {"z": 1}}) == {
        "a": {"x": 1, "y": 3}, "b": [2], "c": 1, "d": {"z": 1},
    }  # fmt: skip
    assert below["a"] == {"x": 1, "y": 2}


@pytest.mark.skipif(os.geteuid() != 0, reason="makes device nodes, which needs root")
def test_the_groups_are_those_of_the_devices(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def node(name: str, mode: int, gid: int) -> None:
        try:
            os.mknod(tmp_path / name, stat.S_IFCHR | mode, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("device nodes cannot be made here")
        (tmp_path / name).chmod(mode)
        os.chown(tmp_path / name, 0, gid)

    (tmp_path / "video9").touch()  # no device
    node("video0", 0o660, 44)
    node("video1", 0o666, 0)
    node("gpiochip0", 0o600, 0)
    assert device_groups(tmp_path, needs_pins=False) == [44]
    assert device_groups(tmp_path, needs_pins=True) is None
    assert "gpiochip0" in caplog.text
    node("gpiochip0b", 0o660, 997)
    (tmp_path / "gpiochip0").unlink()
    assert device_groups(tmp_path, needs_pins=True) == [44, 997]


def test_an_error_ends_with_the_code_of_a_wrong_configuration(
    places: Places, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ferd_addon, "Places", lambda: places)
    with caplog.at_level(logging.ERROR):
        assert ferd_addon.main() == 78
    assert "options.json" in caplog.text
