"""A live terminal screen of what is published, drawn with rich. `ferd run --try` and `ferd watch` use it."""

from __future__ import annotations

import json
import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

COLOURS = {
    "happiness": "yellow",
    "surprise": "magenta",
    "neutral": "white",
    "sadness": "blue",
    "fear": "cyan",
    "anger": "red",
    "disgust": "green",
}
OTHER_COLOUR = "bright_white"
LEVEL_COLOURS = {"notice": "cyan", "warning": "yellow", "alarm": "bold red"}
HISTORY_S = 60
"""Length of the history band: one column per second."""
EVENTS_SHOWN = 8
BAR_WIDTH = 24


@dataclass(slots=True)
class _Camera:
    """What is known of one camera. ``history``: (time, expression) of each state message."""

    status: str = "starting"
    state: dict[str, Any] = field(default_factory=dict)
    alert: dict[str, Any] = field(default_factory=dict)
    history: deque[tuple[float, str | None]] = field(default_factory=lambda: deque(maxlen=2000))


class Screen:
    """The screen: `feed` takes messages from any thread, `render` draws the present state.

    `head`: lines at the top, such as how to subscribe. `foot`: the line at the bottom. `delivered`: whether a broker
    ever took the messages. Times are in seconds, by the
    clock of the caller.
    """

    def __init__(self, head: Sequence[str] = ()) -> None:
        self.head = list(head)
        self.foot = ""
        self.delivered = True
        self._lock = threading.Lock()
        self._nodes: dict[str, dict[str, Any]] = {}
        self._cameras: dict[tuple[str, str], _Camera] = {}
        self._events: deque[tuple[str, dict[str, Any]]] = deque(maxlen=EVENTS_SHOWN)
        self._messages = 0

    def feed(self, topic: str, payload: bytes, now: float) -> None:
        """Take one message. Foreign topics and unreadable payloads are counted and ignored."""
        parts = topic.split("/")
        with self._lock:
            self._messages += 1
            if len(parts) == 3 and parts[0] == "ferd":
                self._feed_node(parts[1], parts[2], payload)
            elif len(parts) == 4 and parts[0] == "ferd" and parts[2] not in ("request", "response"):
                self._feed_camera((parts[1], parts[2]), parts[3], payload, now)

    def render(self, now: float) -> RenderableType:
        """Draw the screen at the time `now`."""
        with self._lock:
            cameras = [self._draw_camera(key, camera, now) for key, camera in self._cameras.items()]
            nodes = [self._draw_node(name, facts) for name, facts in self._nodes.items()]
            events = self._draw_events()
            count = self._messages
        head = [Text(line, style="dim") for line in self.head]
        counted = f"{count} messages" if self.delivered else "no message delivered yet"
        foot = Text(f"{self.foot}{'  ' if self.foot else ''}{counted}  -  Ctrl-C ends", style="dim")
        body = Group(*head, *nodes, *cameras, events, foot)
        return Panel(body, title="ferd", title_align="left", border_style="dim")

    def _feed_node(self, node: str, key: str, payload: bytes) -> None:
        facts = self._nodes.setdefault(node, {})
        if key == "status":
            facts["status"] = payload.decode(errors="replace")
        elif key in ("info", "health"):
            facts[key] = _object(payload)

    def _feed_camera(self, name: tuple[str, str], key: str, payload: bytes, now: float) -> None:
        if not payload:  # cleared; a cleared status means that the camera was removed
            if key == "status":
                self._cameras.pop(name, None)
            return
        camera = self._cameras.setdefault(name, _Camera())
        if key == "alert":
            camera.alert = _object(payload)
        elif key == "status":
            camera.status = payload.decode(errors="replace")
        elif key == "state":
            camera.state = _object(payload)
            camera.history.append((now, _text(camera.state.get("expression"))))
        elif key == "event" and (event := _object(payload)):
            self._events.appendleft((name[1], event))

    def _draw_node(self, name: str, facts: dict[str, Any]) -> RenderableType:
        status = facts.get("status", "?")
        health = facts.get("health") or {}
        line = Text.assemble((name, "bold"), "  ", (status, "green" if status == "online" else "red"))
        if model := (facts.get("info") or {}).get("model"):
            line.append(f"  model {model}", style="dim")
        for key, unit in (("rss_mb", "MB"), ("temperature_c", "°C")):
            if (value := _number(health.get(key))) is not None:
                line.append(f"  {value:.0f} {unit}", style="dim")
        return line

    def _draw_camera(self, key: tuple[str, str], camera: _Camera, now: float) -> RenderableType:
        table = Table(box=None, show_header=False, pad_edge=False)
        expression = _text(camera.state.get("expression"))
        faces = round(_number(camera.state.get("faces")) or 0)
        confidence = _number(camera.state.get("confidence"))
        label = expression or ("nobody" if not faces else "unsure")
        if camera.status == "disabled":  # nothing is seen: "nobody" would be a guess
            table.add_row(Text(f"{key[1]:<10}"), Text("switched off", style="yellow"))
            return Group(Text(""), table)
        table.add_row(
            Text(f"{key[1]:<10}"),
            Text(camera.status, style="green" if camera.status == "online" else "red"),
            Text(f"{label:<12}", style=f"bold {_colour(expression)}"),
            _bar(confidence, _colour(expression)),
            Text("" if confidence is None else f"{confidence:.2f}"),
            Text(f"{faces} face{'' if faces == 1 else 's'}", style="dim"),
            _alert(camera.alert),
        )
        return Group(Text(""), table, _history(camera.history, now))

    def _draw_events(self) -> RenderableType:
        table = Table(box=None, show_header=False, pad_edge=False)
        for camera, event in self._events:
            table.add_row(
                Text(str(event.get("at", ""))[11:19], style="dim"),
                Text(camera, style="dim"),
                Text(str(event.get("event_type", "")).replace("_", " ")),
                Text(_change(event)),
            )
        return Group(Text(""), table) if self._events else Text("")


def _object(payload: bytes) -> dict[str, Any]:
    try:
        value = json.loads(payload)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _alert(alert: dict[str, Any]) -> Text:
    level = _text(alert.get("level"))
    return Text(f"{level}: {alert.get('reason')}" if level in LEVEL_COLOURS else "", LEVEL_COLOURS.get(level or "", ""))


def _change(event: dict[str, Any]) -> str:
    if str(event.get("event_type")).startswith("alert_"):
        return f"{event.get('name')}: {event.get('level')}"
    if event.get("event_type") != "expression_changed":
        return ""
    return f"{event.get('from') or '-'} -> {event.get('to') or '-'}"


def _colour(expression: str | None) -> str:
    return "bright_black" if expression is None else COLOURS.get(expression, OTHER_COLOUR)


def _bar(fraction: float | None, colour: str) -> Text:
    full = round(BAR_WIDTH * min(max(fraction or 0.0, 0.0), 1.0))
    return Text.assemble(("█" * full, colour), ("░" * (BAR_WIDTH - full), "bright_black"))


def _history(changes: Sequence[tuple[float, str | None]], now: float) -> Text:
    """Draw the last minute, newest at the right: one column per second in the colour of the expression."""
    text = Text()
    for second in range(HISTORY_S - 1, -1, -1):
        moment = now - second
        before = [expression for at, expression in changes if at <= moment]
        known = bool(before)
        text.append("▄" if known and before[-1] else "·", style=_colour(before[-1]) if known else "bright_black")
    text.append(" last minute", style="dim")
    return text
