"""How one broker and a fleet of ferds get along: see scripts/bench-fleet."""

from __future__ import annotations

import argparse
import getpass
import json
import multiprocessing
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from fleet_node import READINGS_A_SECOND, Plan, Told, simulate
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ferd.outputs.mqtt.token_bucket import PAUSE_S

HOST = "127.0.0.1"
CONNECT_WITHIN_S = 180.0
SETTLE_S = 3.0
"""Or half of the steady part, where that is less."""
LAST_WORD_S = PAUSE_S + 1
"""A camera that has used up its messages sends one every PAUSE_S: so long its last state can wait."""
TICKS = os.sysconf("SC_CLK_TCK")


class Broker:
    """A mosquitto whose sessions outlive its restart, so that what our listener misses meanwhile waits for it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port = int(probe.getsockname()[1])
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} {HOST}", "allow_anonymous true", f"user {getpass.getuser()}", "log_dest none"]
        lines += ["persistence true", f"persistence_location {folder}/", "max_queued_messages 0", ""]
        self._config.write_text("\n".join(lines))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto") or sys.exit("mosquitto is not installed: apt install mosquitto")
        self._process = subprocess.Popen([program, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        while True:
            with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
                return
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def cpu_s(self) -> float:
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_mb(self) -> float:
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@dataclass(frozen=True, slots=True)
class Heard:
    """An event, and when it came (wall)."""

    topic: str
    event: dict[str, Any]
    came: float

    @property
    def happened(self) -> float:
        return datetime.fromisoformat(self.event["at"]).timestamp()


class Listener:
    """Hears everything, with a session that the broker keeps for it."""

    def __init__(self, port: int) -> None:
        self.arrived: list[float] = []
        """When each message came (wall)."""
        self.events: list[Heard] = []
        self.states: dict[str, str] = {}
        self._online: dict[str, float] = {}
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, "fleet-listener", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._hear
        lasting = Properties(PacketTypes.CONNECT)
        lasting.SessionExpiryInterval = 3600
        self._client.connect(HOST, port, clean_start=False, properties=lasting)
        self._client.loop_start()
        self._ready.wait(10)

    def online_since(self, since: float) -> int:
        """How many nodes have said so since then (wall)."""
        return sum(at >= since for at in list(self._online.values()))

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _hear(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        now = time.time()
        self.arrived.append(now)
        if message.topic.endswith("/event"):
            self.events.append(Heard(message.topic, json.loads(message.payload), now))
        elif message.topic.endswith("/state"):
            self.states[message.topic] = message.payload.decode()
        elif message.payload == b"online" and message.topic.count("/") == 2:
            self._online[message.topic] = now


class Fleet:
    """Processes full of nodes."""

    def __init__(self, args: argparse.Namespace, port: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._workers: list[tuple[Any, Connection]] = []
        for first in range(0, args.nodes, args.per_process):
            ours, theirs = context.Pipe()
            count = min(args.per_process, args.nodes - first)
            plan = Plan(first, count, HOST, port, args.every, args.discovery)
            process = context.Process(target=simulate, args=(plan, theirs), daemon=True)
            process.start()
            self._workers.append((process, ours))
        self._await("up")

    def quiet(self) -> None:
        self._say("quiet")
        self._await("quiet")

    def stop(self) -> Told:
        self._say("stop")
        all_told = Told()
        for process, line in self._workers:
            told = line.recv()
            all_told.events += told.events
            all_told.changes += told.changes
            all_told.states |= told.states
            all_told.online += told.online
            process.join(10)
        return all_told

    def _say(self, word: str) -> None:
        for _, line in self._workers:
            line.send(word)

    def _await(self, word: str) -> None:
        for _, line in self._workers:
            assert line.recv() == word


def main() -> int:
    args = arguments()
    with tempfile.TemporaryDirectory() as folder, running(Broker(Path(folder))) as broker:
        listener = Listener(broker.port)
        result = bench(args, broker, listener)
        listener.stop()
    print(json.dumps(result) if args.json else table(result))
    return 1 if result["lost_events"] or result["wrong_states"] or result["not_back"] else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--per-process", type=int, default=100, help="nodes in one process")
    parser.add_argument("--seconds", type=float, default=60, help="how long the steady part is measured")
    parser.add_argument("--every", type=float, default=20, help="mean seconds for which a face keeps its expression")
    parser.add_argument("--away", type=float, default=5, help="seconds for which the broker is away")
    parser.add_argument("--no-discovery", dest="discovery", action="store_false", help="without Home Assistant")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


@contextmanager
def running(broker: Broker) -> Iterator[Broker]:
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def bench(args: argparse.Namespace, broker: Broker, listener: Listener) -> dict[str, Any]:
    """Starts the fleet, measures the steady part, restarts the broker, and compares what was told with what came."""
    begun, settle_s = time.time(), min(SETTLE_S, args.seconds / 2)
    fleet = Fleet(args, broker.port)
    wait_for_statuses(listener, args.nodes)
    time.sleep(settle_s)
    cpu, steady = broker.cpu_s(), time.time()
    time.sleep(args.seconds)
    cpu_percent, steady_end, rss_mb = 100 * (broker.cpu_s() - cpu) / args.seconds, time.time(), broker.rss_mb()
    broker.stop()
    time.sleep(args.away)
    broker.start()
    back = time.time()
    wait_for_statuses(listener, args.nodes, back)
    time.sleep(args.seconds / 4 + settle_s)
    fleet.quiet()
    time.sleep(LAST_WORD_S)
    told = fleet.stop()
    wait_until_quiet(listener)
    first = [at - begun for _, at in told.online if at < steady]
    again = [at - back for _, at in told.online if at >= back - 1]
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "nodes": args.nodes,
        "readings_a_second": args.nodes * READINGS_A_SECOND,
        "connected_within_s": round(max(first, default=0), 1),
        **traffic(listener, steady, steady_end),
        "broker_cpu_percent": round(cpu_percent, 1),
        "broker_rss_mb": round(rss_mb, 1),
        "away_s": args.away,
        **spread(again),
        "not_back": args.nodes - len({node for node, at in told.online if at >= back - 1}),
        **losses(listener, told),
    }


def wait_for_statuses(listener: Listener, nodes: int, since: float = 0.0) -> None:
    """Until each node has said online since then (wall), or CONNECT_WITHIN_S have passed."""
    until = time.monotonic() + CONNECT_WITHIN_S
    while time.monotonic() < until and listener.online_since(since) < nodes:
        time.sleep(0.1)


def wait_until_quiet(listener: Listener) -> None:
    count = -1
    while count != len(listener.arrived):
        count = len(listener.arrived)
        time.sleep(1)


def traffic(listener: Listener, begin: float, end: float) -> dict[str, Any]:
    """The steady part: rates at which the listener gets messages, and how long after it happened an event came."""
    messages = sum(begin <= at < end for at in listener.arrived)
    delays = [1000 * (it.came - it.happened) for it in listener.events if begin <= it.happened < end - 1]
    return {
        "messages_a_second": round(messages / (end - begin), 1),
        "events": len(delays),
        "delay_p50_ms": percentile(delays, 50),
        "delay_p99_ms": percentile(delays, 99),
        "delay_max_ms": percentile(delays, 100),
    }


def spread(again: Sequence[float]) -> dict[str, Any]:
    """When the nodes were back, in seconds after the broker was, and the most of them in any one second."""
    most = max((int(((t <= np.array(again)) & (np.array(again) < t + 1)).sum()) for t in again), default=0)
    return {
        "back_p50_s": percentile(again, 50),
        "back_p99_s": percentile(again, 99),
        "back_last_s": percentile(again, 100),
        "back_most_in_a_second": most,
    }


def losses(listener: Listener, told: Told) -> dict[str, Any]:
    """What was told and never came; what came twice or late; last states that are not as they were told.

    Changes of the expression are made one while a camera is over its budget, so of them none is lost when each begins
    where the one before it ended.
    """
    came = Counter(it.event["id"] for it in listener.events)
    return {
        "told_events": len(told.events) + len(told.changes),
        "lost_events": len(set(told.events) - set(came)) + broken_chains(listener.events),
        "merged_events": len(set(told.changes) - set(came)),
        "late_events": sum(it.event.get("late", False) for it in listener.events),
        "repeated_events": sum(came.values()) - len(came),
        "wrong_states": sum(listener.states.get(topic) != state for topic, state in told.states.items()),
    }


def broken_chains(events: Sequence[Heard]) -> int:
    ends: dict[str, Any] = {}
    broken = 0
    once = {it.event["id"]: it for it in events}  # what was sent twice has the same id
    for it in sorted(once.values(), key=lambda it: it.happened):
        if it.event["event_type"] == "expression_changed":
            broken += it.event["from"] != ends.get(it.topic)
            ends[it.topic] = it.event["to"]
    return broken


def percentile(values: Sequence[float], share: float) -> float | None:
    return round(float(np.percentile(values, share)), 2) if values else None


def table(result: dict[str, Any]) -> str:
    return "\n".join(f"{key.replace('_', ' '):<26}{value}" for key, value in result.items())


if __name__ == "__main__":
    sys.exit(main())
