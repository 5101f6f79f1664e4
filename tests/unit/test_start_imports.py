"""What a configuration does not use is not loaded: it would cost memory and delay the start."""

import json
import os
import subprocess
import sys

import pytest

CODE = """
import json, pathlib, sys
import ferd.cli.run
from ferd.app import Application
from ferd.config import load_config
from ferd.sources.factory import open_source

config = load_config(pathlib.Path(sys.argv[1]), {})
daemon = Application(config)
for camera in config.cameras.values():
    open_source(camera, live=True)
print(json.dumps(sorted(sys.modules)))
"""
MJPEG = """
[cameras.desk]
source = "http://127.0.0.1:9/video"
"""
UNUSED = {
    "av": "decodes video streams and files only",
    "sqlite3": "stores events with mqtt.persist_events only",
    "fastapi": "the page",
    "starlette": "the page",
    "uvicorn": "the page",
    "tomlkit": "the page",
    "asyncio": "the page",
    "amqtt": "the broker of --try",
    "rich": "the screen of --try",
    "PIL": "HEIC pictures",
    "gpiozero": "pins",
    "picamera2": "the Pi camera",
    "matplotlib": "plots",
    "tensorflow": "importing models",
    "google.protobuf": "LiteRT's other interfaces",
    "multiprocessing": "nothing",
    "xml": "nothing",
    "ferd.evaluation": "bench and model eval",
    "ferd.models.finetune": "model teach",
    "ferd.models.importer": "model add",
    "ferd.diagnostics": "doctor",
    "ferd.outputs.terminal": "the screen of --try",
    "ferd.outputs.mqtt.event_store": "mqtt.persist_events",
}


@pytest.fixture
def loaded(tmp_path):
    """Return a function: text of a configuration -> names of all modules that the service has loaded with it."""

    def run(text: str) -> set[str]:
        file = tmp_path / "ferd.toml"
        file.write_text(text)
        environ = {**os.environ, "STATE_DIRECTORY": str(tmp_path), "RUNTIME_DIRECTORY": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", CODE, str(file)], check=False, capture_output=True, text=True, env=environ
        )
        assert done.returncode == 0, done.stderr
        return set(json.loads(done.stdout.splitlines()[-1]))

    return run


def test_one_mjpeg_camera_loads_only_what_it_needs(loaded):
    names = loaded(MJPEG)
    assert {"cv2", "numpy", "ferd.sources.http", "ferd.vision.pipeline"} <= names
    assert {name: why for name, why in UNUSED.items() if name in names} == {}


def test_events_that_are_stored_load_the_database(loaded):
    """Shows that the test above would notice it."""
    assert "sqlite3" in loaded(MJPEG + "\n[mqtt]\npersist_events = true\n")
