from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ferd.config.mqtt import MqttConfig
from ferd.errors import ConfigError
from ferd.publish.target import target_of


def test_the_first_line_of_the_file_is_the_password(tmp_path: Path):
    file = tmp_path / "password"
    file.write_text("s3cret word \nanother\n")
    target = target_of(MqttConfig(username="ferd", password_file=file), {})
    assert target.password == "s3cret word "
    assert "s3cret" not in repr(target)


def test_the_credential_of_systemd_is_used_when_no_file_is_named(tmp_path: Path):
    (tmp_path / "mqtt.password").write_text("s3cret\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert target_of(MqttConfig(username="ferd"), environ).password == "s3cret"
    assert target_of(MqttConfig(), environ).password is None
    assert target_of(MqttConfig(username="ferd"), {}).password is None
    assert target_of(MqttConfig(username="ferd"), {"CREDENTIALS_DIRECTORY": "/nowhere"}).password is None


@pytest.mark.parametrize(
    ("settings", "content", "remedy"),
    [
        ({"username": "ferd", "password_file": "{}/none"}, b"", "is not there. Write the password into it"),
        ({"username": "ferd", "password_file": "{}/file"}, b"", "is empty"),
        ({"username": "ferd", "password_file": "{}/file"}, b"\xff\n", "not UTF-8"),
        ({"username": "ferd", "password_file": "{}"}, b"", "cannot be read"),
        ({"password_file": "{}/file"}, b"secret\n", "mqtt.username is not"),
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
        target_of(MqttConfig(**filled), {})
    assert "secret" not in str(error.value)
