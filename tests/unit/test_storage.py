"""One thread writes; who submits never waits."""

from __future__ import annotations

import threading
import time

import pytest

from ferd.storage import StorageThread


@pytest.fixture
def storage():
    thread = StorageThread()
    thread.start()
    yield thread
    thread.stop()


def test_jobs_run_in_their_order_in_one_thread(storage):
    done, finished = [], threading.Event()
    for number in range(50):
        storage.submit(lambda n=number: done.append((n, threading.current_thread().name)))
    storage.submit(finished.set)
    assert finished.wait(5)
    assert done == [(number, "storage") for number in range(50)]


def test_a_slow_card_holds_up_nobody(storage):
    release = threading.Event()
    storage.submit(release.wait)
    began = time.monotonic()
    for _ in range(100):
        storage.submit(lambda: None)
    assert time.monotonic() - began < 0.5
    release.set()


def test_a_job_that_fails_is_logged_and_the_next_one_runs(storage, caplog):
    finished = threading.Event()

    def fails():
        raise OSError("No space left on device")

    storage.submit(fails)
    storage.submit(finished.set)
    assert finished.wait(5)
    assert "No space left on device" in caplog.text


def test_what_is_pending_is_written_before_the_end(storage):
    done = []
    storage.submit(lambda: time.sleep(0.2))
    storage.submit(lambda: done.append(1))
    storage.stop()
    assert done == [1]


def test_without_the_thread_a_job_runs_at_once():
    done = []
    storage = StorageThread()
    storage.submit(lambda: done.append(1))
    assert done == [1]
    storage.start()
    storage.stop()
    storage.submit(lambda: done.append(2))
    assert done == [1, 2]


def test_a_delayed_job_waits_and_holds_up_no_other(storage):
    done, finished = [], threading.Event()
    storage.submit_later(lambda: (done.append("later"), finished.set()), 0.3)
    storage.submit(lambda: done.append("now"))
    began = time.monotonic()
    assert finished.wait(5)
    assert time.monotonic() - began > 0.25
    assert done == ["now", "later"]


def test_a_delayed_job_runs_at_the_latest_at_the_end(storage):
    done = []
    storage.submit_later(lambda: done.append(1), 60)
    storage.stop()
    assert done == [1]
    storage.submit_later(lambda: done.append(2), 60)
    assert done == [1, 2]
