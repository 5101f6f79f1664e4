from __future__ import annotations

from pathlib import Path

import pytest

from ferd.cli.main import main
from ferd.config import exposure, load_config
from ferd.config.exposure import exposed_secrets

SECRET = '[cameras.door]\nsource = "rtsp://me:hush@cam/1"\n'


@pytest.mark.parametrize(
    ("text", "mode", "is_said"),
    [
        (SECRET, 0o644, True),
        (SECRET, 0o640, False),
        (SECRET, 0o600, False),
        ('[cameras.door]\nsource = "http://cam/1?token=hush"\n', 0o644, True),
        ('[cameras.door]\nsource = "rtsp://cam?hush"\n', 0o644, True),
        ('[cameras.door]\nsource = "rtsp://cam:7447/hush7QEWTkUsS0"\n', 0o644, True),
        ('[cameras.door]\nsource = "rtsp://cam/user=me_password=hush_channel=1.sdp"\n', 0o644, True),
        ('[mqtt]\ntransport = "websockets"\nwebsocket_path = "/mqtt?token=hush"\n', 0o644, True),
        ('[mqtt]\ntransport = "websockets"\n', 0o644, False),
        ('[cameras.door]\nsource = "rtsp://cam/1"\n', 0o644, False),
        ('[cameras.door]\nsource = "http://192.168.100.200:8080/axis-cgi/mjpg/video.cgi"\n', 0o644, False),
        ("", 0o644, False),
    ],
)
def test_a_password_in_a_file_that_every_user_can_read(tmp_path: Path, text: str, mode: int, is_said: bool):
    file = tmp_path / "ferd.toml"
    file.write_text(text)
    file.chmod(mode)
    texts = exposed_secrets(load_config(file), file)
    assert len(texts) == is_said
    assert "hush" not in " ".join(texts)
    if is_said:
        assert f"chmod 600 {file}" in texts[0]


def test_the_token_of_the_page(tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("x" * 20)
    token.chmod(0o644)
    file = tmp_path / "ferd.toml"
    file.write_text('[web]\nenabled = true\ntoken_file = "token"\n')
    config = load_config(file)
    assert "web.token_file" in exposed_secrets(config, file)[0]
    token.chmod(0o600)
    assert exposed_secrets(config, file) == []


def test_the_password_of_a_camera(tmp_path: Path):
    secret = tmp_path / "door"
    secret.write_text("hush\n")
    secret.chmod(0o644)
    file = tmp_path / "ferd.toml"
    file.write_text('[cameras.door]\nsource = "rtsp://me@cam/1"\nsource_password_file = "door"\n')
    config = load_config(file)
    assert "cameras.door.source_password_file" in exposed_secrets(config, file)[0]
    secret.chmod(0o600)
    assert exposed_secrets(config, file) == []


def test_the_services_user_keeps_its_access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exposure, "SERVICE_FOLDER", tmp_path)
    file = tmp_path / "ferd.toml"
    file.write_text(SECRET)
    file.chmod(0o644)
    config = load_config(file)
    assert exposed_secrets(config, None) == []
    assert f"chgrp ferd {file} && sudo chmod 640" in exposed_secrets(config, file)[0]


def test_check_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    file = tmp_path / "ferd.toml"
    file.write_text(SECRET)
    file.chmod(0o644)
    assert main(["check", str(file)]) == 0
    said = capsys.readouterr().out
    assert f"chmod 600 {file}" in said
    assert "hush" not in said
