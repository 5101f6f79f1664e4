"""How long a real broker keeps an event for a subscriber with a persistent session that is away."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from brokers import mosquitto, wait_for
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ferd import topics
from ferd.config import MqttConfig
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.payloads import Event


class Database:
    """A subscriber whose session outlives its connection, as store.py of the fleet's recipe."""

    def __init__(self, port: int) -> None:
        self.received: list[MQTTMessage] = []
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="database", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = lambda _client, _data, message: self.received.append(message)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600
        self._client.connect("127.0.0.1", port, clean_start=False, properties=session)
        self._client.subscribe("ferd/+/+/event", qos=1)
        self._client.loop_start()
        assert self._subscribed.wait(20)

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.mark.parametrize(("expiry_s", "is_kept"), [(1, False), (3600, True)])
def test_an_event_for_a_subscriber_that_is_away(tmp_path: Path, expiry_s: int, is_kept: bool):
    with mosquitto(tmp_path) as broker:
        Database(broker.port).leave()
        outbox = Outbox(event_expiry_s=expiry_s)
        config = MqttConfig(host="127.0.0.1", port=broker.port, event_expiry_s=expiry_s)
        publisher = Publisher(config, "hall", "ferd_abcdef", outbox, cameras=["desk"])
        publisher.start()
        try:
            wait_for(lambda: publisher.status.connected, 20)
            put(outbox, "while-away")
            time.sleep(3)  # longer than the short expiry
            back = Database(broker.port)
            put(outbox, "afterwards")
            wait_for(lambda: any("afterwards" in text(one) for one in back.received), 20)
            back.leave()
        finally:
            publisher.stop()
    assert any("while-away" in text(one) for one in back.received) == is_kept
    if is_kept:
        left: Any = back.received[0].properties
        assert 3000 < left.MessageExpiryInterval < 3600  # the broker subtracts the time that it waited


def put(outbox: Outbox, name: str) -> None:
    event = Event("face_left", name, 1, None, None, None, 3.0, 0.0)
    outbox.put(topics.event_message("hall", "desk", event), time.monotonic())


def text(message: MQTTMessage) -> str:
    return message.payload.decode()
