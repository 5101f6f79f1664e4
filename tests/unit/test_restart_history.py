"""The last rung: when a camera's driver hangs for good, and when ferd must not be started anew for it."""

import json

import pytest

from ferd.restart_history import (
    FILE,
    FIRST_PAUSE_S,
    FORGOTTEN_S,
    HANGS_S,
    LONGEST_PAUSE_S,
    OTHERS_WATCH,
    RestartHistory,
    RestartPolicy,
)
from ferd.sources.supervisor import Report, State

HUNG = Report(State.OFFLINE, hung=1, hanging_since=100.0, in_vain=1, last_error="no picture for 2 s")
WELL = Report(State.ONLINE)


@pytest.fixture
def recovery(tmp_path):
    return RestartPolicy(tmp_path / FILE)


def test_a_hang_gets_time_to_come_back(recovery):
    assert recovery.due({"desk": HUNG}, 100 + HANGS_S - 1) is None
    assert recovery.due({"desk": HUNG}, 100 + HANGS_S) == "desk"


@pytest.mark.parametrize(
    "report",
    [
        Report(State.OFFLINE, failures=9, last_error="unplugged"),  # nothing hangs: opening again is all that helps
        Report(State.ONLINE, hung=1, hanging_since=100.0, in_vain=1),  # a new attempt works beside the hung one
        Report(State.OFFLINE, hung=1, hanging_since=100.0),  # it was not yet built anew
        Report(State.STARTING, hanging_since=100.0, in_vain=1),
    ],
)
def test_what_needs_no_restart(recovery, report):
    assert recovery.due({"desk": report}, 1e6) is None


def test_longer_patience_while_another_camera_works(recovery):
    both = {"door": WELL, "desk": HUNG}
    assert recovery.due(both, 100 + OTHERS_WATCH * HANGS_S - 1) is None
    assert recovery.due(both, 100 + OTHERS_WATCH * HANGS_S) == "desk"


def test_nobody_would_start_it_again():
    assert RestartPolicy(None).due({"desk": HUNG}, 1e6) is None
    assert RestartPolicy.of({}).due({"desk": HUNG}, 1e6) is None
    assert RestartPolicy.of({"RUNTIME_DIRECTORY": "/nowhere"}).due({"desk": HUNG}, 1e6) is None, "by hand, in a folder"


def test_a_camera_that_stays_broken_restarts_ferd_more_and_more_seldom(recovery):
    now, pauses = 1000.0, []
    for _ in range(9):
        due = now
        while not recovery.past("desk").may_restart(due):
            due += 1
        pauses.append(due - now)
        now = due
        assert recovery.note("desk", "hangs", now)
    assert pauses == [0, FIRST_PAUSE_S, 120, 240, 480, 960, 1920, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert recovery.note("desk", "hangs", now + FORGOTTEN_S + 1)
    assert recovery.past("desk").row == 1
    assert recovery.past("desk").restarts == 10


def test_it_outlasts_the_restart(tmp_path, recovery):
    assert recovery.note("desk", "no picture " * 99, 100.0)
    again = RestartPolicy.of({"RUNTIME_DIRECTORY": str(tmp_path), "NOTIFY_SOCKET": "/run/n"})
    assert again.past("desk") == recovery.past("desk")
    assert again.past("desk").reason.startswith("no picture no picture")
    assert again.past("door") == RestartHistory()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"desk": 1}', '{"desk": {"row": "x"}}', json.dumps({"desk": {}})])
def test_a_note_that_cannot_be_read_is_told_and_begins_anew(tmp_path, text, caplog):
    (tmp_path / FILE).write_text(text)
    assert RestartPolicy(tmp_path / FILE).past("desk") == RestartHistory()
    assert "recoveries begin anew" in caplog.text


def test_without_a_note_no_restart(tmp_path, caplog):
    """It could go on for ever, since nobody would count."""
    (tmp_path / "file").touch()
    recovery = RestartPolicy(tmp_path / "file" / FILE)
    assert not recovery.note("desk", "hangs", 1.0)
    assert "no restart for a hung camera" in caplog.text
