"""Receive what this or another ferd publishes, for `ferd watch` and `ferd mqtt purge`."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable, Sequence

from ferd.errors import FerdError
from ferd.outputs.mqtt.broker_settings import OUR_CERTIFICATE, BrokerSettings, explain
from ferd.outputs.mqtt.client import MqttConnection, OnRefused, Protocol, Wake
from ferd.outputs.mqtt.failover import read_reference
from ferd.outputs.mqtt.publisher import ANSWER_WAITS_S
from ferd.outputs.mqtt.requests import IncomingMessage

NO_ANSWER = "no answer"
ELSEWHERE = "names another server:"
RETRY_S = 2.0
NAP_S = 0.5
MAX_INCOMING = 1_048_576
"""Bytes of a packet that is read: a discovery document with 8 cameras and 32 alert rules has 200 kB."""

OnMessage = Callable[[str, bytes], None]


def listen(
    settings: BrokerSettings,
    topics: Sequence[str],
    on_message: OnMessage,
    on_state: Callable[[str], None],
    stop: threading.Event,
) -> None:
    """Call `on_message(topic, payload)` in this thread until `stop` is set.

    `on_state` gets one line when the connection changes. Raises FerdError with the remedy when the very first
    connection fails; later ones are retried every RETRY_S.
    """
    wake = Wake()
    was_connected = False
    try:
        while not stop.is_set():
            connection, reason = connect(
                settings, wake, lambda incoming: on_message(incoming.topic, incoming.payload), stop
            )
            if connection is not None:
                was_connected = True
                on_state(f"listening at {settings.address} (MQTT {connection.protocol})")
                reason = _serve(connection, topics, stop)
            elif not was_connected:
                raise FerdError(f"no connection to the broker at {settings.address}: {reason}")
            on_state(f"connection lost ({reason}), reconnecting")
            stop.wait(RETRY_S)
    finally:
        wake.close()


def connect(
    settings: BrokerSettings,
    wake: Wake,
    on_message: Callable[[IncomingMessage], None],
    stop: threading.Event,
    on_refused: OnRefused | None = None,
) -> tuple[MqttConnection | None, str]:
    """Return a connection, or None and why there is none. Tries each broker, with version 5 first, then 3.1.1."""
    reasons = []
    for one in settings.each():
        connection, reason = _connect(one, wake, on_message, stop, on_refused)
        if connection is not None:
            return connection, ""
        reasons.append(f"{one.address}: {reason}" if settings.servers else reason)
    return None, "; ".join(reasons)


def _connect(
    settings: BrokerSettings,
    wake: Wake,
    on_message: Callable[[IncomingMessage], None],
    stop: threading.Event,
    on_refused: OnRefused | None,
) -> tuple[MqttConnection | None, str]:
    """Connect to one broker; version 3.1.1 is tried after silence as well."""
    reason = ""
    protocols: tuple[Protocol, ...] = ("5", "3.1.1")
    for protocol in protocols:
        client_id = f"ferd-watch-{os.getpid()}-{time.monotonic_ns() % 100000}"
        connection = MqttConnection(
            settings,
            protocol,
            client_id,
            wake,
            on_message=on_message,
            on_refused=on_refused,
            max_incoming=MAX_INCOMING,
        )
        try:
            connection.open()
            until = time.monotonic() + ANSWER_WAITS_S[protocol]
            while (
                connection.answer is None
                and connection.ended is None
                and time.monotonic() < until
                and not stop.is_set()
            ):
                connection.run_once(NAP_S)
        except ssl.SSLError as error:
            connection.close()
            return None, "; ".join(explain(error))
        except OSError as error:
            connection.close()
            return None, f"{error.strerror or error}. Is it running? See [mqtt] host and port, or --host and --port"
        if connection.connected:
            return connection, ""
        reason = f"{connection.answer or connection.ended or NO_ANSWER}"
        other = read_reference(connection.other_server or "", settings.port)
        if other is not None:
            reason = f"{ELSEWHERE} {other[0]}:{other[1]} ({connection.answer})"
        elif connection.bad_credentials:
            reason += ". Check mqtt.username and mqtt.password_file"
        elif settings.tls and connection.answer is None:
            reason += f"; {OUR_CERTIFICATE}"
        connection.close()
        if connection.answer is not None and not connection.bad_protocol:
            break
    return None, reason


def _serve(connection: MqttConnection, topics: Sequence[str], stop: threading.Event) -> str:
    """Receive until the connection ends or `stop` is set; return why it ended."""
    try:
        connection.subscribe(topics)
        while connection.connected and not stop.is_set():
            connection.run_once(NAP_S)
        connection.leave()
    except BrokenPipeError:
        raise  # not the network: the reader of our output has gone
    except OSError as error:
        return error.strerror or str(error)
    finally:
        connection.close()
    return connection.ended or "stopped"
