"""Listens to what a ferd publishes, this one or another: the other end of the line, for `ferd watch`."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable, Sequence

from ferd.errors import FerdError
from ferd.outputs.mqtt.broker_settings import BrokerSettings
from ferd.outputs.mqtt.client import MqttConnection, OnRefused, Protocol, Wake
from ferd.outputs.mqtt.publisher import ANSWER_WAITS_S
from ferd.outputs.mqtt.requests import IncomingMessage
from ferd.outputs.mqtt.tls import OUR_CERTIFICATE, explain

AGAIN_AFTER_S = 2.0
NAP_S = 0.5

OnMessage = Callable[[str, bytes], None]


def listen(
    target: BrokerSettings,
    topics: Sequence[str],
    on_message: OnMessage,
    on_state: Callable[[str], None],
    stop: threading.Event,
) -> None:
    """Blocks until `stop` is set, and calls `on_message(topic, payload)` in this thread.

    `on_state` hears one line when the connection changes. Raises FerdError with the remedy when the very first
    connection fails; later ones are tried again every AGAIN_AFTER_S.
    """
    wake = Wake()
    listened = False
    try:
        while not stop.is_set():
            link, reason = connect(target, wake, lambda heard: on_message(heard.topic, heard.payload), stop)
            if link is not None:
                listened = True
                on_state(f"listening at {target.host}:{target.port} (MQTT {link.protocol})")
                reason = _serve(link, topics, stop)
            elif not listened:
                raise FerdError(f"no connection to the broker at {target.host}:{target.port}: {reason}")
            on_state(f"connection lost ({reason}), trying again")
            stop.wait(AGAIN_AFTER_S)
    finally:
        wake.close()


def connect(
    target: BrokerSettings,
    wake: Wake,
    on_heard: Callable[[IncomingMessage], None],
    stop: threading.Event,
    on_refused: OnRefused | None = None,
) -> tuple[MqttConnection | None, str]:
    """A connected link, or None and why there is none. Version 5 first, then 3.1.1, also on silence."""
    reason = ""
    protocols: tuple[Protocol, ...] = ("5", "3.1.1")
    for protocol in protocols:
        client_id = f"ferd-watch-{os.getpid()}-{time.monotonic_ns() % 100000}"
        link = MqttConnection(target, protocol, client_id, wake, on_message=on_heard, on_refused=on_refused)
        try:
            link.open()
            until = time.monotonic() + ANSWER_WAITS_S[protocol]
            while link.answer is None and link.ended is None and time.monotonic() < until and not stop.is_set():
                link.turn(NAP_S)
        except ssl.SSLError as error:
            link.close()
            return None, "; ".join(explain(error))
        except OSError as error:
            link.close()
            return None, f"{error.strerror or error}. Is it running? See [mqtt] host and port, or --host and --port"
        if link.connected:
            return link, ""
        reason = f"{link.answer or link.ended or 'no answer'}"
        if link.bad_credentials:
            reason += ". Check mqtt.username and mqtt.password_file"
        elif target.tls and link.answer is None:
            reason += f"; {OUR_CERTIFICATE}"
        link.close()
        if link.answer is not None and not link.bad_protocol:
            break
    return None, reason


def _serve(link: MqttConnection, topics: Sequence[str], stop: threading.Event) -> str:
    """Until the connection ends or `stop` is set; returns why it ended."""
    try:
        link.listen(topics)
        while link.connected and not stop.is_set():
            link.turn(NAP_S)
        link.leave()
    except BrokenPipeError:
        raise  # not the network: whoever reads our output has gone
    except OSError as error:
        return error.strerror or str(error)
    finally:
        link.close()
    return link.ended or "stopped"
