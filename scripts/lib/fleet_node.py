"""Simulated ferds for bench_fleet: the real Narrator, Board and Publisher, fed with a scripted face."""

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

from ferd.config.mqtt import MqttConfig
from ferd.event_builder import EventBuilder
from ferd.outputs.home_assistant.discovery import Device, announcement
from ferd.outputs.mqtt import topics
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.outputs.mqtt.topics import Info, Message
from ferd.types import Box, Face, FaceReading, Reading, Track

CAMERA = "desk"
LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
READINGS_A_SECOND = 2.0
NOBODY = 0.15
"""How often the next thing to see is an empty room."""


class Plan(NamedTuple):
    """What one process simulates. ``every_s``: the mean time for which a face keeps its expression."""

    first: int
    count: int
    host: str
    port: int
    every_s: float
    discovery: bool


@dataclass
class Told:
    """What the nodes of one process put on their boards, for the comparison with what arrived."""

    events: list[str] = field(default_factory=list)
    """Ids of those that must arrive."""
    changes: list[str] = field(default_factory=list)
    """Ids of changes of the expression: a camera over its budget makes one of several."""
    states: dict[str, str] = field(default_factory=dict)
    online: list[tuple[str, float]] = field(default_factory=list)
    """Node, and when (wall) the broker let it in."""


class ScriptedFace:
    """One person: comes, goes, and keeps each expression for a random time. Seeded, so every run sees the same."""

    def __init__(self, seed: int, every_s: float) -> None:
        self._dice, self._every_s = random.Random(seed), every_s
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
        self._label = None if was is not None and self._dice.random() < NOBODY else self._dice.choice(others)
        self._track += was is None
        self._since, self._until = t, t + 1 + self._dice.expovariate(1 / self._every_s)


class Node:
    def __init__(self, number: int, plan: Plan, told: Told) -> None:
        self.name = f"node-{number:04d}"
        self._told = told
        self._face = ScriptedFace(number, plan.every_s)
        self._narrator = EventBuilder(self.name, CAMERA)
        self._board = Outbox()
        self._board.subscribe(self._note)
        config = MqttConfig(host=plan.host, port=plan.port, discovery=plan.discovery)
        identity = f"ferd_{number:06x}"
        self._publisher = Publisher(config, self.name, identity, self._board, cameras=[CAMERA])
        self._introduce(identity, plan.discovery)

    def start(self) -> None:
        self._publisher.start()

    def look(self, t: float) -> None:
        for message in self._narrator.tell(self._face.at(t), time.time()):
            self._put(message)

    def stop(self) -> None:
        self._publisher.stop()

    def _introduce(self, identity: str, discovery: bool) -> None:
        self._put(topics.info_message(self.name, Info("0.1", "expression", LABELS, [CAMERA])))
        self._put(topics.camera_status_message(self.name, CAMERA, "online"))
        if discovery:
            self._put(announcement("homeassistant", Device(identity, self.name, [CAMERA], LABELS)))

    def _put(self, message: Message) -> None:
        self._board.put(message, time.monotonic())

    def _note(self, message: Message) -> None:
        if message.topic == topics.camera_event(self.name, CAMERA):
            event = json.loads(message.payload)
            kept = self._told.changes if event["event_type"] == "expression_changed" else self._told.events
            kept.append(event["id"])
        elif message.topic == topics.camera_state(self.name, CAMERA):
            self._told.states[message.topic] = message.payload.decode()
        elif message.topic == topics.node_status(self.name) and message.payload == topics.ONLINE.encode():
            self._told.online.append((self.name, time.time()))


def simulate(plan: Plan, line: Connection) -> None:
    """A process of its own. Sends "up", runs until it is told "quiet" (no more faces) and then "stop"; sends Told."""
    logging.disable(logging.WARNING)  # each node would tell of the restart
    told = Told()
    nodes = [Node(plan.first + i, plan, told) for i in range(plan.count)]
    for node in nodes:
        node.start()
    line.send("up")
    _look(nodes, line)
    line.send("quiet")
    line.recv()
    _stop_all(nodes)
    line.send(told)


def _look(nodes: Sequence[Node], line: Connection) -> None:
    """Each node in its own rhythm, until somebody says something."""
    begin, step = time.monotonic(), 1 / READINGS_A_SECOND
    turns = [(begin + step * i / len(nodes), i) for i in range(len(nodes))]
    while turns and not line.poll(max(0.0, turns[0][0] - time.monotonic())):
        at, i = heapq.heappop(turns)
        nodes[i].look(at - begin)
        heapq.heappush(turns, (at + step, i))
    line.recv()


def _stop_all(nodes: Sequence[Node]) -> None:
    threads = [threading.Thread(target=node.stop) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
