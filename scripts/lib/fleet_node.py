"""Simulate ferds for bench_fleet and bench_cluster: the real EventBuilder, Outbox and Publisher, a scripted face."""

from __future__ import annotations

import argparse
import heapq
import json
import logging
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import NamedTuple

from ferd import topics
from ferd.config import MqttConfig
from ferd.event_builder import EventBuilder
from ferd.outputs.home_assistant.discovery import Device, announcement
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.payloads import ONLINE, Event, Info, State
from ferd.topics import Message
from ferd.types import Box, Face, FaceReading, Reading, Track

CAMERA = "desk"
LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
READINGS_A_SECOND = 2.0
NOBODY = 0.15
"""Probability that an expression is followed by an empty room."""


MOST_PER_PROCESS = 150
"""paho waits with select, which takes file descriptors below 1024 only, and each node has five."""


def per_process(text: str) -> int:
    """Read how many nodes one process simulates. Raises argparse.ArgumentTypeError."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PER_PROCESS:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to {MOST_PER_PROCESS}: more processes are made instead")
    return int(text)


class Plan(NamedTuple):
    """The nodes of one process. ``every_s``: mean seconds for which a face keeps its expression.

    ``brokers``: hosts and ports. Several are the nodes of a cluster, and each ferd takes them in an order of its own.
    ``start_every_s``: pause between the starts of two nodes, so that they do not all connect at once.
    """

    first: int
    count: int
    brokers: tuple[tuple[str, int], ...]
    every_s: float
    discovery: bool
    seed: int = 0
    start_every_s: float = 0.0


@dataclass
class Sent:
    """What the nodes of one process put into their outboxes, for the comparison with what arrived."""

    events: list[str] = field(default_factory=list)
    """Ids of the events that must arrive."""
    changes: list[str] = field(default_factory=list)
    """Ids of changes of the expression: a camera over its rate limit merges several into one."""
    states: dict[str, str] = field(default_factory=dict)
    online: list[tuple[str, float]] = field(default_factory=list)
    """Node, and when the broker accepted its connection (wall clock)."""
    connections: list[tuple[str, float, str]] = field(default_factory=list)
    """Node, when it was connected or not (wall clock), and to which broker; empty: to none."""
    acknowledged: list[str] = field(default_factory=list)
    """Ids of the events that a broker has acknowledged."""
    log: Counter[str] = field(default_factory=Counter)
    """How many lines of the log began with this word."""

    def add(self, other: Sent) -> None:
        """Add what another process sent."""
        for name in ("events", "changes", "online", "connections", "acknowledged"):
            getattr(self, name).extend(getattr(other, name))
        self.states |= other.states
        self.log += other.log


class RecordingOutbox(Outbox):
    """Note which events the broker has acknowledged."""

    def __init__(self, acknowledged: list[str]) -> None:
        super().__init__()
        self._acknowledged = acknowledged

    def acknowledge(self, message: Message, now: float) -> None:
        super().acknowledge(message, now)
        if isinstance(message.payload, Event):
            self._acknowledged.append(message.payload.id)


class LineCounter(logging.Handler):
    """Count the lines of the log by their first word, instead of writing them."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__(logging.INFO)
        self._counts = counts

    def emit(self, record: logging.LogRecord) -> None:
        self._counts[record.getMessage().partition(" ")[0]] += 1


class ScriptedFace:
    """One person who comes, goes, and keeps each expression for a random time. Seeded: each run sees the same."""

    def __init__(self, seed: int, every_s: float) -> None:
        self._random, self._every_s = random.Random(seed), every_s
        self._track, self._since, self._until = 0, 0.0, 0.0
        self._label: str | None = None

    def at(self, t: float) -> Reading:
        if t >= self._until:
            self._next(t)
        if self._label is None:
            return Reading(t)
        track = Track(self._track, Face(Box(200, 120, 90, 90)), self._since, t)
        face = FaceReading(track, {}, {}, self._label, 0.83, self._since)
        return Reading(t, (face,), main=self._track)

    def _next(self, t: float) -> None:
        was = self._label
        others = [label for label in LABELS if label != was]
        self._label = None if was is not None and self._random.random() < NOBODY else self._random.choice(others)
        self._track += was is None
        self._since, self._until = t, t + 1 + self._random.expovariate(1 / self._every_s)


class Node:
    def __init__(self, number: int, plan: Plan, sent: Sent) -> None:
        self.name = f"node-{number:04d}"
        self._sent = sent
        self._face = ScriptedFace(1_000_000 * plan.seed + number, plan.every_s)
        self._builder = EventBuilder(self.name, CAMERA)
        self._state: State | None = None
        self._outbox = RecordingOutbox(sent.acknowledged)
        self._outbox.subscribe(self._note)
        hosts = [f"{host}:{port}" for host, port in plan.brokers]
        config = MqttConfig(hosts=hosts, hosts_order="random", discovery=plan.discovery)
        identity = f"ferd_{number:06x}"
        self._publisher = Publisher(config, self.name, identity, self._outbox, cameras=[CAMERA])
        self._announce(identity, plan.discovery)

    def start(self) -> None:
        self._publisher.start()

    def step(self, t: float) -> None:
        published = self._builder.update(self._face.at(t), time.time())
        if published.state is not None and published.state != self._state:
            self._state = published.state
            self._put(topics.STATE.message(published.state, node=self.name, camera=CAMERA))
        for event in published.events:
            self._put(topics.EVENT.message(event, node=self.name, camera=CAMERA))

    def stop(self) -> None:
        self._publisher.stop()

    def _announce(self, identity: str, discovery: bool) -> None:
        self._put(topics.info_message(self.name, Info("0.1", "expression", LABELS, [CAMERA])))
        self._put(topics.camera_status_message(self.name, CAMERA, "online"))
        if discovery:
            self._put(announcement("homeassistant", Device(identity, self.name, [CAMERA], LABELS)))

    def _put(self, message: Message) -> None:
        self._outbox.put(message, time.monotonic())

    def _note(self, message: Message) -> None:
        if message.topic == topics.camera_event(self.name, CAMERA):
            event = json.loads(message.encoded())
            kept = self._sent.changes if event["event_type"] == "expression_changed" else self._sent.events
            kept.append(event["id"])
        elif message.topic == topics.camera_state(self.name, CAMERA):
            self._sent.states[message.topic] = message.encoded().decode()
        elif message.topic == topics.node_status(self.name):
            now, is_online = time.time(), message.payload == ONLINE
            if is_online:
                self._sent.online.append((self.name, now))
            self._sent.connections.append((self.name, now, self._publisher.status.server if is_online else ""))


def simulate(plan: Plan, line: Connection) -> None:
    """Run the nodes in a process of their own: send "up", step until "quiet" arrives, wait for "stop", send Sent.

    While they step, "connections" is answered with those that were noted since the last time.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; what was sent is judged all the same
    sent = Sent()
    log = logging.getLogger("ferd")  # each node logs the restart of the broker
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(LineCounter(sent.log))
    nodes = [Node(plan.first + i, plan, sent) for i in range(plan.count)]
    for node in nodes:
        node.start()
        time.sleep(plan.start_every_s)
    line.send("up")
    _run(nodes, line, sent)
    line.send("quiet")
    line.recv()
    _stop_all(nodes)
    line.send(sent)


def _run(nodes: Sequence[Node], line: Connection, sent: Sent) -> None:
    """Step each node at its own times, until "quiet" arrives."""
    begin, step, shown = time.monotonic(), 1 / READINGS_A_SECOND, 0
    turns = [(begin + step * i / len(nodes), i) for i in range(len(nodes))]
    while True:
        while not line.poll(max(0.0, turns[0][0] - time.monotonic())):
            at, i = heapq.heappop(turns)
            nodes[i].step(at - begin)
            heapq.heappush(turns, (at + step, i))
        if line.recv() == "quiet":
            return
        new = sent.connections[shown:]
        shown += len(new)
        line.send(new)


def _stop_all(nodes: Sequence[Node]) -> None:
    threads = [threading.Thread(target=node.stop) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
