"""Store and forward in the real process: the broker is away, ferd dies, and nothing that happened is lost."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from brokers import Ear, mosquitto, wait_for
from ferd_process import Ferd, broker_environ, ferd

TOPIC = "ferd/test-pi/camera/event"
START_S = 30.0


def on_disk(folder: Path) -> list[dict[str, Any]]:
    """The events in the journal's file, read from a copy as a power cut would leave it."""
    copy = folder / f"copy-{time.monotonic_ns()}"
    copy.mkdir()
    for name in ("journal.db", "journal.db-wal"):
        with suppress(FileNotFoundError):  # not made yet, or just gone
            shutil.copy(folder / "ferd" / name, copy)
    db = sqlite3.connect(copy / "journal.db")
    try:
        return [json.loads(payload) for (payload,) in db.execute("SELECT payload FROM message ORDER BY number")]
    except sqlite3.DatabaseError:  # not made yet, or copied while it was written
        return []
    finally:
        db.close()


def told(ear: Ear) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in ear.payloads(TOPIC)]


def first_told(ear: Ear) -> list[str]:
    """The ids in the order in which each came for the first time."""
    return list(dict.fromkeys(event["id"] for event in told(ear)))


def wait_for_events(daemon: Ferd, folder: Path, count: int) -> list[str]:
    wait_for(lambda: len(on_disk(folder)) >= count, START_S, daemon.log)
    return [event["id"] for event in on_disk(folder)]


def test_two_kills_while_the_broker_is_away_lose_nothing(tmp_path: Path):
    with mosquitto(tmp_path, started=False) as broker:
        environ = broker_environ(broker.port) | {"FERD_MQTT__PERSIST_EVENTS": "true"}
        with ferd("run", "--source", "demo", folder=tmp_path, environ=environ) as daemon:
            first = wait_for_events(daemon, tmp_path, 2)
            daemon.stop(signal.SIGKILL)
        with ferd("run", "--source", "demo", folder=tmp_path, environ=environ) as daemon:
            both = wait_for_events(daemon, tmp_path, len(first) + 2)
            assert both[: len(first)] == first
            daemon.stop(signal.SIGKILL)
        broker.start()
        with Ear(broker.port) as ear:
            with ferd("run", "--source", "demo", folder=tmp_path, environ=environ) as daemon:
                wait_for(lambda: set(both) <= set(first_told(ear)), START_S, daemon.log)
                wait_for(lambda: any("late" not in event for event in told(ear)), START_S, "something new happens")
                assert f"events of an earlier run wait for the broker count={len(both)}" in daemon.log
                assert daemon.stop() == 0
        assert first_told(ear)[: len(both)] == both, "in order, and what is new comes last"
        assert all(event["late"] for event in told(ear) if event["id"] in both)
        moments = [event["at"] for event in told(ear)]
        assert moments == sorted(moments), "with their own time"
    assert on_disk(tmp_path) == [], "what the broker has is forgotten"


def test_a_clean_stop_without_a_broker_keeps_them_too(tmp_path: Path):
    with mosquitto(tmp_path, started=False) as broker:
        environ = broker_environ(broker.port) | {"FERD_MQTT__PERSIST_EVENTS": "true"}
        with ferd("run", "--source", "demo", folder=tmp_path, environ=environ) as daemon:
            wait_for_events(daemon, tmp_path, 1)
            assert daemon.stop() == 0
        kept = [event["id"] for event in on_disk(tmp_path)]
        broker.start()
        with Ear(broker.port) as ear:
            with ferd("run", "--source", "demo", folder=tmp_path, environ=environ):
                wait_for(lambda: set(kept) <= set(first_told(ear)), START_S)
        assert first_told(ear)[: len(kept)] == kept


def test_without_a_journal_nothing_is_written(tmp_path: Path):
    """A quiet ferd writes nothing to the card, and neither does a lively one."""
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear:
        with ferd("run", "--source", "demo", folder=tmp_path, environ=broker_environ(broker.port)):
            wait_for(lambda: told(ear), START_S)
    assert list((tmp_path / "ferd").glob("journal*")) == []


def test_a_spoilt_file_is_told_and_nothing_stops(tmp_path: Path):
    (tmp_path / "ferd").mkdir()
    (tmp_path / "ferd" / "journal.db").write_text("no database at all, but longer than a header " * 50)
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear:
        environ = broker_environ(broker.port) | {"FERD_MQTT__PERSIST_EVENTS": "true"}
        with ferd("run", "--source", "demo", folder=tmp_path, environ=environ) as daemon:
            wait_for(lambda: told(ear), START_S)
            assert daemon.log.count("begins anew") == 1
            assert daemon.stop() == 0
