"""What root can read and the service cannot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ferd.config import load_config
from ferd.diagnostics import service_files
from ferd.diagnostics.service_files import may_read, named_files, unreadable_files
from ferd.installation import Installation

STRANGER = 61234


@pytest.fixture
def etc(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that everybody can reach, whatever the modes of pytest's own; it stands for /etc/ferd."""
    folder = tmp_path_factory.mktemp("etc")
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o055)
    monkeypatch.setattr(service_files, "HIDDEN", ())
    monkeypatch.setattr(service_files, "is_passed", lambda file, _instance: file.name == "mqtt-password")
    return folder


def problems(etc: Path, text: str) -> list[str]:
    config = etc / "ferd.toml"
    config.write_text(text)
    config.chmod(0o644)
    state = etc / "state"
    state.mkdir(exist_ok=True)
    return list(unreadable_files(load_config(config), Installation("ferd.service", config, state)))


def secret(file: Path) -> Path:
    file.write_text("x")
    file.chmod(0o600)
    return file


def test_by_the_modes_of_the_path(etc: Path) -> None:
    file = secret(etc / "file")
    owner = file.stat().st_uid
    assert may_read(file, owner, frozenset())
    assert not may_read(file, STRANGER, frozenset())
    file.chmod(0o640)
    assert may_read(file, STRANGER, frozenset({file.stat().st_gid}))
    file.chmod(0o644)
    assert may_read(file, STRANGER, frozenset())
    (etc / "closed").mkdir(mode=0o700)
    assert not may_read(file.rename(etc / "closed/file"), STRANGER, frozenset())


def test_the_password_that_the_unit_passes_may_have_mode_600(etc: Path) -> None:
    secret(etc / "mqtt-password")
    assert problems(etc, '[mqtt]\nusername = "ferd"\npassword_file = "mqtt-password"\n') == []


def test_another_password_file_is_named_with_its_remedy(etc: Path) -> None:
    secret(etc / "pw")
    (line,) = problems(etc, '[mqtt]\nusername = "ferd"\npassword_file = "pw"\n')
    assert line.startswith(f"mqtt.password_file: {etc}/pw: the user of ferd.service may not read it")
    assert "/etc/ferd/mqtt-password" in line


def test_models_and_recordings_count_too(etc: Path) -> None:
    secret(etc / "mood.tflite")
    secret(etc / "film.mp4")
    lines = problems(
        etc, f'[expression]\nmodel = "{etc}/mood.tflite"\n[cameras.a]\nsource = "{etc}/film.mp4"\n[cameras.b]\n'
    )
    assert [line.partition(":")[0] for line in lines] == ["expression.model", "cameras.a.source"]
    assert all("chmod o+r" in line for line in lines)


def test_homes_are_hidden_from_the_service(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_files, "HIDDEN", (etc,))
    (etc / "yunet.onnx").touch()
    lines = problems(etc, '[detector]\nyunet = "yunet.onnx"\n')
    assert f"detector.yunet: {etc}/yunet.onnx: ferd.service cannot see {etc}. Copy it to /etc/ferd" in lines[-1]


def test_the_configuration_itself(etc: Path) -> None:
    config = etc / "ferd.toml"
    config.write_text("")
    config.chmod(0o600)
    (etc / "state").mkdir()
    (line,) = unreadable_files(load_config(config), Installation("ferd.service", config, etc / "state"))
    assert f"sudo chmod 644 {config}" in line


def test_devices_and_addresses_are_no_files(etc: Path) -> None:
    config = load_config(None, {"FERD_CAMERAS__A__SOURCE": "/dev/video0", "FERD_CAMERAS__B__SOURCE": "rtsp://x/y"})
    assert list(named_files(config)) == []
