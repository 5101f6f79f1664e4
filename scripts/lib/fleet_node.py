"""Simulate ferds for bench_fleet: the real EventBuilder, Outbox and Publisher with a scripted face."""

from __future__ import annotations

import heapq
import json
import logging
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import NamedTuple

from ferd import topics
from ferd.config.models import MqttConfig
from ferd.event_builder import EventBuilder
from ferd.outputs.home_assistant.discovery import Device, announcement
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.payloads import ONLINE, Info, State
from ferd.topics import Message
from ferd.types import Box, Face, FaceReading, Reading, Track

CAMERA = "desk"
LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
READINGS_A_SECOND = 2.0
NOBODY = 0.15
"""Probability that an expression is followed by an empty room."""


class Plan(NamedTuple):
    """The nodes of one process. ``every_s``: mean seconds for which a face keeps its expression."""

    first: int
    count: int
    host: str
    port: int
    every_s: float
    discovery: bool


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
        self._face = ScriptedFace(number, plan.every_s)
        self._builder = EventBuilder(self.name, CAMERA)
        self._state: State | None = None
        self._outbox = Outbox()
        self._outbox.subscribe(self._note)
        config = MqttConfig(host=plan.host, port=plan.port, discovery=plan.discovery)
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
        elif message.topic == topics.node_status(self.name) and message.payload == ONLINE:
            self._sent.online.append((self.name, time.time()))


def simulate(plan: Plan, line: Connection) -> None:
    """Run the nodes in a process of their own: send "up", step until "quiet" arrives, wait for "stop", send Sent."""
    logging.disable(logging.WARNING)  # each node would log the restart of the broker
    sent = Sent()
    nodes = [Node(plan.first + i, plan, sent) for i in range(plan.count)]
    for node in nodes:
        node.start()
    line.send("up")
    _run(nodes, line)
    line.send("quiet")
    line.recv()
    _stop_all(nodes)
    line.send(sent)


def _run(nodes: Sequence[Node], line: Connection) -> None:
    """Step each node at its own times, until a command arrives."""
    begin, step = time.monotonic(), 1 / READINGS_A_SECOND
    turns = [(begin + step * i / len(nodes), i) for i in range(len(nodes))]
    while turns and not line.poll(max(0.0, turns[0][0] - time.monotonic())):
        at, i = heapq.heappop(turns)
        nodes[i].step(at - begin)
        heapq.heappush(turns, (at + step, i))
    line.recv()


def _stop_all(nodes: Sequence[Node]) -> None:
    threads = [threading.Thread(target=node.stop) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
