"""Measure one broker with a fleet of ferds: see scripts/bench-fleet."""

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

import fleet_model
import numpy as np
from fleet_node import READINGS_A_SECOND, Plan, Sent, per_process, simulate
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ferd.outputs.mqtt.outbox import LAST_VALUE_WAITS_S

HOST = "127.0.0.1"
CONNECT_WITHIN_S = 180.0
SETTLE_S = 3.0
"""Seconds to wait before measuring; half of the measured seconds where that is less."""
LAST_STATE_S = LAST_VALUE_WAITS_S + 1
"""The last state of a camera that has used up its messages may wait this long."""
TICKS = os.sysconf("SC_CLK_TCK")


def process_cpu_s(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Broker:
    """A mosquitto that keeps sessions over its restart, so that the listener receives later what it missed."""

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
        return process_cpu_s(self._process.pid)

    def rss_mb(self) -> float:
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event, and when it arrived (wall clock)."""

    topic: str
    event: dict[str, Any]
    arrived_at: float

    @property
    def happened(self) -> float:
        return datetime.fromisoformat(self.event["at"]).timestamp()


class Listener:
    """Receive everything, in a session that the broker keeps."""

    def __init__(self, port: int) -> None:
        self.arrived: list[float] = []
        """When each message arrived (wall clock)."""
        self.events: list[ReceivedEvent] = []
        self.states: dict[str, str] = {}
        self._online: dict[str, float] = {}
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, "fleet-listener", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._receive
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        self._client.connect(HOST, port, clean_start=False, properties=properties)
        self._client.loop_start()
        self._ready.wait(10)

    def online_since(self, since: float) -> int:
        """Return how many nodes have published online since then (wall clock)."""
        return sum(at >= since for at in list(self._online.values()))

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _receive(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        now = time.time()
        self.arrived.append(now)
        if message.topic.endswith("/event"):
            self.events.append(ReceivedEvent(message.topic, json.loads(message.payload), now))
        elif message.topic.endswith("/state"):
            self.states[message.topic] = message.payload.decode()
        elif message.payload == b"online" and message.topic.count("/") == 2:
            self._online[message.topic] = now


class Fleet:
    """The processes that simulate the nodes."""

    def __init__(self, args: argparse.Namespace, brokers: Sequence[tuple[str, int]]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connections: list[tuple[str, float, str]] = []
        self._workers: list[tuple[Any, Connection]] = []
        processes = -(-args.nodes // args.per_process)
        pause_s = processes / args.ramp if args.ramp else 0.0
        for first in range(0, args.nodes, args.per_process):
            ours, theirs = context.Pipe()
            count = min(args.per_process, args.nodes - first)
            plan = Plan(first, count, tuple(brokers), args.every, args.discovery, args.seed, pause_s)
            process = context.Process(target=simulate, args=(plan, theirs), daemon=True)
            process.start()
            self._workers.append((process, ours))
        self._await("up")

    def connections(self) -> list[tuple[str, float, str]]:
        """Return those that were made and lost so far: see Sent."""
        self._send("connections")
        for _, line in self._workers:
            self._connections += line.recv()
        return self._connections

    def cpu_s(self) -> float:
        """Return the seconds of CPU that the processes have used."""
        return sum(process_cpu_s(process.pid) for process, _ in self._workers)

    def quiet(self) -> None:
        self._send("quiet")
        self._await("quiet")

    def stop(self) -> Sent:
        self._send("stop")
        total = Sent()
        for process, line in self._workers:
            total.add(line.recv())
            process.join(10)
        return total

    def _send(self, word: str) -> None:
        for _, line in self._workers:
            line.send(word)

    def _await(self, word: str) -> None:
        for _, line in self._workers:
            assert line.recv() == word


def main() -> int:
    args = arguments()
    if args.simulate is not None:
        try:
            print(fleet_model.report(fleet_model.plan_of(args)))
        except ValueError as problem:
            sys.exit(f"error: {problem}")
        return 0
    with tempfile.TemporaryDirectory() as folder, running(Broker(Path(folder))) as broker:
        listener = Listener(broker.port)
        result = bench(args, broker, listener)
        listener.stop()
    print(json.dumps(result) if args.json else table(result))
    return 1 if result["lost_events"] or result["wrong_states"] or result["not_back"] else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--per-process", type=per_process, default=100, help="nodes in one process")
    parser.add_argument("--seconds", type=float, default=60, help="how long the steady part is measured")
    parser.add_argument("--every", type=float, default=20, help="mean seconds for which a face keeps its expression")
    parser.add_argument("--away", type=float, default=5, help="seconds for which the broker is away")
    parser.add_argument("--seed", type=int, default=0, help="of the faces")
    parser.add_argument("--ramp", type=float, default=0, help="nodes that are started in a second; 0: all at once")
    parser.add_argument("--no-discovery", dest="discovery", action="store_false", help="without Home Assistant")
    parser.add_argument("--json", action="store_true")
    fleet_model.add_arguments(parser)
    return parser.parse_args()


@contextmanager
def running(broker: Broker) -> Iterator[Broker]:
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def bench(args: argparse.Namespace, broker: Broker, listener: Listener) -> dict[str, Any]:
    """Start the fleet, measure the steady part, restart the broker, and compare what was sent with what arrived."""
    begun, settle_s = time.time(), min(SETTLE_S, args.seconds / 2)
    fleet = Fleet(args, [(HOST, broker.port)])
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
    time.sleep(LAST_STATE_S)
    sent = fleet.stop()
    wait_until_quiet(listener)
    first = [at - begun for _, at in sent.online if at < steady]
    again = [at - back for _, at in sent.online if at >= back - 1]
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
        "not_back": args.nodes - len({node for node, at in sent.online if at >= back - 1}),
        **losses(listener, sent),
    }


def wait_for_statuses(listener: Listener, nodes: int, since: float = 0.0) -> None:
    """Wait until each node has published online since then (wall clock), for CONNECT_WITHIN_S at most."""
    until = time.monotonic() + CONNECT_WITHIN_S
    while time.monotonic() < until and listener.online_since(since) < nodes:
        time.sleep(0.1)


def wait_until_quiet(listener: Listener) -> None:
    count = -1
    while count != len(listener.arrived):
        count = len(listener.arrived)
        time.sleep(1)


def traffic(listener: Listener, begin: float, end: float) -> dict[str, Any]:
    """Return rates of messages and delays of events (from happening to arrival) in the steady part."""
    messages = sum(begin <= at < end for at in listener.arrived)
    delays = [1000 * (it.arrived_at - it.happened) for it in listener.events if begin <= it.happened < end - 1]
    return {
        "messages_a_second": round(messages / (end - begin), 1),
        "events": len(delays),
        "delay_p50_ms": percentile(delays, 50),
        "delay_p99_ms": percentile(delays, 99),
        "delay_max_ms": percentile(delays, 100),
    }


def spread(again: Sequence[float]) -> dict[str, Any]:
    """Return when the nodes reconnected, in seconds after the broker, and the most of them within one second."""
    most = max((int(((t <= np.array(again)) & (np.array(again) < t + 1)).sum()) for t in again), default=0)
    return {
        "back_p50_s": percentile(again, 50),
        "back_p99_s": percentile(again, 99),
        "back_last_s": percentile(again, 100),
        "back_most_in_a_second": most,
    }


def losses(listener: Listener, sent: Sent) -> dict[str, Any]:
    """Return what was lost, what arrived twice or late, and last states that differ from what was sent.

    A camera over its rate limit merges changes of the expression: none is lost when each begins with the label with
    which the one before ended.
    """
    arrived = Counter(it.event["id"] for it in listener.events)
    return {
        "sent_events": len(sent.events) + len(sent.changes),
        "lost_events": len(set(sent.events) - set(arrived)) + broken_chains(listener.events),
        "merged_events": len(set(sent.changes) - set(arrived)),
        "late_events": sum(it.event.get("late", False) for it in listener.events),
        "repeated_events": sum(arrived.values()) - len(arrived),
        "wrong_states": sum(listener.states.get(topic) != state for topic, state in sent.states.items()),
    }


def broken_chains(events: Sequence[ReceivedEvent]) -> int:
    ends: dict[str, Any] = {}
    broken = 0
    once = {it.event["id"]: it for it in events}  # a repeated event has the same id
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
