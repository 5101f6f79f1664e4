"""A main loop that stops is noticed by everybody who relies on it, and nobody claims to be watching."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from pathlib import Path

from brokers import Ear, mosquitto, wait_for
from ferd_process import broker_environ, ferd

PROGRAM = (str(Path(__file__).parent / "ferd_that_stops.py"),)
CONFIGURATION = """
[fatigue]
enabled = true

[buzzer]
pin = 18
status_led_pin = 23

[web]
enabled = true
port = {port}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.HTTPError, OSError):
        return False


def test_a_loop_that_stops_is_heard_published_and_unhealthy(tmp_path: Path):
    """It used to be 117 s of "online", LED on, /healthz ok and a silent buzzer."""
    file, stop, record, port = tmp_path / "ferd.toml", tmp_path / "stop", tmp_path / "record", free_port()
    file.write_text(CONFIGURATION.format(port=port))

    def last(output: str) -> str:
        lines = [line.split() for line in record.read_text().splitlines()] if record.exists() else []
        return next((line[2] for line in reversed(lines) if line[1] == output), "")

    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear:
        environ = broker_environ(broker.port) | {"STOP_FILE": str(stop), "FERD_BUZZER_RECORD": str(record)}
        arguments = ("run", "--config", str(file), "--source", "demo")
        with ferd(*arguments, folder=tmp_path, environ=environ, program=PROGRAM) as daemon:
            ear.wait("ferd/test-pi/camera/status", "online", timeout_s=30)
            wait_for(lambda: healthy(port), 20, daemon.log)
            wait_for(lambda: last("watching") == "on", 10)
            stop.touch()
            ear.wait("ferd/test-pi/camera/status", "offline", timeout_s=20)
            wait_for(lambda: "plays=blind" in daemon.log, 10, daemon.log)
            wait_for(lambda: last("watching") == "off", 10)
            wait_for(lambda: not healthy(port), 10)
            stop.unlink()
            ear.wait("ferd/test-pi/camera/status", "online", timeout_s=20)
            wait_for(lambda: healthy(port), 20, daemon.log)
            wait_for(lambda: last("watching") == "on", 10)
            code = daemon.stop()
            assert code == 0, daemon.log
