#!/usr/bin/env python3
"""Store the messages of a fleet of ferds in PostgreSQL (schema.sql). See docs/fleet-storage.md.

A message is acknowledged to the broker after the database has committed it, and the broker keeps the session: nothing
is lost while this program or the database is away, within the limits of the broker's queue. Messages that are delivered
twice are stored once (ferd.store).
"""

from __future__ import annotations

import argparse
import logging
import queue
import signal
import sys
import time
from pathlib import Path

import psycopg
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

TOPICS = ["ferd/+/status", "ferd/+/info", "ferd/+/health", "ferd/+/+/status", "ferd/+/+/event"]
BATCH = 500  # messages in one transaction
SESSION_S = 7 * 86400  # for how long the broker keeps the messages of this client while it is away
RETRY_S = 5.0
STORE = "SELECT ferd.store(%s, %s, %s)"
log = logging.getLogger("store")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", default="dbname=ferd", help="as libpq takes it; passwords: ~/.pgpass")
    parser.add_argument("--host", default="localhost", help="the broker")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--ca-file", help="encrypt, and check the broker's certificate with this authority")
    parser.add_argument("--cert-file", help="certificate of this client, with --ca-file")
    parser.add_argument("--key-file")
    parser.add_argument("--username")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--client-id", default="ferd-store", help="each of several such programs needs its own")
    parser.add_argument("--site", default="home", help="site of topics without a site in front of ferd/")
    return parser.parse_args()


class Receiver:
    """The messages that wait to be stored, each with the number of the connection on which it came."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._inbox: queue.SimpleQueue[tuple[int, MQTTMessage]] = queue.SimpleQueue()
        self._connection = 0
        self._client = client = Client(CallbackAPIVersion.VERSION2, args.client_id, protocol=MQTTv5, manual_ack=True)
        client.on_connect = self._subscribe
        client.on_subscribe = lambda *_: log.info("subscribed")
        client.on_disconnect = lambda _c, _u, _f, reason, _p: log.warning("disconnected: %s", reason)
        client.on_message = lambda _c, _u, message: self._inbox.put((self._connection, message))
        if args.username:
            client.username_pw_set(args.username, args.password_file and args.password_file.read_text().strip())
        if args.ca_file:
            client.tls_set(args.ca_file, args.cert_file, args.key_file)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval, properties.ReceiveMaximum = SESSION_S, BATCH
        client.connect_async(args.host, args.port, keepalive=30, clean_start=False, properties=properties)
        client.loop_start()

    def _subscribe(self, client: Client, _data: object, _flags: object, reason: ReasonCode, _p: object) -> None:
        log.info("broker %s: %s", client.host, reason)
        self._connection += 1
        client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in TOPICS + [f"+/{topic}" for topic in TOPICS]])

    def add_to(self, batch: list[tuple[int, MQTTMessage]]) -> None:
        """Wait for a message, and take those that are there as well."""
        while not batch or (len(batch) < BATCH and not self._inbox.empty()):
            batch.append(self._inbox.get())

    def acknowledge(self, batch: list[tuple[int, MQTTMessage]]) -> None:
        """On another connection the broker sends the same messages again, with other numbers."""
        for connection, message in batch:
            if connection == self._connection:
                self._client.ack(message.mid, message.qos)


def store(database: psycopg.Connection, messages: list[MQTTMessage], site: str) -> None:
    """Store a batch in one transaction; if one of it is not as it should be, each alone, without that one."""
    rows = [(it.topic, it.payload.decode(errors="replace"), site) for it in messages]
    try:
        with database.transaction(), database.cursor() as cursor:
            cursor.executemany(STORE, rows)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if len(messages) > 1:
            for message in messages:
                store(database, [message], site)
        else:
            log.warning("%s is dropped: %s", messages[0].topic, str(error).splitlines()[0])


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    args = options()
    receiver = Receiver(args)
    batch: list[tuple[int, MQTTMessage]] = []
    while True:
        try:
            with psycopg.connect(args.database, autocommit=True, connect_timeout=10) as database:
                while True:
                    receiver.add_to(batch)
                    store(database, [message for _, message in batch], args.site)
                    receiver.acknowledge(batch)
                    batch.clear()
        except psycopg.OperationalError as error:
            log.warning("database: %s; trying again in %g s", str(error).splitlines()[0], RETRY_S)
            time.sleep(RETRY_S)
        except psycopg.ProgrammingError as error:
            sys.exit(f"database: {str(error).splitlines()[0]}. Was schema.sql run in it, and may this user use it?")


if __name__ == "__main__":
    main()
