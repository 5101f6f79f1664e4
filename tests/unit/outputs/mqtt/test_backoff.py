from __future__ import annotations

from ferd.outputs.mqtt.backoff import Backoff


def test_the_limit_doubles_up_to_a_minute_and_starts_again():
    backoff = Backoff(chance=lambda: 1.0)
    assert [backoff.next() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.reset()
    assert backoff.next() == 1


def test_the_jitter_is_full():
    assert Backoff(chance=lambda: 0.0).next() == 0


def test_slow_is_half_a_minute_to_a_minute():
    assert [Backoff(chance=lambda c=c: c).slow() for c in (0.0, 1.0)] == [30, 60]
