"""The journal: order, bound and nothing lost, whatever comes between; and files that are not as they should be."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import Ear, mosquitto, wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from ferd.config.mqtt import MqttConfig
from ferd.outputs.mqtt import event_store as module
from ferd.outputs.mqtt import topics
from ferd.outputs.mqtt.backlog import LATE_A_SECOND
from ferd.outputs.mqtt.event_store import BATCH_S, FORGET_S, RETRY_S, EventStore
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.outputs.mqtt.topics import Message, State

LIMIT = 8
FEW = 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ferd.outputs.mqtt.event_store")


def event(number: int, *, urgent: bool = False) -> Message:
    payload = json.dumps({"v": 1, "id": str(number)}, separators=(",", ":")).encode()
    return Message("ferd/hall/desk/event", payload, qos=1, expires_s=60, urgent=urgent)


def ids(messages: list[Message]) -> list[int]:
    return [int(json.loads(message.payload)["id"]) for message in messages]


def opened(path: Path, limit: int = 1000) -> EventStore:
    journal = EventStore(path, limit)
    journal.open()
    return journal


def reborn(path: Path, limit: int = 1000) -> EventStore:
    """A new run on the files as a power cut would leave them now."""
    folder = Path(tempfile.mkdtemp(dir=path.parent))
    for file in path.parent.glob(path.name + "*"):
        shutil.copy(file, folder)
    return opened(folder / path.name, limit)


def test_what_is_acknowledged_in_time_never_touches_the_disk(path: Path):
    journal = opened(path)
    before = {file: file.stat().st_mtime_ns for file in path.parent.iterdir()}
    for number in range(50):
        journal.put(event(number), number)
        (message,) = journal.due(number, 16)
        assert message == event(number)
        journal.acknowledge(message, number + 0.1)
        assert journal.flush_at() is None
        journal.flush(number + 0.5)
    assert {file: file.stat().st_mtime_ns for file in path.parent.iterdir()} == before


def test_what_waits_a_second_is_written_in_one_go(path: Path):
    journal = opened(path)
    for number in range(5):
        journal.put(event(number), 0.1 * number)
    assert journal.flush_at() == BATCH_S
    journal.flush(BATCH_S - 0.01)
    assert len(reborn(path)) == 0
    journal.flush(BATCH_S)
    assert ids(reborn(path).due(0, 16)) == [0, 1, 2, 3, 4]
    assert journal.flush_at() is None


def test_an_alert_is_written_at_once_with_all_that_waits(path: Path):
    journal = opened(path)
    journal.put(event(1), 10.0)
    journal.put(event(2, urgent=True), 10.1)
    journal.flush(10.1)
    assert ids(reborn(path).due(0, 16)) == [1, 2]


def test_an_earlier_run_is_told_first_and_marked_late(path: Path):
    journal = opened(path)
    journal.put(event(1), 0.0)
    journal.flush(2.0)
    later = reborn(path)
    later.put(event(2), 5.0)
    old, new = later.due(5.1, 16)
    assert json.loads(old.payload) == {"v": 1, "id": "1", "late": True}
    assert old.expires_s is None
    assert old.qos == 1
    assert not old.retain
    assert new == event(2)


def test_what_has_waited_is_marked_late_without_an_end(path: Path):
    journal = opened(path)
    journal.put(event(1), 0.0)
    (message,) = journal.due(2.1, 16)
    assert json.loads(message.payload)["late"] is True
    assert message.expires_s is None


def test_acknowledged_is_forgotten_in_the_file_a_little_later(path: Path):
    journal = opened(path)
    journal.put(event(1), 0.0)
    journal.put(event(2), 0.0)
    journal.flush(1.0)
    journal.acknowledge(journal.due(1.0, 1)[0], 1.1)
    assert len(reborn(path)) == 2
    assert journal.flush_at() == 1.1 + FORGET_S
    journal.flush(1.1 + FORGET_S)
    assert ids(reborn(path).due(0, 16)) == [2]


def test_acknowledged_while_it_was_written(path: Path, monkeypatch: pytest.MonkeyPatch):
    journal = opened(path)
    journal.put(event(1), 0.0)
    (message,) = journal.due(0.0, 1)
    assert journal._file is not None
    write = journal._file.write

    def slow_card(new: object, gone: object) -> None:
        journal.acknowledge(message, 1.0)
        write(new, gone)  # type: ignore[arg-type]

    monkeypatch.setattr(journal._file, "write", slow_card)
    journal.flush(1.0)
    monkeypatch.undo()
    assert len(reborn(path)) == 1
    journal.flush(1.0 + FORGET_S)
    assert len(reborn(path)) == 0


def test_a_clean_stop_keeps_what_the_broker_has_not(path: Path):
    journal = EventStore(path, 100)
    journal.start()
    journal.put(event(1), time.monotonic())
    journal.put(event(2), time.monotonic())
    journal.acknowledge(journal.due(time.monotonic(), 1)[0], time.monotonic())
    journal.stop()
    assert [file.name for file in path.parent.iterdir()] == ["journal.db"]
    assert ids(opened(path).due(0, 16)) == [2]


def test_a_card_that_hangs_does_not_hold_up_the_end(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "STOP_WAITS_S", 0.1)
    journal = EventStore(path, 100)
    journal.start()
    assert journal._file is not None
    released = threading.Event()
    monkeypatch.setattr(journal._file, "write", lambda *_: released.wait(10))
    journal.put(event(1, urgent=True), time.monotonic())
    journal.stop()
    assert "the disk hangs" in caplog.text
    released.set()


def test_the_thread_writes_by_itself(path: Path):
    journal = EventStore(path, 100)
    journal.start()
    try:
        journal.put(event(1, urgent=True), time.monotonic())
        wait_for(lambda: len(reborn(path)) == 1)
    finally:
        journal.stop()


def test_a_new_connection_begins_with_the_oldest(path: Path):
    journal = opened(path)
    for number in range(4):
        journal.put(event(number), 0.0)
    first = journal.due(0.0, 3)
    journal.acknowledge(first[1], 0.1)  # out of order
    assert ids(journal.due(0.1, 16)) == [3]
    assert journal.next_at() is None
    journal.rewind()
    assert ids(journal.due(0.2, 16)) == [0, 2, 3]


def test_late_ones_trickle(path: Path):
    journal = opened(path)
    for number in range(LATE_A_SECOND + 5):
        journal.put(event(number), 0.0)
    assert len(journal.due(50.0, 1000)) == LATE_A_SECOND
    assert journal.due(50.9, 1000) == []
    assert journal.next_at() == 51.0
    assert len(journal.due(51.0, 1000)) == 5


def test_the_oldest_go_when_it_is_full_and_that_is_told_once(path: Path, caplog: pytest.LogCaptureFixture):
    journal = opened(path, LIMIT)
    for number in range(3 * LIMIT):
        journal.put(event(number), number)
        journal.flush(number + 1)
    assert len(journal) == LIMIT
    journal.flush(1000)
    assert ids(reborn(path).due(0, 100)) == list(range(2 * LIMIT, 3 * LIMIT))
    assert caplog.text.count("full, the oldest events go") == 1
    assert "raise mqtt.persist_max_events" in caplog.text


def test_the_file_does_not_grow_without_end(path: Path):
    journal = opened(path, 100)
    for number in range(5000):
        journal.put(event(number), number)
        if number % 10 == 0:
            journal.flush(number + 1)
    size = sum(file.stat().st_size for file in path.parent.glob("journal.db*"))
    assert size < 1_000_000


def test_a_lower_limit_drops_the_oldest_of_an_earlier_run(path: Path):
    journal = opened(path)
    for number in range(20):
        journal.put(event(number), 0)
    journal.flush(1)
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
    """What was written is told until it was acknowledged or pushed out; in order within each connection."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        journal = opened(path, FEW)
        now, count = 0.0, 0
        on_disk: set[int] = set()
        alive: list[int] = []  # in the order in which they were put
        flight: list[Message] = []
        connection: list[int] = []
        for step, argument in steps:
            now += 0.3
            if step == "put":
                journal.put(event(count, urgent=bool(argument)), now)
                alive.append(count)
                alive = alive[-FEW:]
                count += 1
            elif step == "send":
                taken = journal.due(now, argument)
                flight += taken
                connection += ids(taken)
                assert connection == sorted(set(connection)), "in order, and each once a connection"
            elif step == "ack" and flight:
                message = flight.pop(argument % len(flight))
                journal.acknowledge(message, now)
                alive = [number for number in alive if number != ids([message])[0]]
            elif step == "wait":
                now += 10
            elif step == "flush":
                due = journal.flush_at()
                journal.flush(now)
                if due is not None and due <= now:
                    on_disk = set(alive)
            elif step == "lost":
                journal.rewind()
                flight, connection = [], []
            elif step == "crash":
                journal = reborn(path, FEW)
                path = journal._file.path if journal._file else path
                flight, connection = [], []
                left = ids(reborn(path, 1000).due(now, 1000))
                assert left == sorted(left)
                assert set(alive) & on_disk <= set(left), "what was written and not acknowledged is there"
                alive = left[-FEW:]
                on_disk = set(alive)
            assert len(journal) <= FEW
        journal.rewind()
        assert ids(journal.due(now + 5, 1000)) == alive


def _text(path: Path) -> None:
    path.write_text("this is no database, and it is longer than a header of one hundred bytes. " * 20)


def _half(path: Path) -> None:
    journal = opened(path)
    for number in range(200):
        journal.put(event(number), 0)
    journal.stop()
    os.truncate(path, path.stat().st_size // 2)


def _scribbled(path: Path) -> None:
    journal = opened(path)
    for number in range(200):
        journal.put(event(number), 0)
    journal.stop()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(8192))


def _newer(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()


@pytest.mark.parametrize("spoil", [_text, _half, _scribbled, _newer])
def test_a_file_that_is_none_is_set_aside_and_told(path: Path, spoil: object, caplog: pytest.LogCaptureFixture):
    path.parent.mkdir()
    spoil(path)  # type: ignore[operator]
    journal = opened(path)
    assert "begins anew" in caplog.text
    assert "journal.db.broken" in caplog.text
    journal.put(event(1), 0)
    journal.flush(1)
    assert ids(reborn(path).due(0, 16)) == [1]
    assert path.with_name("journal.db.broken").exists()


def test_an_empty_file_is_a_new_one(path: Path, caplog: pytest.LogCaptureFixture):
    path.parent.mkdir()
    path.touch()
    assert len(opened(path)) == 0
    assert caplog.text == ""


@pytest.mark.parametrize("place", ["/proc/no/journal.db", "/dev/full/journal.db", "{}"])
def test_where_no_file_can_be_it_runs_on_in_memory(tmp_path: Path, place: str, caplog: pytest.LogCaptureFixture):
    journal = EventStore(Path(place.format(tmp_path)), 100)
    journal.start()
    try:
        assert caplog.text.count("no file: ") == 1
        journal.put(event(1), 0)
        assert ids(journal.due(0, 16)) == [1]
    finally:
        journal.stop()


def test_a_second_ferd_on_the_same_file_is_told(path: Path, caplog: pytest.LogCaptureFixture):
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
def test_a_disk_that_refuses_is_told_once_and_tried_again(
    path: Path, caplog: pytest.LogCaptureFixture, refuse: str, allow: str, remedy: str
):
    journal = opened(path)
    assert journal._file is not None
    assert journal._file._db is not None
    journal._file._db.execute(f"PRAGMA {refuse}").fetchall()
    for number in range(200):  # more than fits into the pages that are there
        journal.put(event(number), number)
        journal.flush(number + 1)
    assert caplog.text.count("not written") == 1
    assert remedy in caplog.text
    assert journal.flush_at() == 200 + RETRY_S
    journal._file._db.execute(f"PRAGMA {allow}").fetchall()
    journal.flush(200 + RETRY_S)
    assert "writes again" in caplog.text
    assert len(reborn(path)) == 200


def test_a_file_that_breaks_while_it_runs_is_begun_anew_with_all_that_waits(
    path: Path, caplog: pytest.LogCaptureFixture
):
    journal = opened(path)
    journal.put(event(1), 0)
    journal.flush(1)
    assert journal._file is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal._file, "_db", _Refusing(sqlite3.SQLITE_CORRUPT))
        journal.put(event(2), 2)
        journal.flush(3)
        patch.setattr(patch, "_setattr", [])  # the file has a new connection by now: keep it
    journal.flush(4)
    assert "begins anew" in caplog.text
    assert ids(reborn(path).due(0, 16)) == [1, 2]


def test_what_no_ferd_wrote_is_left_out(path: Path, caplog: pytest.LogCaptureFixture):
    journal = opened(path)
    journal.put(event(1), 0)
    journal.stop()
    db = sqlite3.connect(path)
    rows = [("ferd/+/x", b"{}"), ("other", b"{}"), ("ferd/a", b"["), ("ferd/a", None), (None, b"{}"), ("ferd/a", b"3")]
    for number, (topic, payload) in enumerate(rows, 10):
        db.execute("INSERT INTO message VALUES (?, ?, ?)", (number, topic, payload))
    db.commit()
    db.close()
    journal = opened(path)
    assert ids(journal.due(0, 16)) == [1]
    assert "count=1 unreadable=6" in caplog.text


def test_the_board_gives_events_to_the_journal_and_the_rest_to_nobody(path: Path):
    board = Outbox(opened(path))
    state = topics.state_message("hall", "desk", State("joy", 0.8, 1, 0.0, 1))
    response = Message("ferd/hall/response/reload", b"{}", qos=1, expires_s=60)
    for message in (event(1), state, response):
        board.put(message, 0.0)
    sent = board.due(0.0)
    assert sent == [state, response, event(1)]
    assert board.next_at() is None
    board.give_back([(0.0, message) for message in sent])
    board.replay_all()
    assert board.next_at() == float("-inf")
    assert board.due(0.1) == sent
    for message in sent:
        board.acknowledge(message, 0.2)
    board.replay_all()
    assert board.due(0.3) == [state]


def test_what_waits_for_its_turn_goes_to_the_journal_at_the_end(path: Path):
    journal = opened(path)
    board = Outbox(journal)
    for number in range(20):  # more than a camera may say at once
        board.put(event(number), 0.1 * number)
    assert 0 < len(journal) < 20
    board.put(Message("ferd/hall/health", b"{}", retain=True), 12.0)
    assert len(journal) > 10
    board.finish(12.0)
    assert len(journal) == 20


def test_what_the_broker_refuses_stays_until_it_is_allowed(tmp_path: Path, path: Path):
    journal = opened(path)
    board = Outbox(journal)
    board.put(event(1), time.monotonic())
    for allowed in (False, True):
        acl = "topic write ferd/hall/#" if allowed else "topic write ferd/hall/status"
        with mosquitto(tmp_path, acl=f"{acl}\ntopic read #\n") as broker, Ear(broker.port) as ear:
            publisher = Publisher(MqttConfig(host="127.0.0.1", port=broker.port), "hall", "ferd_abcdef", board)
            publisher.start()
            ear.wait("ferd/hall/status", "online")
            if allowed:
                ear.wait("ferd/hall/desk/event")
                wait_for(lambda: len(journal) == 0)
            else:
                time.sleep(0.3)
                assert len(journal) == 1
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
