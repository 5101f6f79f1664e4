"""Measure a fleet of ferds with a cluster of three RabbitMQ nodes under faults: see scripts/bench-cluster."""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import cpu_shares
import rabbit_cluster
from bench_fleet import LAST_STATE_S, TICKS, Fleet, percentile, process_cpu_s
from cpu_shares import CpuShares, Shares
from fleet_node import READINGS_A_SECOND, Sent, per_process
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from rabbit_cluster import Cluster, RabbitNode

BACK_WITHIN_S = 60.0
"""All nodes must be connected again this long after a fault, or after the quorum is there again."""
PATIENCE_S = 180.0
"""How long a fault is waited for before the next one, so that the table shows how late the last node was."""
CONNECT_WITHIN_S = 600.0
FAULTS = ("kill", "cut", "roll", "quorum")
MIN_GAP_S = 5.0
QUIET_S = 10.0


@dataclass
class Phase:
    """A part of the run. Times are wall clock.

    Attributes:
        victims: the brokers whose connections broke.
        back_from: the nodes' time to return counts from here.
        cpu: who used the processor, once the phase has ended; ``cpu_began`` is for its calculation.
    """

    name: str
    begun: float
    victims: tuple[str, ...] = ()
    back_from: float = 0.0
    ended: float = 0.0
    cpu_began: Shares = field(default_factory=dict)
    cpu: Shares = field(default_factory=dict)


@dataclass
class Heard:
    """What arrived at the subscriber: for each event when it happened and arrived, in the order of arrival."""

    events: list[tuple[str, float, float]] = field(default_factory=list)
    statuses: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    messages: int = 0


class Subscriber:
    """Receive everything through whichever broker is there, in a session that the cluster keeps.

    It shares no code with ferd: one paho client, which goes to the next broker when it has lost one.
    """

    def __init__(self, brokers: Sequence[tuple[str, int]]) -> None:
        self.heard = Heard()
        self.subscribed = threading.Event()
        self._brokers, self._stopping = list(brokers), threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, "fleet-subscriber", clean_session=False)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(topic, 1) for topic in ("ferd/+/+/event", "ferd/+/+/state", "ferd/+/status")]
        )
        self._client.on_subscribe = lambda *_: self.subscribed.set()
        self._client.on_message = self._receive
        self._client.connect_timeout = 3.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(10)

    def _run(self) -> None:
        turn = 0
        while not self._stopping.is_set():
            with suppress(OSError):
                self._client.connect(*self._brokers[turn % len(self._brokers)], keepalive=10)
                begun = time.monotonic()
                while not self._stopping.is_set() and self._client.loop(0.2) == MQTTErrorCode.MQTT_ERR_SUCCESS:
                    if not self._client.is_connected() and time.monotonic() - begun > 10:
                        break
            turn += 1
            self._stopping.wait(0.3)
        self._client.disconnect()

    def _receive(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        now, kind = time.time(), message.topic.rpartition("/")[2]
        self.heard.messages += 1
        if kind == "event":
            event = json.loads(message.payload)
            self.heard.events.append((event["id"], _seconds(event["at"]), now))
        elif kind == "status":
            self.heard.statuses[message.topic.split("/")[1]] = message.payload.decode()
        else:
            self.heard.states[message.topic] = message.payload.decode()


class Bench:
    """One run: the cluster, the fleet, the faults, and what is made of them."""

    def __init__(self, args: argparse.Namespace, cluster: Cluster) -> None:
        self._args, self._cluster, self._random = args, cluster, random.Random(args.seed)
        self.phases: list[Phase] = []
        self.ended_early = ""
        self.started_s: dict[str, float] = {}
        self.subscriber = Subscriber(cluster.addresses)
        if not self.subscriber.subscribed.wait(60):
            sys.exit("the subscriber cannot subscribe")
        faults = len(args.faults)
        self._gap_s = max(MIN_GAP_S, 60 * args.minutes / (2 * faults + 1))
        self._fleet: Fleet | None = None
        self._shares = CpuShares(
            {
                "brokers": lambda: [node.usage()[0] for node in cluster.nodes],
                "nodes": lambda: [process_cpu_s(pid) for pid in sorted(it.pid or 0 for it in active_children())],
                "subscriber": lambda: [process_cpu_s(os.getpid())],
            },
            TICKS,
        )
        self._begin("starting")
        begun = time.time()
        self._fleet = Fleet(args, cluster.addresses)  # returns when the last node was started
        # A broker accepts a connection before it has declared the queue and bound its topics.
        for what, count in (("connected", self._online), ("published", self._published)):
            self._await(lambda count=count: count() >= args.nodes, CONNECT_WITHIN_S)
            self.started_s[what] = time.time() - begun
            if (found := count()) < args.nodes and not self.ended_early:
                self.ended_early = f"{found} of {args.nodes} nodes were {what} after {self.started_s[what]:.0f} s"

    def run(self) -> Sent:
        self._settle("steady", measured=True)
        if self.ended_early:
            return self._end()
        faults: dict[str, Callable[[], None]] = {
            "kill": self._kill,
            "cut": self._cut,
            "roll": self._roll,
            "quorum": self._lose_quorum,
        }
        try:
            for name in self._args.faults:
                faults[name]()
                self._settle("steady")
        except (SystemExit, KeyboardInterrupt) as problem:  # what was measured until then is judged all the same
            self.ended_early = str(problem).partition("\n")[0][:120] or "interrupted"
        return self._end()

    def _end(self) -> Sent:
        self._running.quiet()
        time.sleep(LAST_STATE_S)
        self._end_phase(time.time())
        self._shares.stop()
        self.statuses = dict(self.subscriber.heard.statuses)  # before they say goodbye
        sent = self._running.stop()
        self._await_quiet()
        return sent

    def _kill(self) -> None:
        node = self._victim()
        with self._fault("kill -9", node):
            node.end(signal.SIGKILL)
        node.start()
        node.wait()

    def _cut(self) -> None:
        node = self._victim()
        with self._fault("cut off", node):
            node.cut_off()
        node.reconnect()
        node.wait()

    def _roll(self) -> None:
        for node in self._cluster.nodes:
            with self._fault(f"restart {node.number}", node):
                node.end(signal.SIGTERM)
                node.start()
                node.wait()

    def _lose_quorum(self) -> None:
        """Kill two of three: the third pauses itself. Two of them come back after a while."""
        down = self._random.sample(self._cluster.nodes, 2)
        phase = self._begin("quorum lost", *self._cluster.nodes)
        for node in down:
            node.end(signal.SIGKILL)
        time.sleep(self._args.without_quorum)
        for node in down:
            node.start()
        for node in down:
            node.wait()
        phase.back_from = time.time()
        self._await_back(phase)

    def _victim(self) -> RabbitNode:
        return self._random.choice(self._cluster.nodes)

    @contextmanager
    def _fault(self, name: str, node: RabbitNode) -> Iterator[None]:
        phase = self._begin(name, node)
        yield
        self._await_back(phase)

    def _begin(self, name: str, *victims: RabbitNode) -> Phase:
        now = time.time()
        self._end_phase(now)
        names = tuple(f"{node.host}:{node.port}" for node in victims)
        self.phases.append(Phase(name, now, names, now, cpu_began=self._shares.totals()))
        self._say(f"{name} {' '.join(names) if len(names) < 3 else ''}")
        return self.phases[-1]

    def _end_phase(self, now: float) -> None:
        if self.phases:
            phase = self.phases[-1]
            phase.ended, phase.cpu = now, cpu_shares.shares(phase.cpu_began, self._shares.totals())
            self._say(f"{phase.name} took {now - phase.begun:.0f} s; processor: {cpu_shares.text(phase.cpu)}")

    @property
    def _running(self) -> Fleet:
        assert self._fleet is not None
        return self._fleet

    def _settle(self, name: str, *, measured: bool = False) -> None:
        self._begin(name)
        if not measured:
            time.sleep(self._gap_s)
            return
        before, begun, messages = self._usage(), time.time(), self.subscriber.heard.messages
        cpu_s = self._running.cpu_s()
        time.sleep(self._gap_s)
        after, elapsed = self._usage(), time.time() - begun
        self.node_cpu_ms = 1000 * (self._running.cpu_s() - cpu_s) / elapsed / self._args.nodes
        self.messages_a_second = (self.subscriber.heard.messages - messages) / elapsed
        self.cpu_percent = [100 * (b[0] - a[0]) / elapsed for a, b in zip(before, after, strict=True)]
        self.rss_mb = [rss for _, rss in after]

    def _usage(self) -> list[tuple[float, float]]:
        return [node.usage() for node in self._cluster.nodes]

    def _await_back(self, phase: Phase) -> None:
        """Wait until no node is without a connection that was made after the fault."""
        self._await(lambda: None not in times_back(phase, self._running.connections()).values(), PATIENCE_S)

    def _online(self) -> int:
        return len({node for node, _, server in self._running.connections() if server})

    def _published(self) -> int:
        return list(self.subscriber.heard.statuses.values()).count("online")

    def _await(self, happened: Callable[[], bool], within_s: float) -> None:
        until = time.monotonic() + within_s
        while time.monotonic() < until and not happened():
            time.sleep(0.5)

    def _await_quiet(self) -> None:
        """Wait until nothing arrived for QUIET_S: a busy cluster needs a while."""
        count = -1
        while count != self.subscriber.heard.messages:
            count = self.subscriber.heard.messages
            time.sleep(QUIET_S)

    def _say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def judge(sent: Sent, heard: Heard, phases: Sequence[Phase]) -> dict[str, Any]:
    """Compare what the nodes sent and what was acknowledged with what arrived.

    ``unsent`` are events that no broker took within the 60 s for which they wait in memory, and those that waited for
    the rate limit at the end.
    """
    arrived = Counter(id for id, _, _ in heard.events)
    known = set(sent.events) | set(sent.changes)
    rows = [_row(phase, sent, heard) for phase in phases]
    return {
        "events": len(known),
        "acknowledged": len(set(sent.acknowledged)),
        "lost_acknowledged": len(set(sent.acknowledged) - set(arrived)),
        "unsent": len(set(sent.events) - set(sent.acknowledged) - set(arrived)),
        "repeated": sum(arrived.values()) - len(arrived),
        "unknown": len(set(arrived) - known),
        "wrong_states": sum(heard.states.get(topic) != state for topic, state in sent.states.items()),
        "not_back": sum(row["not_back"] for row in rows),
        "late_back": sum(row["late_back"] for row in rows),
        **_delays([(at, arrival) for _, at, arrival in heard.events]),
        "log_lines": dict(sent.log.most_common()),
        "phases": rows,
    }


def _row(phase: Phase, sent: Sent, heard: Heard) -> dict[str, Any]:
    back = times_back(phase, sent.connections)
    found = [it for it in back.values() if it is not None]
    others = others_away(phase, sent.connections)
    others_back = [it for it in others.values() if it is not None]
    return {
        "name": phase.name,
        "seconds": round(phase.ended - phase.begun, 1),
        "connections": len(back),
        "also_lost": len(others),
        "also_last_s": percentile(others_back, 100),
        "not_back": len(back) - len(found) + len(others) - len(others_back),
        "late_back": sum(it > BACK_WITHIN_S for it in (*found, *others_back)),
        "back_p50_s": percentile(found, 50),
        "back_p99_s": percentile(found, 99),
        "back_last_s": percentile(found, 100),
        **_delays([(at, arrival) for _, at, arrival in heard.events if phase.begun <= at < phase.ended]),
        "cpu": {name: round(part, 3) for name, part in phase.cpu.items()},
    }


def times_back(phase: Phase, connections: Sequence[tuple[str, float, str]]) -> dict[str, float | None]:
    """Return for each node that a victim served how long it took to be connected again; None: it is not.

    0.0: it was already connected at ``back_from``.
    """
    served, after = _split(phase, connections)
    back: dict[str, float | None] = {node: None for node, server in served.items() if server in phase.victims}
    for node, at, server in after:
        if node in back and at < phase.back_from:
            back[node] = 0.0 if server else None
        elif server and back.get(node, 0.0) is None:
            back[node] = at - phase.back_from
    return back


def _split(
    phase: Phase, connections: Sequence[tuple[str, float, str]]
) -> tuple[dict[str, str], list[tuple[str, float, str]]]:
    """Return which broker served each node when the phase began, and what changed during it."""
    ordered = sorted(connections, key=lambda it: it[1])
    served = {node: server for node, at, server in ordered if at < phase.begun}
    end = phase.ended or float("inf")
    return served, [it for it in ordered if phase.begun <= it[1] < end]


def others_away(phase: Phase, connections: Sequence[tuple[str, float, str]]) -> dict[str, float | None]:
    """Return for each node that lost a connection to a broker that nothing was done to how long it had none.

    The longest time that began in the phase, however long it lasted; None: until the end.
    """
    served, after = _split(phase, connections)
    lost = {node for node, _, server in after if not server and served.get(node) not in phase.victims}
    away: dict[str, float | None] = {}
    since: dict[str, float] = {}
    for node, at, server in sorted(connections, key=lambda it: it[1]):
        if node not in lost or at < phase.begun:
            continue
        if server and node in since:
            away[node] = max(away.get(node) or 0.0, at - since.pop(node))
        elif not server and at < (phase.ended or float("inf")):
            since.setdefault(node, at)
    return away | dict.fromkeys(since, None)


def _delays(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    delays = [1000 * (arrival - at) for at, arrival in pairs]
    return {
        "measured": len(delays),
        "delay_p50_ms": percentile(delays, 50),
        "delay_p99_ms": percentile(delays, 99),
        "delay_max_ms": percentile(delays, 100),
    }


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def table(result: dict[str, Any]) -> str:
    """Return the figures for people: those of the run, then a line for each phase."""
    lines = [f"{key.replace('_', ' '):<22}{value}" for key, value in result.items() if key != "phases"]
    head = (
        "phase",
        "lasted s",
        "lost",
        "back p50 s",
        "p99",
        "last",
        "also",
        "last",
        "events",
        "delay p50 ms",
        "p99",
        "max",
    )
    keys = ("name", "seconds", "connections", "back_p50_s", "back_p99_s", "back_last_s")
    keys += ("also_lost", "also_last_s", "measured")
    keys += ("delay_p50_ms", "delay_p99_ms", "delay_max_ms")
    rows = [head, *(tuple("-" if row[key] is None else str(row[key]) for key in keys) for row in result["phases"])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines += ["", '"lost": to the brokers that were hit; "also": to the others; "last": the longest time without one']
    lines += ["", *("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)]
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--per-process", type=per_process, default=125, help="nodes in one process")
    parser.add_argument("--ramp", type=float, default=5, help="nodes that are started in a second; 0: all at once")
    parser.add_argument("--minutes", type=float, default=10, help="time with a whole cluster; the faults come on top")
    parser.add_argument("--seed", type=int, default=1, help="which brokers are hit, and the faces")
    parser.add_argument("--every", type=float, default=20, help="mean seconds for which a face keeps its expression")
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=FAULTS, help="in this order")
    parser.add_argument("--without-quorum", type=float, default=20, help="seconds for which two of three are down")
    parser.add_argument("--discovery", action="store_true", help="with Home Assistant's documents")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def limit(phases: Sequence[Phase]) -> str:
    """Say what the slowest of the phases waited for: the one in which the processor was used most."""
    worst = min(phases, key=lambda phase: phase.cpu["idle"])
    return f"{worst.name}: {cpu_shares.limit(worst.cpu)}"


def main() -> int:
    args = arguments()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in the background without it
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if why := rabbit_cluster.missing():
        sys.exit(why)
    isolated = rabbit_cluster.enter_namespace()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        cluster = Cluster(Path(folder), isolated=isolated)
        try:
            cluster.start()
            bench = Bench(args, cluster)
            loads = [os.getloadavg()[0]]
            sent = bench.run()
            bench.subscriber.stop()
            loads.append(os.getloadavg()[0])
        finally:
            cluster.end()
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {loads[0]:.0f} to {loads[1]:.0f}",
        **({"ended_early": bench.ended_early} if bench.ended_early else {}),
        "cut_off_by": "network namespaces" if isolated else "SIGSTOP",
        "nodes": args.nodes,
        "seed": args.seed,
        "readings_a_second": args.nodes * READINGS_A_SECOND,
        "started_a_second": args.ramp or "all at once",
        "node_cpu_ms_a_second": round(bench.node_cpu_ms, 2),
        **{f"{what}_within_s": round(took, 1) for what, took in bench.started_s.items()},
        "messages_a_second": round(bench.messages_a_second, 1),
        "broker_cpu_percent": [round(it, 1) for it in bench.cpu_percent],
        "broker_rss_mb": [round(it) for it in bench.rss_mb],
        "offline_at_the_end": args.nodes - list(bench.statuses.values()).count("online"),
        **judge(sent, bench.subscriber.heard, bench.phases),
    }
    result["limit"] = limit(bench.phases)
    print(json.dumps(result) if args.json else table(result))
    faults = ("ended_early", "lost_acknowledged", "not_back", "late_back", "offline_at_the_end", "wrong_states")
    return 1 if any(result.get(key) for key in faults) else 0


if __name__ == "__main__":
    sys.exit(main())
