"""examples/fleet/store.py between a real mosquitto and a real PostgreSQL, with a real ferd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import Ear, Mosquitto, mosquitto, wait_for
from ferd_process import broker_environ, ferd
from postgres import Postgres

PROGRAM = Path(__file__).parents[3] / "examples/fleet/store.py"
PYTHON = os.environ.get("FERD_TEST_FLEET_PYTHON", sys.executable)
LONG_S = 60.0
"""Bounds are generous: a busy machine takes seconds where an idle one takes milliseconds."""


@pytest.fixture(scope="module", autouse=True)
def _its_libraries() -> None:
    done = subprocess.run([PYTHON, "-c", "import paho.mqtt, psycopg"], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("psycopg is missing: pip install -r examples/fleet/requirements.txt, or FERD_TEST_FLEET_PYTHON")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path, more=["persistence true", f"persistence_location {tmp_path}/"]) as broker:
        yield broker


@contextmanager
def store(broker: Mosquitto, database: Postgres, folder: Path) -> Iterator[Path]:
    """Runs it; yields its log."""
    log = folder / f"store-{time.monotonic_ns()}.log"
    command = [PYTHON, str(PROGRAM), "--database", database.dsn, "--port", str(broker.port), "--site", "lab"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_for(lambda: "subscribed" in log.read_text(), LONG_S, "store.py does not subscribe")
        yield log
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(20)


def event(number: int) -> str:
    at = "2026-11-22T11:37:33.120Z"
    return json.dumps({"v": 1, "event_type": "gesture", "id": f"id-{number}", "gesture": "nod", "track": 1, "at": at})


def events(database: Postgres) -> int:
    return int(database.value("SELECT count(*) FROM ferd.event"))


def test_a_real_ferd_is_stored(tmp_path: Path, broker: Mosquitto, database: Postgres) -> None:
    with (
        store(broker, database, tmp_path) as log,
        ferd("run", "--source", "demo", folder=tmp_path, environ=broker_environ(broker.port)) as daemon,
    ):
        whole = """
            SELECT count(*) FROM ferd.node_silence
            JOIN ferd.camera USING (site, node) JOIN ferd.health USING (site, node)
            WHERE site = 'lab' AND node = 'test-pi' AND node_silence.status = 'online' AND camera.status = 'online'
              AND version IS NOT NULL"""
        wait_for(lambda: database.value(whole) != "0", LONG_S, f"{daemon.log}\n{log.read_text()}")
        wait_for(lambda: events(database) > 1, LONG_S, f"{daemon.log}\n{log.read_text()}")


def test_what_comes_while_it_is_away_is_stored_later_and_once(
    tmp_path: Path, broker: Mosquitto, database: Postgres
) -> None:
    with Ear(broker.port) as mouth:
        with store(broker, database, tmp_path):
            mouth.say("berlin/ferd/hall-pi/desk/event", event(0))
            wait_for(lambda: events(database) == 1, LONG_S)
        for number in range(50):
            mouth.say("berlin/ferd/hall-pi/desk/event", event(number))
        with store(broker, database, tmp_path) as log:
            wait_for(lambda: events(database) == 50, LONG_S, log.read_text())


def test_what_comes_while_the_database_is_away_is_stored_later(
    tmp_path: Path, broker: Mosquitto, server: Postgres, database: Postgres
) -> None:
    with Ear(broker.port) as mouth, store(broker, database, tmp_path) as log:
        mouth.say("ferd/hall-pi/desk/event", event(0))
        wait_for(lambda: events(database) == 1, LONG_S)
        server.stop()
        try:
            for number in range(1, 50):
                mouth.say("ferd/hall-pi/desk/event", event(number))
            wait_for(lambda: "trying again" in log.read_text(), LONG_S)
        finally:
            server.start()
        wait_for(lambda: events(database) == 50, LONG_S, log.read_text())


def test_a_message_that_is_none_of_ferd_is_dropped_and_named(
    tmp_path: Path, broker: Mosquitto, database: Postgres
) -> None:
    with Ear(broker.port) as mouth, store(broker, database, tmp_path) as log:
        for number, payload in enumerate([event(0), "{", "\0", event(1), "5", event(2)]):
            mouth.say(f"ferd/hall-pi/cam-{number}/event", payload)
        wait_for(lambda: events(database) == 3, LONG_S, log.read_text())
        wait_for(lambda: "ferd/hall-pi/cam-1/event is dropped: invalid input syntax" in log.read_text(), LONG_S)
    assert log.read_text().count("is dropped") == 3


def test_a_database_without_the_schema_ends_it_with_the_remedy(
    tmp_path: Path, broker: Mosquitto, database: Postgres
) -> None:
    database.rows("SELECT 1 AS one")
    dsn = database.dsn.replace("dbname=postgres", "dbname=template1")
    with Ear(broker.port) as mouth:
        mouth.say("ferd/hall-pi/status", "online", retain=True)
        command = [PYTHON, str(PROGRAM), "--database", dsn, "--port", str(broker.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONG_S, check=False)
    assert done.returncode == 1
    assert "Was schema.sql run in it" in done.stderr
