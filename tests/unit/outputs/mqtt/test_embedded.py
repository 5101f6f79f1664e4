from __future__ import annotations

import socket
import sys

import pytest
from brokers import free_port

from ferd.errors import FerdError
from ferd.outputs.mqtt.embedded import EmbeddedBroker, is_broker_there


def test_a_taken_port_is_passed_over_and_stop_frees_the_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        broker = EmbeddedBroker(port)
        broker.start()
        assert broker.port > port
        broker.stop()
        broker.stop()
        assert not is_broker_there(broker.host, broker.port)


def test_without_amqtt_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "amqtt.broker", None)
    with pytest.raises(FerdError, match=r"the embedded broker needs amqtt: .*install"):
        EmbeddedBroker(free_port()).start()


def test_nothing_listens():
    assert not is_broker_there(port=free_port())
