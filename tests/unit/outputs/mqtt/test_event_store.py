"""The event store: order, bound and nothing lost, whatever comes between; and files that are not as they should be."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokers import Ear, mosquitto, wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from ferd import topics
from ferd.config import MqttConfig
from ferd.outputs.mqtt.event_store import BATCH_S, FORGET_S, LATE_A_SECOND, RETRY_S, EventStore
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.payloads import State
from ferd.topics import Message

LIMIT = 8
FEW = 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ferd.outputs.mqtt.event_store")


def event(number: int, *, urgent: bool = False) -> Message:
    return Message("ferd/hall/desk/event", {"v": 1, "id": str(number)}, qos=1, expires_s=60, urgent=urgent)


def ids(messages: list[Message]) -> list[int]:
    return [int(json.loads(message.encoded())["id"]) for message in messages]


def opened(path: Path, limit: int = 1000) -> EventStore:
    store = EventStore(path, limit)
    store.start()
    return store


def reborn(path: Path, limit: int = 1000) -> EventStore:
    """A new run on the files as a power cut would leave them now."""
    folder = Path(tempfile.mkdtemp(dir=path.parent))
    for file in path.parent.glob(path.name + "*"):
        shutil.copy(file, folder)
    return opened(folder / path.name, limit)


def test_what_is_acknowledged_in_time_never_touches_the_disk(path: Path):
    store = opened(path)
    before = {file: file.stat().st_mtime_ns for file in path.parent.iterdir()}
    for number in range(50):
        store.put(event(number), number)
        (message,) = store.due(number, 16)
        assert message == event(number)
        store.acknowledge(message, number + 0.1)
        assert store.flush_at() is None
        store.flush(number + 0.5)
    assert {file: file.stat().st_mtime_ns for file in path.parent.iterdir()} == before


def test_what_waits_a_second_is_written_in_one_go(path: Path):
    store = opened(path)
    for number in range(5):
        store.put(event(number), 0.1 * number)
    assert store.flush_at() == BATCH_S
    store.flush(BATCH_S - 0.01)
    assert len(reborn(path)) == 0
    store.flush(BATCH_S)
    assert ids(reborn(path).due(0, 16)) == [0, 1, 2, 3, 4]
    assert store.flush_at() is None


def test_an_alert_is_written_at_once_with_all_that_waits(path: Path):
    store = opened(path)
    store.put(event(1), 10.0)
    store.put(event(2, urgent=True), 10.1)
    store.flush(10.1)
    assert ids(reborn(path).due(0, 16)) == [1, 2]


def test_events_of_an_earlier_run_go_first_and_are_late(path: Path):
    store = opened(path)
    store.put(event(1), 0.0)
    store.flush(2.0)
    later = reborn(path)
    later.put(event(2), 5.0)
    old, new = later.due(5.1, 16)
    assert json.loads(old.encoded()) == {"v": 1, "id": "1", "late": True}
    assert old.expires_s is None
    assert old.qos == 1
    assert not old.retain
    assert new == event(2)


def test_what_has_waited_is_marked_late_without_an_end(path: Path):
    store = opened(path)
    store.put(event(1), 0.0)
    (message,) = store.due(2.1, 16)
    assert json.loads(message.encoded())["late"] is True
    assert message.expires_s is None


def test_acknowledged_is_forgotten_in_the_file_a_little_later(path: Path):
    store = opened(path)
    store.put(event(1), 0.0)
    store.put(event(2), 0.0)
    store.flush(1.0)
    store.acknowledge(store.due(1.0, 1)[0], 1.1)
    assert len(reborn(path)) == 2
    assert store.flush_at() == 1.1 + FORGET_S
    store.flush(1.1 + FORGET_S)
    assert ids(reborn(path).due(0, 16)) == [2]


def test_acknowledged_while_it_was_written(path: Path, monkeypatch: pytest.MonkeyPatch):
    store = opened(path)
    store.put(event(1), 0.0)
    (message,) = store.due(0.0, 1)
    assert store._file is not None
    write = store._file.write

    def slow_card(new: object, gone: object) -> None:
        store.acknowledge(message, 1.0)
        write(new, gone)  # type: ignore[arg-type]

    monkeypatch.setattr(store._file, "write", slow_card)
    store.flush(1.0)
    monkeypatch.undo()
    assert len(reborn(path)) == 1
    store.flush(1.0 + FORGET_S)
    assert len(reborn(path)) == 0


def test_a_clean_stop_keeps_what_the_broker_has_not(path: Path):
    store = EventStore(path, 100)
    store.start()
    store.put(event(1), time.monotonic())
    store.put(event(2), time.monotonic())
    store.acknowledge(store.due(time.monotonic(), 1)[0], time.monotonic())
    store.close()
    assert [file.name for file in path.parent.iterdir()] == ["journal.db"]
    assert ids(opened(path).due(0, 16)) == [2]


def test_the_storage_thread_writes_and_at_most_one_write_waits(path: Path):
    jobs: list[Callable[[], None]] = []
    clock = [0.0]
    store = EventStore(path, 100, jobs.append, lambda: clock[0])
    store.start()
    store.put(event(1), 0.0)
    store.tick(BATCH_S - 0.1)
    assert jobs == []
    for number in range(2, 9):
        store.put(event(number, urgent=True), 0.5)
        store.tick(5.0)
    assert len(jobs) == 1
    assert len(reborn(path)) == 0, "put does not wait for the card"
    clock[0] = 5.0
    jobs.pop()()
    assert jobs == []
    assert len(reborn(path)) == 8


def test_what_is_put_during_a_write_is_written_after_it(path: Path, monkeypatch: pytest.MonkeyPatch):
    jobs: list[Callable[[], None]] = []
    store = EventStore(path, 100, jobs.append, lambda: 1.0)
    store.start()
    store.put(event(1, urgent=True), 1.0)
    assert store._file is not None
    write = store._file.write

    def slow_card(new: object, gone: object) -> None:
        write(new, gone)  # type: ignore[arg-type]
        store.put(event(2, urgent=True), 1.0)

    monkeypatch.setattr(store._file, "write", slow_card)
    jobs.pop(0)()
    monkeypatch.undo()
    assert len(jobs) == 1
    jobs.pop(0)()
    assert jobs == []
    assert ids(reborn(path).due(0, 16)) == [1, 2]


def test_a_new_connection_begins_with_the_oldest(path: Path):
    store = opened(path)
    for number in range(4):
        store.put(event(number), 0.0)
    first = store.due(0.0, 3)
    store.acknowledge(first[1], 0.1)  # out of order
    assert ids(store.due(0.1, 16)) == [3]
    assert store.next_at() is None
    store.rewind()
    assert ids(store.due(0.2, 16)) == [0, 2, 3]


def test_late_ones_trickle(path: Path):
    store = opened(path)
    for number in range(LATE_A_SECOND + 5):
        store.put(event(number), 0.0)
    assert len(store.due(50.0, 1000)) == LATE_A_SECOND
    assert store.due(50.9, 1000) == []
    assert store.next_at() == 51.0
    assert len(store.due(51.0, 1000)) == 5


def test_the_oldest_are_dropped_when_it_is_full_and_that_is_logged_once(path: Path, caplog: pytest.LogCaptureFixture):
    store = opened(path, LIMIT)
    for number in range(3 * LIMIT):
        store.put(event(number), number)
        store.flush(number + 1)
    assert len(store) == LIMIT
    store.flush(1000)
    assert ids(reborn(path).due(0, 100)) == list(range(2 * LIMIT, 3 * LIMIT))
    assert caplog.text.count("full, the oldest events are dropped") == 1
    assert "raise mqtt.persist_max_events" in caplog.text


def test_the_file_does_not_grow_without_end(path: Path):
    store = opened(path, 100)
    for number in range(5000):
        store.put(event(number), number)
        if number % 10 == 0:
            store.flush(number + 1)
    size = sum(file.stat().st_size for file in path.parent.glob("journal.db*"))
    assert size < 1_000_000


def test_a_lower_limit_drops_the_oldest_of_an_earlier_run(path: Path):
    store = opened(path)
    for number in range(20):
        store.put(event(number), 0)
    store.flush(1)
    assert ids(reborn(path, LIMIT).due(0, 100)) == list(range(12, 20))


def test_only_its_owner_may_read_it(path: Path):
    opened(path).put(event(1), 0)
    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.booleans()),
            st.tuples(st.just("send"), st.integers(1, 5)),
            st.tuples(st.just("ack"), st.integers(0, 4)),
            st.tuples(st.sampled_from(["flush", "lost", "crash", "wait"]), st.none()),
        ),
        max_size=60,
    )
)
def test_any_order_of_events_keeps_order_and_bound(steps: list[tuple[str, int]]):
    """What was written is sent until it is acknowledged or dropped; in order within each connection."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        store = opened(path, FEW)
        now, count = 0.0, 0
        on_disk: set[int] = set()
        alive: list[int] = []  # in the order in which they were put
        flight: list[Message] = []
        connection: list[int] = []
        for step, argument in steps:
            now += 0.3
            if step == "put":
                store.put(event(count, urgent=bool(argument)), now)
                alive.append(count)
                alive = alive[-FEW:]
                count += 1
            elif step == "send":
                taken = store.due(now, argument)
                flight += taken
                connection += ids(taken)
                assert connection == sorted(set(connection)), "in order, and each once a connection"
            elif step == "ack" and flight:
                message = flight.pop(argument % len(flight))
                store.acknowledge(message, now)
                alive = [number for number in alive if number != ids([message])[0]]
            elif step == "wait":
                now += 10
            elif step == "flush":
                due = store.flush_at()
                store.flush(now)
                if due is not None and due <= now:
                    on_disk = set(alive)
            elif step == "lost":
                store.rewind()
                flight, connection = [], []
            elif step == "crash":
                store = reborn(path, FEW)
                path = store._file.path if store._file else path
                flight, connection = [], []
                left = ids(reborn(path, 1000).due(now, 1000))
                assert left == sorted(left)
                assert set(alive) & on_disk <= set(left), "what was written and not acknowledged is there"
                alive = left[-FEW:]
                on_disk = set(alive)
            assert len(store) <= FEW
        store.rewind()
        assert ids(store.due(now + 5, 1000)) == alive


def _text(path: Path) -> None:
    path.write_text("this is no database, and it is longer than a header of one hundred bytes. " * 20)


def _half(path: Path) -> None:
    store = opened(path)
    for number in range(200):
        store.put(event(number), 0)
    store.close()
    os.truncate(path, path.stat().st_size // 2)


def _scribbled(path: Path) -> None:
    store = opened(path)
    for number in range(200):
        store.put(event(number), 0)
    store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(8192))


def _newer(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()


@pytest.mark.parametrize("spoil", [_text, _half, _scribbled, _newer])
def test_a_file_of_another_kind_is_set_aside_and_logged(path: Path, spoil: object, caplog: pytest.LogCaptureFixture):
    path.parent.mkdir()
    spoil(path)  # type: ignore[operator]
    store = opened(path)
    assert "starting a new file" in caplog.text
    assert "journal.db.broken" in caplog.text
    store.put(event(1), 0)
    store.flush(1)
    assert ids(reborn(path).due(0, 16)) == [1]
    assert path.with_name("journal.db.broken").exists()


def test_an_empty_file_is_a_new_one(path: Path, caplog: pytest.LogCaptureFixture):
    path.parent.mkdir()
    path.touch()
    assert len(opened(path)) == 0
    assert caplog.text == ""


@pytest.mark.parametrize("place", ["/proc/no/journal.db", "/dev/full/journal.db", "{}"])
def test_where_no_file_can_be_it_runs_on_in_memory(tmp_path: Path, place: str, caplog: pytest.LogCaptureFixture):
    store = EventStore(Path(place.format(tmp_path)), 100)
    store.start()
    try:
        assert caplog.text.count("no file: ") == 1
        store.put(event(1), 0)
        assert ids(store.due(0, 16)) == [1]
    finally:
        store.close()


def test_a_second_ferd_on_the_same_file_is_logged(path: Path, caplog: pytest.LogCaptureFixture):
    first = opened(path)
    second = opened(path)
    assert "another ferd uses it" in caplog.text
    first.put(event(1), 0)
    first.flush(1)
    second.put(event(2), 0)
    second.flush(1)
    assert ids(second.due(1, 16)) == [2]


@pytest.mark.parametrize(
    ("refuse", "allow", "remedy"),
    [
        ("max_page_count=1", "max_page_count=100000", "the disk is full: make room"),
        ("query_only=1", "query_only=0", "whether the card is read-only"),
    ],
)
def test_a_disk_that_refuses_is_logged_once_and_tried_again(
    path: Path, caplog: pytest.LogCaptureFixture, refuse: str, allow: str, remedy: str
):
    store = opened(path)
    assert store._file is not None
    assert store._file._db is not None
    store._file._db.execute(f"PRAGMA {refuse}").fetchall()
    for number in range(200):  # more than fits into the pages that are there
        store.put(event(number), number)
        store.flush(number + 1)
    assert caplog.text.count("not written") == 1
    assert remedy in caplog.text
    assert store.flush_at() == 200 + RETRY_S
    store._file._db.execute(f"PRAGMA {allow}").fetchall()
    store.flush(200 + RETRY_S)
    assert "writing works again" in caplog.text
    assert len(reborn(path)) == 200


def test_a_file_that_breaks_while_it_is_used_is_replaced_with_all_that_waits(
    path: Path, caplog: pytest.LogCaptureFixture
):
    store = opened(path)
    store.put(event(1), 0)
    store.flush(1)
    assert store._file is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store._file, "_db", _Refusing(sqlite3.SQLITE_CORRUPT))
        store.put(event(2), 2)
        store.flush(3)
        patch.setattr(patch, "_setattr", [])  # the file has a new connection by now: keep it
    store.flush(4)
    assert "starting a new file" in caplog.text
    assert ids(reborn(path).due(0, 16)) == [1, 2]


def test_what_no_ferd_wrote_is_left_out(path: Path, caplog: pytest.LogCaptureFixture):
    store = opened(path)
    store.put(event(1), 0)
    store.close()
    db = sqlite3.connect(path)
    rows = [("ferd/+/x", b"{}"), ("other", b"{}"), ("ferd/a", b"["), ("ferd/a", None), (None, b"{}"), ("ferd/a", b"3")]
    for number, (topic, payload) in enumerate(rows, 10):
        db.execute("INSERT INTO message VALUES (?, ?, ?)", (number, topic, payload))
    db.commit()
    db.close()
    store = opened(path)
    assert ids(store.due(0, 16)) == [1]
    assert "count=1 unreadable=6" in caplog.text


def test_the_board_gives_events_to_the_journal_and_the_rest_to_nobody(path: Path):
    outbox = Outbox(opened(path))
    state = topics.state_message("hall", "desk", State("joy", 0.8, 1, 0.0, 1))
    response = Message("ferd/hall/response/reload", b"{}", qos=1, expires_s=60)
    for message in (event(1), state, response):
        outbox.put(message, 0.0)
    sent = outbox.due(0.0)
    assert sent == [state, response, event(1)]
    assert outbox.next_at() is None
    outbox.give_back([(0.0, message) for message in sent])
    outbox.replay_all()
    assert outbox.next_at() == float("-inf")
    assert outbox.due(0.1) == sent
    for message in sent:
        outbox.acknowledge(message, 0.2)
    outbox.replay_all()
    assert outbox.due(0.3) == [state]


def test_what_waits_for_its_turn_goes_to_the_journal_at_the_end(path: Path):
    store = opened(path)
    outbox = Outbox(store)
    for number in range(20):  # more than a camera may say at once
        outbox.put(event(number), 0.1 * number)
    assert 0 < len(store) < 20
    outbox.put(Message("ferd/hall/health", b"{}", retain=True), 12.0)
    assert len(store) > 10
    outbox.finish(12.0)
    assert len(store) == 20


def test_what_the_broker_refuses_stays_until_it_is_allowed(tmp_path: Path, path: Path):
    store = opened(path)
    outbox = Outbox(store)
    outbox.put(event(1), time.monotonic())
    for allowed in (False, True):
        acl = "topic write ferd/hall/#" if allowed else "topic write ferd/hall/status"
        with mosquitto(tmp_path, acl=f"{acl}\ntopic read #\n") as broker, Ear(broker.port) as ear:
            publisher = Publisher(MqttConfig(host="127.0.0.1", port=broker.port), "hall", "ferd_abcdef", outbox)
            publisher.start()
            ear.wait("ferd/hall/status", "online")
            if allowed:
                ear.wait("ferd/hall/desk/event")
                wait_for(lambda: len(store) == 0)
            else:
                time.sleep(0.3)
                assert len(store) == 1
            publisher.stop()


class _Refusing:
    """A connection that fails as SQLite does."""

    def __init__(self, code: int) -> None:
        self._error = sqlite3.DatabaseError("it fails")
        self._error.sqlite_errorcode = code

    def execute(self, _command: str) -> Iterator[object]:
        raise self._error

    executemany = execute

    def close(self) -> None:
        pass
