from __future__ import annotations

import json

import pytest

from ferd.settings_store import CameraSettings, SettingsStore


def test_settings_survive_a_restart(tmp_path):
    store = SettingsStore(tmp_path / "state" / "switches.json")
    assert store.switches("desk") == CameraSettings(True, True, 50.0)
    store.set("desk", CameraSettings(False, True, 70.0))
    store.set("door", CameraSettings(True, False))
    again = SettingsStore(tmp_path / "state" / "switches.json")
    assert again.switches("desk") == CameraSettings(False, True, 70.0)
    assert again.switches("door") == CameraSettings(True, False, 50.0)


def test_the_file_is_written_only_when_something_changed(tmp_path):
    path = tmp_path / "switches.json"
    store = SettingsStore(path)
    store.set("desk", CameraSettings())
    assert not path.exists()
    store.set("desk", CameraSettings(enabled=False))
    before = path.stat().st_mtime_ns
    store.set("desk", CameraSettings(enabled=False))
    assert path.stat().st_mtime_ns == before
    assert [file.name for file in tmp_path.iterdir()] == ["switches.json"]


def test_the_write_is_handed_over_and_the_latest_settings_win(tmp_path):
    path = tmp_path / "switches.json"
    queue = []
    store = SettingsStore(path, submit=queue.append)
    for sensitivity in (60, 70, 80, 90):
        store.set("desk", CameraSettings(sensitivity=sensitivity))
    store.set("door", CameraSettings(enabled=False))
    assert store.switches("desk").sensitivity == 90, "valid at once"
    assert not path.exists(), "nothing is written by the thread that calls"
    assert len(queue) == 1, "at most one write is pending"
    queue.pop()()
    assert SettingsStore(path).switches("desk").sensitivity == 90
    assert not SettingsStore(path).switches("door").enabled
    store.set("desk", CameraSettings(sensitivity=10))
    queue.pop()()
    assert SettingsStore(path).switches("desk").sensitivity == 10


def test_after_a_refused_write_the_next_change_is_submitted_again(tmp_path):
    refuse, queue = True, []

    def submit(write):
        if refuse:
            raise RuntimeError("closed")
        queue.append(write)

    store = SettingsStore(tmp_path / "switches.json", submit=submit)
    with pytest.raises(RuntimeError):
        store.set("desk", CameraSettings(enabled=False))
    refuse = False
    store.set("desk", CameraSettings(buzzer=False))
    assert len(queue) == 1


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"cameras":[]}', '{"cameras":{"desk":3}}', "[" * 30000, '{"cameras":{"desk":null}}', "\0"],
)
def test_a_broken_file_is_logged_and_replaced(tmp_path, caplog, text):
    path = tmp_path / "switches.json"
    path.write_text(text)
    store = SettingsStore(path)
    assert "reset to defaults" in caplog.text
    assert store.switches("desk") == CameraSettings()
    store.set("desk", CameraSettings(enabled=False))
    assert SettingsStore(path).switches("desk") == CameraSettings(enabled=False)


def test_only_valid_values_of_a_camera_are_used(tmp_path):
    path = tmp_path / "switches.json"
    given = {"enabled": "no", "buzzer": False, "sensitivity": 1000, "more": 1}
    path.write_text(json.dumps({"v": 1, "cameras": {"desk": given, "door": {"sensitivity": "nan"}}}))
    store = SettingsStore(path)
    assert store.switches("desk") == CameraSettings(True, False, 50.0)
    assert store.switches("door") == CameraSettings()


def test_a_folder_that_cannot_be_written_is_logged_and_the_setting_lasts_until_the_restart(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    store = SettingsStore(tmp_path / "file" / "switches.json")
    store.set("desk", CameraSettings(enabled=False))
    assert store.switches("desk") == CameraSettings(enabled=False)
    assert "not saved" in caplog.text


def test_two_ferds_on_one_machine_have_separate_files(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    SettingsStore.of(None).set("desk", CameraSettings(enabled=False))
    assert SettingsStore.of("second").switches("desk") == CameraSettings()
    assert SettingsStore.of(None).switches("desk") == CameraSettings(enabled=False)


def test_a_switch_that_is_turned_ten_times_a_second_is_written_once_a_second(tmp_path):
    path, now, later = tmp_path / "switches.json", [0.0], []
    written = []

    def submit(write):
        written.append(now[0])
        write()

    store = SettingsStore(path, submit, lambda write, delay_s: later.append((now[0] + delay_s, write)), lambda: now[0])
    for step in range(100):
        now[0] = step / 10
        for at, write in [job for job in later if job[0] <= now[0]]:
            later.remove((at, write))
            submit(write)
        store.set("desk", CameraSettings(enabled=step % 2 == 0, sensitivity=step))
    for _, write in later:
        write()
    assert 9 <= len(written) <= 11
    assert SettingsStore(path).switches("desk").sensitivity == 99


def test_tuned_gestures_survive_a_restart(tmp_path):
    path = tmp_path / "switches.json"
    SettingsStore(path).set("desk", CameraSettings(gestures={"nod": 9.0, "tilt_left": 12.5}))
    assert SettingsStore(path).switches("desk").gestures == {"nod": 9.0, "tilt_left": 12.5}
    assert SettingsStore(path).switches("door").gestures == {}


@pytest.mark.parametrize(
    "damaged", [{"nod": 99}, {"nod": "9"}, {"nod": None}, {"wave": 9}, [], "nod", 7, {"nod": 9, "smile": -1}]
)
def test_damaged_thresholds_are_said_and_ignored_and_the_switches_stay(tmp_path, caplog, damaged):
    path = tmp_path / "switches.json"
    path.write_text(json.dumps({"v": 1, "cameras": {"desk": {"enabled": False, "gestures": damaged}}}))
    settings = SettingsStore(path).switches("desk")
    assert settings == CameraSettings(enabled=False)
    if damaged != []:
        assert "thresholds of gestures reset to defaults" in caplog.text
        assert f"file={path} camera=desk" in caplog.text
