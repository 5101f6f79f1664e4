"""Files that only root can read, passed by systemd."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ferd import credentials
from ferd.config import MqttConfig
from ferd.credentials import FILES, MAX_FILE_BYTES, first_line, readable, service_file
from ferd.errors import ConfigError
from ferd.outputs.mqtt.broker_settings import broker_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The process of a service that may not read /etc/ferd's secrets; returns the folder of its credentials."""
    folder, passed = tmp_path / "etc/ferd", tmp_path / "run/credentials/ferd.service"
    folder.mkdir(parents=True)
    passed.mkdir(parents=True)
    for credential, name in FILES.items():
        (folder / name).write_text("hidden\n")
        (passed / credential).write_text(f"passed {credential}\n")
    monkeypatch.setattr(credentials, "SERVICE_FOLDER", folder)
    access = os.access
    monkeypatch.setattr(os, "access", lambda file, mode: folder not in Path(file).parents and access(file, mode))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(passed))
    return passed


def test_a_password_file_of_root_just_works(service: Path) -> None:
    """The file that the README names, mode 600."""
    settings = broker_settings(MqttConfig(username="ferd", password_file=service_file("mqtt.password")))
    assert settings.password == "passed mqtt.password"


@pytest.mark.parametrize("credential", FILES)
def test_every_secret_of_the_unit_can_be_named_by_its_file(service: Path, credential: str) -> None:
    assert readable(service_file(credential)) == service / credential


def test_an_instance_gets_its_own(service: Path) -> None:
    desk = service.rename(service.with_name("ferd@desk.service"))
    environ = {"CREDENTIALS_DIRECTORY": str(desk)}
    own, other = service_file("mqtt.password", "desk"), service_file("mqtt.password")
    assert readable(own, environ) == desk / "mqtt.password"
    assert readable(other, environ) == other


def test_a_file_that_can_be_read_is_read(tmp_path: Path, service: Path) -> None:
    (tmp_path / "mine").write_text("my own\n")
    settings = broker_settings(MqttConfig(username="ferd", password_file=tmp_path / "mine"))
    assert settings.password == "my own"


def test_a_cameras_password_is_read_as_the_brokers_is(tmp_path: Path, service: Path) -> None:
    """One reader for all keys: credentials, byte order marks and a bound of its size."""
    named = service_file("camera.password")
    assert first_line("source_password_file", named, "password") == "passed camera.password"
    marked = tmp_path / "utf-16"
    marked.write_bytes("me\n".encode("utf-16"))
    with pytest.raises(ConfigError, match=r"source_password_file: .* UTF-16"):
        first_line("source_password_file", marked, "password")
    large = tmp_path / "large"
    large.write_bytes(b"x" * (MAX_FILE_BYTES + 7))
    assert len(first_line("source_password_file", large, "password")) == MAX_FILE_BYTES


@pytest.mark.parametrize("name", ["hush" * 100, "etc/ferd/mqtt-password/hush"])
def test_a_password_in_the_place_of_its_file_is_not_shown(tmp_path: Path, service: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="does not exist") as caught:
        first_line("mqtt.password_file", tmp_path / name, "password")
    assert "hush" not in str(caught.value)


def test_an_empty_credential_stands_for_a_missing_file(service: Path) -> None:
    (service / "mqtt.password").write_text("\n")
    file = service_file("mqtt.password")
    assert readable(file) == file


def test_a_file_that_came_after_the_start_needs_a_restart(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = service_file("mqtt.password")
    file.unlink()
    file.write_bytes(b"\xff")
    (service / "mqtt.password").write_text("\n")
    with pytest.raises(ConfigError, match="sudo systemctl restart ferd"):
        broker_settings(MqttConfig(username="ferd", password_file=file))


def test_the_units_pass_exactly_these_files() -> None:
    for unit, prefix in (("ferd.service", ""), ("ferd@.service", "%i-")):
        lines = (ROOT / "systemd" / unit).read_text().splitlines()
        for credential, name in FILES.items():
            assert f"LoadCredential={credential}:/etc/ferd/{prefix}{name}" in lines
            assert f"SetCredential={credential}:\\n" in lines, "without it a missing file would stop the start"
        assert sum(line.startswith("LoadCredential=") for line in lines) == len(FILES)


@pytest.mark.parametrize("data", ["\ufeffhush \r\n", "\u00a0hush\u200b\n", "hush\nmore\n", " hush"])
def test_what_comes_along_with_a_password_is_dropped(tmp_path: Path, data: str) -> None:
    (tmp_path / "pw").write_text(data, encoding="utf-8")
    assert first_line("mqtt.password_file", tmp_path / "pw", "password") == "hush"


@pytest.mark.parametrize("data", ["hu\0sh\n", "hu\x1b[Dsh\n", "hush\x7f\n"])
def test_a_control_character_in_a_password_is_a_mistake(tmp_path: Path, data: str) -> None:
    (tmp_path / "pw").write_text(data, encoding="utf-8")
    with pytest.raises(ConfigError, match="holds a control character") as refused:
        first_line("mqtt.password_file", tmp_path / "pw", "password")
    assert "sh" not in str(refused.value).replace(str(tmp_path), "")
