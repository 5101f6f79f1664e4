from __future__ import annotations

import json

import pytest

from ferd.settings_store import CameraSettings, SettingsStore


def test_what_was_set_is_there_after_a_restart(tmp_path):
    memory = SettingsStore(tmp_path / "state" / "switches.json")
    assert memory.switches("desk") == CameraSettings(True, True, 50.0)
    memory.set("desk", CameraSettings(False, True, 70.0))
    memory.set("door", CameraSettings(True, False))
    again = SettingsStore(tmp_path / "state" / "switches.json")
    assert again.switches("desk") == CameraSettings(False, True, 70.0)
    assert again.switches("door") == CameraSettings(True, False, 50.0)


def test_it_is_written_only_when_something_changed(tmp_path):
    path = tmp_path / "switches.json"
    memory = SettingsStore(path)
    memory.set("desk", CameraSettings())
    assert not path.exists()
    memory.set("desk", CameraSettings(enabled=False))
    before = path.stat().st_mtime_ns
    memory.set("desk", CameraSettings(enabled=False))
    assert path.stat().st_mtime_ns == before
    assert [file.name for file in tmp_path.iterdir()] == ["switches.json"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"cameras":[]}', '{"cameras":{"desk":3}}', "[" * 30000, '{"cameras":{"desk":null}}', "\0"],
)
def test_a_broken_file_is_told_and_begins_anew(tmp_path, caplog, text):
    path = tmp_path / "switches.json"
    path.write_text(text)
    memory = SettingsStore(path)
    assert "begin anew" in caplog.text
    assert memory.switches("desk") == CameraSettings()
    memory.set("desk", CameraSettings(enabled=False))
    assert SettingsStore(path).switches("desk") == CameraSettings(enabled=False)


def test_of_a_camera_only_what_is_right_is_taken(tmp_path):
    path = tmp_path / "switches.json"
    given = {"enabled": "no", "buzzer": False, "sensitivity": 1000, "more": 1}
    path.write_text(json.dumps({"v": 1, "cameras": {"desk": given, "door": {"sensitivity": "nan"}}}))
    memory = SettingsStore(path)
    assert memory.switches("desk") == CameraSettings(True, False, 50.0)
    assert memory.switches("door") == CameraSettings()


def test_a_folder_that_cannot_be_written_is_told_and_the_switch_holds_until_the_restart(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    memory = SettingsStore(tmp_path / "file" / "switches.json")
    memory.set("desk", CameraSettings(enabled=False))
    assert memory.switches("desk") == CameraSettings(enabled=False)
    assert "not kept" in caplog.text


def test_two_ferds_on_one_machine_do_not_share_it(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    SettingsStore.of(None).set("desk", CameraSettings(enabled=False))
    assert SettingsStore.of("second").switches("desk") == CameraSettings()
    assert SettingsStore.of(None).switches("desk") == CameraSettings(enabled=False)
