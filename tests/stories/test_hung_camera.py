"""A call to libcamera that never returns: the camera is opened again, then ferd ends for systemd to restart it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from brokers import Ear, mosquitto, wait_for
from ferd_process import broker_environ, ferd

from ferd.errors import EXIT_RESTART

NODE = "ferd/test-pi"
PROGRAM = Path(__file__).parent / "ferd_with_a_hung_camera.py"


@pytest.fixture
def broker(tmp_path):
    with mosquitto(tmp_path) as broker:
        yield broker


def test_a_hung_driver_ends_in_a_new_process_which_reports_why(tmp_path, broker):
    well = tmp_path / "well"
    environ = broker_environ(broker.port) | {
        "NOTIFY_SOCKET": str(tmp_path / "nobody"),
        "RUNTIME_DIRECTORY": str(tmp_path),
    }
    run = {"folder": tmp_path, "environ": environ, "program": (str(PROGRAM), str(well))}
    with Ear(broker.port) as ear:
        with ferd("run", "--source", "picamera2", **run) as daemon:
            ear.wait(f"{NODE}/camera/status", "online", 20)
            assert daemon.process.wait(30) == EXIT_RESTART, daemon.log
            assert "a camera hangs in its driver, so the process restarts" in daemon.log
            assert "An earlier call of ferd's own still hangs" in daemon.log, "it was opened again before, in vain"
            ear.wait(f"{NODE}/status", "offline")
        well.touch()
        with ferd("run", "--source", "picamera2", **run) as daemon:
            wait_for(lambda: ear.payloads(f"{NODE}/camera/status")[-1] == "online", 20, daemon.log)
            before = len(ear.payloads(f"{NODE}/health"))
            wait_for(lambda: len(ear.payloads(f"{NODE}/health")) > before, 20, daemon.log)
            health = json.loads(ear.payloads(f"{NODE}/health")[-1])["cameras"]["camera"]
            assert (health["restarts"], health["rebuilt"], health["reopened"]) == (1, 0, 0)
            assert health["reason"].startswith("picamera2 camera 0: no picture for 2 s"), (
                "why it hung, not what followed"
            )
            assert daemon.stop() == 0


def test_without_systemd_it_continues_to_run(tmp_path, broker):
    """Nothing would start it again, and the other cameras still work."""
    environ = broker_environ(broker.port)
    program = (str(PROGRAM), str(tmp_path / "well"))
    with Ear(broker.port) as ear:
        with ferd("run", "--source", "picamera2", folder=tmp_path, environ=environ, program=program) as daemon:
            ear.wait(f"{NODE}/camera/status", "online", 20)
            wait_for(lambda: daemon.log.count("camera offline") >= 2, 30, daemon.log)
            wait_for(lambda: ear.payloads(f"{NODE}/health"), 20, daemon.log)
            health = json.loads(ear.payloads(f"{NODE}/health")[-1])["cameras"]["camera"]
            assert health["rebuilt"] >= 1
            assert health["restarts"] == 0
            assert daemon.process.poll() is None
            assert daemon.stop() == 0
