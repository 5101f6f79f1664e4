"""The lines that tell a user how to go on can be typed as they are printed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ferd.cli import hints
from ferd.config import MqttConfig


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The programs that are installed."""
    found = {"mosquitto_sub", "mosquitto_pub"}
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name in found else None)
    return found


def test_a_broker_without_a_login(tools: set[str]) -> None:
    assert hints.subscribe(MqttConfig(), None, None) == "mosquitto_sub -h localhost -p 1883 -v -t 'ferd/#'"


def test_the_login_belongs_to_the_hint_and_the_password_does_not(tools: set[str], tmp_path: Path) -> None:
    mqtt = MqttConfig(host="pi", username="me", password_file=tmp_path / "pw")
    (tmp_path / "pw").write_text("secret\n")
    line = hints.subscribe(mqtt, None, "me")
    assert line == f"mosquitto_sub -h pi -p 1883 -u me -P \"$(head -n 1 {tmp_path}/pw)\" -v -t 'ferd/#'"
    assert "-u me -P PASSWORD" in hints.subscribe(MqttConfig(username="me"), None, "me")


def test_tls_belongs_to_the_hint(tools: set[str], tmp_path: Path) -> None:
    files = {"ca_file": tmp_path / "ca", "cert_file": tmp_path / "c", "key_file": tmp_path / "k"}
    line = hints.subscribe(MqttConfig(tls=True, port=8883, **files), None, None)
    assert f"-p 8883 --cafile {tmp_path}/ca --cert {tmp_path}/c --key {tmp_path}/k" in line
    assert "--tls-use-os-certs --insecure" in hints.subscribe(MqttConfig(tls=True, tls_verify=False), None, None)


def test_without_mosquitto_sub_ferd_watch_is_named(tools: set[str], tmp_path: Path) -> None:
    tools.clear()
    own = MqttConfig().model_copy(update={"host": "127.0.0.1", "port": 1884})
    assert hints.subscribe(own, None, None).endswith("watch --host 127.0.0.1 --port 1884")
    configured = MqttConfig(host="pi", username="me")
    assert hints.subscribe(configured, tmp_path / "f.toml", "me").endswith(f"watch --config {tmp_path}/f.toml")


def test_how_this_ferd_is_called(tools: set[str], tmp_path: Path) -> None:
    here = str(tmp_path / ".venv/bin/ferd")
    assert hints.program(here, tmp_path) == ".venv/bin/ferd"
    assert hints.program(here, tmp_path / "other") == here
    tools.add("ferd")
    assert hints.program("/usr/bin/ferd", tmp_path) == "ferd"


def test_over_ssh_the_tunnel_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "pi")
    environ = {"SSH_CONNECTION": "192.0.2.7 50000 192.0.2.20 22"}
    assert hints.tunnel(8322, environ) == "ssh -L 8322:127.0.0.1:8322 pi@192.0.2.20"
    assert hints.tunnel(8322, {}) is None


def test_the_way_back_of_a_camera_that_was_switched_off(tools: set[str]) -> None:
    mqtt = MqttConfig(username="me")
    line = hints.switched_off("desk", "pi", mqtt, "me", "http://127.0.0.1:8322/")
    assert "Start on the page http://127.0.0.1:8322/, or mosquitto_pub -h localhost -p 1883 -u me" in line
    assert line.endswith("-t ferd/pi/desk/enabled/set -m ON")
    tools.clear()
    assert 'send "ON" to ferd/pi/desk/enabled/set' in hints.switched_off("desk", "pi", mqtt, None, None)


def test_how_a_first_look_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = Path(hints.__file__).parents[2]
    monkeypatch.chdir(root)
    assert hints.first_look() == "./scripts/run"
    monkeypatch.chdir(tmp_path)
    assert hints.first_look() == str(root / "scripts/run")
    monkeypatch.setattr(hints, "__file__", str(tmp_path / "ferd/cli/hints.py"))
    assert hints.first_look().endswith("run --try")
