from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ferd.config.mqtt import MqttConfig
from ferd.errors import ConfigError
from ferd.outputs.mqtt import broker_settings as target
from ferd.outputs.mqtt.broker_settings import broker_settings


def test_the_first_line_of_the_file_is_the_password(tmp_path: Path):
    file = tmp_path / "password"
    file.write_text("s3cret word \nanother\n")
    found = broker_settings(MqttConfig(username="ferd", password_file=file), {})
    assert found.password == "s3cret word "
    assert "s3cret" not in repr(found)


def test_the_credential_of_systemd_is_used_when_no_file_is_named(tmp_path: Path):
    (tmp_path / "mqtt.password").write_text("s3cret\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert broker_settings(MqttConfig(username="ferd"), environ).password == "s3cret"
    assert broker_settings(MqttConfig(), environ).password is None
    assert broker_settings(MqttConfig(username="ferd"), {}).password is None
    assert broker_settings(MqttConfig(username="ferd"), {"CREDENTIALS_DIRECTORY": "/nowhere"}).password is None


def test_a_command_of_root_reads_what_the_service_is_handed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`sudo ferd doctor`, `sudo ferd mqtt purge`: systemd hands them no credential."""
    file = tmp_path / "mqtt-password"
    monkeypatch.setattr(target, "SERVICE_PASSWORD", file)
    assert broker_settings(MqttConfig(username="ferd"), {}).password is None
    file.write_text("s3cret\n")
    assert broker_settings(MqttConfig(username="ferd"), {}).password == "s3cret"
    assert broker_settings(MqttConfig(), {}).password is None
    handed = {"CREDENTIALS_DIRECTORY": str(tmp_path / "empty")}
    assert broker_settings(MqttConfig(username="ferd"), handed).password is None, (
        "what is handed over counts, also nothing"
    )


def test_the_user_name_comes_from_its_key_a_file_or_a_credential(tmp_path: Path):
    for name, content in (("mqtt.username", "hall-pi\n"), ("mqtt.password", "s3cret\n"), ("user", "desk-pi\n")):
        (tmp_path / name).write_text(content)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert broker_settings(MqttConfig(), environ).username == "hall-pi"
    assert broker_settings(MqttConfig(), environ).password == "s3cret"
    assert broker_settings(MqttConfig(username="ferd"), environ).username == "ferd"
    assert broker_settings(MqttConfig(username_file=tmp_path / "user"), environ).username == "desk-pi"
    assert broker_settings(MqttConfig(password_file=tmp_path / "mqtt.password"), environ).username == "hall-pi"


def test_a_password_that_everybody_can_read_is_told(tmp_path: Path):
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    file.chmod(0o600)
    config = MqttConfig(username="ferd", password_file=file)
    assert broker_settings(config, {}).warnings == ()
    file.chmod(0o644)
    assert "chmod 600" in broker_settings(config, {}).warnings[0]


def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="not a regular file"):
        broker_settings(MqttConfig(username="ferd", password_file=tmp_path / "pipe"), {})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ca_file": "/ca"}, "ca_file is set but the connection is not encrypted: set tls = true"),
        ({"tls_verify": False}, "tls_verify is set but the connection is not encrypted"),
        ({"tls": True, "key_file": "/key"}, "key_file is set but cert_file is not"),
        ({"tls": True, "ca_file": "/ca", "tls_verify": False}, "remove tls_verify"),
        ({"username": "a", "username_file": "/a"}, "remove one of them"),
    ],
)
def test_keys_that_contradict_each_other_are_told(settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        MqttConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "content", "remedy"),
    [
        ({"username": "ferd", "password_file": "{}/none"}, b"", "is not there. Write the password into it"),
        ({"username": "ferd", "password_file": "{}/file"}, b"", "is empty"),
        ({"username": "ferd", "password_file": "{}/file"}, b"\xff\n", "not UTF-8"),
        ({"username": "ferd", "password_file": "{}"}, b"", "cannot be read"),
        ({"password_file": "{}/file"}, b"secret\n", "mqtt.username is not"),
        ({"username_file": "{}/none"}, b"", "Write the user name into it"),
        ({"tls": True, "ca_file": "{}/none"}, b"", "is not there. Copy"),
        ({"tls": True, "ca_file": "{}/file"}, b"no certificate", "not a readable PEM"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_remedy(
    tmp_path: Path, settings: dict[str, Any], content: bytes, remedy: str
):
    (tmp_path / "file").write_bytes(content)
    filled = {key: value.format(tmp_path) if isinstance(value, str) else value for key, value in settings.items()}
    with pytest.raises(ConfigError, match=remedy) as error:
        broker_settings(MqttConfig(**filled), {})
    assert "secret" not in str(error.value)
