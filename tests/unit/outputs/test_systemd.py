from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferd.outputs.systemd import Systemd


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@ferd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(name.replace("@", "\0") if request.param == "abstract" else name)
        line.settimeout(0.2)
        yield line, name


def heard(line: socket.socket) -> list[str]:
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
    assert heard(line) == ["READY=1\nSTATUS=2 cameras", "STATUS=camera lost reopening", "STOPPING=1"]


def test_the_watchdog_is_fed_by_progress_only_and_a_few_times_in_its_period(manager: tuple[socket.socket, str]):
    line, name = manager
    now = 0.0
    systemd = Systemd({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"}, clock=lambda: now)
    systemd.ready("")
    for now in (0.0, 5.0, 9.9, 10.0, 19.0, 60.0):  # noqa: B007  # the clock reads it
        systemd.progress()
    assert heard(line)[1:] == ["WATCHDOG=1"] * 3


@pytest.mark.parametrize("more", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}])
def test_a_watchdog_that_is_not_ours_is_not_fed(manager: tuple[socket.socket, str], more: dict[str, str]):
    line, name = manager
    Systemd({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000", **more}).progress()
    assert heard(line) == []


def test_our_own_pid_is_fed(manager: tuple[socket.socket, str]):
    line, name = manager
    Systemd({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}).progress()
    assert heard(line) == ["WATCHDOG=1"]


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_without_systemd_nothing_happens(environ: dict[str, str]):
    systemd = Systemd({**environ, "WATCHDOG_USEC": "1000000"})
    systemd.ready("here")
    systemd.progress()
    systemd.stopping()
