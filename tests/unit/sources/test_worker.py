from __future__ import annotations

import threading

import pytest

from ferd.sources.worker import Worker


def test_calls_are_made_in_order_in_one_thread() -> None:
    worker = Worker("w")
    threads = [worker.call(threading.get_ident, 20) for _ in range(3)]
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()
    assert worker.stop(lambda: None, 20)


def test_an_error_goes_to_the_caller() -> None:
    worker = Worker("w")
    with pytest.raises(ZeroDivisionError):
        worker.call(lambda: 1 / 0, 20)
    assert worker.call(lambda: 7, 20) == 7
    worker.stop(lambda: None, 20)


def test_a_hung_call_is_left_alone_and_the_last_one_is_made_after_it() -> None:
    worker, go, released = Worker("w"), threading.Event(), threading.Event()
    with pytest.raises(TimeoutError):
        worker.call(go.wait, 0.01)
    assert not worker.stop(released.set, 0.01)
    assert not released.is_set()
    go.set()
    assert released.wait(20)
    assert worker.stop(lambda: None, 20)


def test_after_stop_nothing_is_called() -> None:
    worker, calls = Worker("w"), []
    assert worker.stop(lambda: calls.append("last"), 20), "a worker that never worked has nothing to release"
    with pytest.raises(TimeoutError, match="was stopped"):
        worker.call(lambda: calls.append("more"), 20)
    assert calls == []


def test_the_last_call_is_made_once() -> None:
    worker, calls = Worker("w"), []
    worker.call(lambda: None, 20)
    assert worker.stop(lambda: calls.append("last"), 20)
    assert worker.stop(lambda: calls.append("again"), 20)
    assert calls == ["last"]
