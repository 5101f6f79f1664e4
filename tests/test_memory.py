from __future__ import annotations

import json

import pytest

from ferd.memory import Memory, Switches


def test_what_was_set_is_there_after_a_restart(tmp_path):
    memory = Memory(tmp_path / "state" / "switches.json")
    assert memory.switches("desk") == Switches(True, True, 50.0)
    memory.set("desk", Switches(False, True, 70.0))
    memory.set("door", Switches(True, False))
    again = Memory(tmp_path / "state" / "switches.json")
    assert again.switches("desk") == Switches(False, True, 70.0)
    assert again.switches("door") == Switches(True, False, 50.0)


def test_it_is_written_only_when_something_changed(tmp_path):
    path = tmp_path / "switches.json"
    memory = Memory(path)
    memory.set("desk", Switches())
    assert not path.exists()
    memory.set("desk", Switches(enabled=False))
    before = path.stat().st_mtime_ns
    memory.set("desk", Switches(enabled=False))
    assert path.stat().st_mtime_ns == before
    assert [file.name for file in tmp_path.iterdir()] == ["switches.json"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"cameras":[]}', '{"cameras":{"desk":3}}', "[" * 30000, '{"cameras":{"desk":null}}', "\0"],
)
def test_a_broken_file_is_told_and_begins_anew(tmp_path, caplog, text):
    path = tmp_path / "switches.json"
    path.write_text(text)
    memory = Memory(path)
    assert "begin anew" in caplog.text
    assert memory.switches("desk") == Switches()
    memory.set("desk", Switches(enabled=False))
    assert Memory(path).switches("desk") == Switches(enabled=False)


def test_of_a_camera_only_what_is_right_is_taken(tmp_path):
    path = tmp_path / "switches.json"
    given = {"enabled": "no", "buzzer": False, "sensitivity": 1000, "more": 1}
    path.write_text(json.dumps({"v": 1, "cameras": {"desk": given, "door": {"sensitivity": "nan"}}}))
    memory = Memory(path)
    assert memory.switches("desk") == Switches(True, False, 50.0)
    assert memory.switches("door") == Switches()


def test_a_folder_that_cannot_be_written_is_told_and_the_switch_holds_until_the_restart(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    memory = Memory(tmp_path / "file" / "switches.json")
    memory.set("desk", Switches(enabled=False))
    assert memory.switches("desk") == Switches(enabled=False)
    assert "not kept" in caplog.text


def test_two_ferds_on_one_machine_do_not_share_it(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    Memory.of(None).set("desk", Switches(enabled=False))
    assert Memory.of("second").switches("desk") == Switches()
    assert Memory.of(None).switches("desk") == Switches(enabled=False)
