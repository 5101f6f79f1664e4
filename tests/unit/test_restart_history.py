"""When a camera driver that hangs for good requires a restart of ferd, and when it does not."""

import json

import pytest

from ferd.restart_history import (
    FILE,
    FIRST_PAUSE_S,
    FORGET_AFTER_S,
    HUNG_FOR_GOOD_S,
    LONGEST_PAUSE_S,
    PATIENCE_FACTOR,
    REQUESTS,
    REQUESTS_WINDOW_S,
    RequestedRestarts,
    RestartHistory,
    RestartPolicy,
)
from ferd.sources.supervisor import CameraReport, CameraState

HUNG = CameraReport(
    CameraState.OFFLINE, hung=1, hanging_since=100.0, failures_since_hang=1, last_error="no picture for 2 s"
)
WELL = CameraReport(CameraState.ONLINE)


@pytest.fixture
def policy(tmp_path):
    return RestartPolicy(tmp_path / FILE)


def test_a_hang_gets_time_to_come_back(policy):
    assert policy.due({"desk": HUNG}, 100 + HUNG_FOR_GOOD_S - 1) is None
    assert policy.due({"desk": HUNG}, 100 + HUNG_FOR_GOOD_S) == "desk"


@pytest.mark.parametrize(
    "report",
    [
        CameraReport(CameraState.OFFLINE, failures=9, last_error="unplugged"),  # nothing hangs
        CameraReport(CameraState.ONLINE, hung=1, hanging_since=100.0, failures_since_hang=1),  # a new one works
        CameraReport(CameraState.OFFLINE, hung=1, hanging_since=100.0),  # no new attempt has failed yet
        CameraReport(CameraState.STARTING, hanging_since=100.0, failures_since_hang=1),
    ],
)
def test_what_needs_no_restart(policy, report):
    assert policy.due({"desk": report}, 1e6) is None


def test_longer_patience_while_another_camera_works(policy):
    both = {"door": WELL, "desk": HUNG}
    assert policy.due(both, 100 + PATIENCE_FACTOR * HUNG_FOR_GOOD_S - 1) is None
    assert policy.due(both, 100 + PATIENCE_FACTOR * HUNG_FOR_GOOD_S) == "desk"


def test_without_systemd_nobody_would_start_it_again():
    assert RestartPolicy(None).due({"desk": HUNG}, 1e6) is None
    assert RestartPolicy.of({}).due({"desk": HUNG}, 1e6) is None
    assert RestartPolicy.of({"RUNTIME_DIRECTORY": "/nowhere"}).due({"desk": HUNG}, 1e6) is None, "by hand, in a folder"


def test_a_camera_that_stays_broken_restarts_ferd_less_and_less_often(policy):
    now, pauses = 1000.0, []
    for _ in range(9):
        due = now
        while not policy.history("desk").may_restart(due):
            due += 1
        pauses.append(due - now)
        now = due
        assert policy.note("desk", "hangs", now)
    assert pauses == [0, FIRST_PAUSE_S, 120, 240, 480, 960, 1920, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert policy.note("desk", "hangs", now + FORGET_AFTER_S + 1)
    assert policy.history("desk").row == 1
    assert policy.history("desk").restarts == 10


def test_the_history_survives_the_restart(tmp_path, policy):
    assert policy.note("desk", "no picture " * 99, 100.0)
    again = RestartPolicy.of({"RUNTIME_DIRECTORY": str(tmp_path), "NOTIFY_SOCKET": "/run/n"})
    assert again.history("desk") == policy.history("desk")
    assert again.history("desk").reason.startswith("no picture no picture")
    assert again.history("door") == RestartHistory()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"desk": 1}', '{"desk": {"row": "x"}}', json.dumps({"desk": {}})])
def test_a_note_that_cannot_be_read_is_reported_and_dropped(tmp_path, text, caplog):
    (tmp_path / FILE).write_text(text)
    assert RestartPolicy(tmp_path / FILE).history("desk") == RestartHistory()
    assert "restart history is lost" in caplog.text


def test_without_a_note_no_restart(tmp_path, caplog):
    """It could repeat without end, since nothing would count it."""
    (tmp_path / "file").touch()
    policy = RestartPolicy(tmp_path / "file" / FILE)
    assert not policy.note("desk", "hangs", 1.0)
    assert "no restart for a hung camera" in caplog.text


class TestRequestedRestarts:
    def test_without_systemd_there_is_no_limit(self, tmp_path):
        count = RequestedRestarts.of({"RUNTIME_DIRECTORY": str(tmp_path)})
        for _ in range(50):
            count.note(1.0)
        assert count.wait_s(1.0) == 0

    def test_they_are_counted_over_processes_and_forgotten(self, tmp_path):
        environ = {"RUNTIME_DIRECTORY": str(tmp_path), "NOTIFY_SOCKET": "/run/nobody"}
        for number in range(REQUESTS):
            assert RequestedRestarts.of(environ).wait_s(float(number)) == 0
            RequestedRestarts.of(environ).note(float(number))
        assert RequestedRestarts.of(environ).wait_s(20.0) == REQUESTS_WINDOW_S - 20
        assert RequestedRestarts.of(environ).wait_s(REQUESTS_WINDOW_S) == 0

    def test_a_broken_file_or_another_boot_counts_nothing(self, tmp_path):
        file = tmp_path / "requested-restarts.json"
        for text in ("", "[", '{"a": 1}', "[1e9, 1e9]", '["x"]'):
            file.write_text(text)
            assert RequestedRestarts(file).wait_s(5.0) == 0
