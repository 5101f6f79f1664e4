"""What systemd is sent: readiness, the status line, and a sign of life that comes of real work only."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from output_snapshots import camera, snapshot

from ferd.outputs.systemd import STATUS_EVERY_S, Systemd, SystemdSink
from ferd.settings_store import CameraSettings


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@ferd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(name.replace("@", "\0") if request.param == "abstract" else name)
        line.settimeout(0.2)
        yield line, name


def received(line: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(line.recv(4096).decode())
        except TimeoutError:
            return messages


def test_a_life(manager: tuple[socket.socket, str]):
    line, name = manager
    systemd = Systemd({"NOTIFY_SOCKET": name})
    systemd.ready("2 cameras")
    systemd.status("camera lost\nreopening")
    systemd.progress()
    systemd.stopping()
    assert received(line) == ["READY=1\nSTATUS=2 cameras", "STATUS=camera lost reopening", "STOPPING=1"]


def test_the_watchdog_is_fed_by_progress_only_and_a_few_times_in_its_period(manager: tuple[socket.socket, str]):
    line, name = manager
    now = 0.0
    systemd = Systemd({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"}, clock=lambda: now)
    systemd.ready("")
    for now in (0.0, 5.0, 9.9, 10.0, 19.0, 60.0):  # noqa: B007  # the clock reads it
        systemd.progress()
    assert received(line)[1:] == ["WATCHDOG=1"] * 3


@pytest.mark.parametrize("more", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}])
def test_the_watchdog_of_another_process_is_not_fed(manager: tuple[socket.socket, str], more: dict[str, str]):
    line, name = manager
    Systemd({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000", **more}).progress()
    assert received(line) == []


def test_our_own_pid_is_fed(manager: tuple[socket.socket, str]):
    line, name = manager
    Systemd({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}).progress()
    assert received(line) == ["WATCHDOG=1"]


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_without_systemd_nothing_happens(environ: dict[str, str]):
    systemd = Systemd({**environ, "WATCHDOG_USEC": "1000000"})
    systemd.ready("here")
    systemd.progress()
    systemd.stopping()


class Recorder(Systemd):
    """Collects what would be sent; the watchdog may be fed at any time."""

    def __init__(self) -> None:
        super().__init__({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "1"}, clock=iter(range(10**6)).__next__)
        self.sent: list[str] = []

    def _send(self, text: str) -> bool:
        self.sent.append(text)
        return True

    def take(self) -> list[str]:
        sent, self.sent = self.sent, []
        return sent


class Bench:
    """A sink and the snapshot that it was given last."""

    def __init__(self, thermal: Path) -> None:
        self.systemd, self.connected, self.last = Recorder(), False, None
        self.sink = SystemdSink(lambda: self.connected, systemd=self.systemd, thermal=thermal)

    def update(self, *cameras, **keys) -> list[str]:
        after = snapshot(*cameras, **keys)
        self.sink.update(self.last, after, ())
        self.last = after
        return self.systemd.take()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_ready_is_sent_once_and_then_a_status_line_every_ten_seconds(bench: Bench):
    desk, door = camera("desk", "starting"), camera("door", "offline")
    assert bench.update(desk, door, at=95.0) == []
    assert bench.update(camera("desk"), door, at=100.0, ready=True) == [
        "READY=1\nSTATUS=desk=online door=offline broker=away"
    ]
    bench.connected = True
    assert bench.update(camera("desk"), door, at=100.0 + STATUS_EVERY_S - 0.1, ready=True) == []
    later = bench.update(camera("desk", frames=149), door, at=110.0, ready=True)
    assert later == ["WATCHDOG=1", "STATUS=desk=online fps=14.9 door=offline broker=connected"]
    new = bench.update(camera("hall", frames=5), at=120.0, ready=True)
    assert new[-1] == "STATUS=hall=online broker=connected", "a new camera has no rate yet"
    bench.sink.stop()
    assert bench.systemd.take() == ["STOPPING=1"]


def test_the_status_line_shows_heat(tmp_path: Path, bench: Bench):
    zone = tmp_path / "thermal_zone0"
    zone.mkdir()
    (zone / "type").write_text("cpu-thermal\n")
    (zone / "temp").write_text("61800\n")
    (line,) = bench.update(camera("desk"), ready=True, throttled=True)
    assert line.endswith("broker=away temperature_c=62 throttled=yes")


def test_the_watchdog_is_fed_by_frames_and_by_attempts_to_open_a_camera(bench: Bench):
    assert bench.update(camera("a")) == []
    assert bench.update(camera("a", frames=1)) == ["WATCHDOG=1"]
    assert bench.update(camera("a", frames=1)) == [], "a loop that turns without a frame is no progress"
    assert bench.update(camera("a", frames=1, skipped=9)) == []
    assert bench.update(camera("a", frames=1, attempts=1)) == ["WATCHDOG=1"]


def test_a_camera_that_goes_away_does_not_hide_the_work_of_the_others(bench: Bench):
    bench.update(camera("a", frames=1000), camera("b", frames=10))
    assert bench.update(camera("b", frames=10)) == []
    assert bench.update(camera("b", frames=11)) == ["WATCHDOG=1"]


def test_with_all_cameras_switched_off_there_is_nothing_to_wait_for(bench: Bench):
    off = CameraSettings(enabled=False)
    assert bench.update(camera("a", "disabled", settings=off)) == ["WATCHDOG=1"]
    assert bench.update(camera("a", "online", settings=off)) == [], "it is not closed yet: its thread may hang"
