"""One camera of the daemon: its keeper, its pipeline, its switches and its voice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from ferd.config import CameraConfig
from ferd.event_builder import EventBuilder
from ferd.outputs.mqtt import topics
from ferd.outputs.mqtt.topics import CameraStatus, Message, camera_status_message
from ferd.policy.sensitivity import factor
from ferd.restart_history import RestartHistory
from ferd.settings_store import CameraSettings
from ferd.snapshot import Counters
from ferd.sources.base import Source
from ferd.sources.stall import Timing
from ferd.sources.supervisor import CameraSupervisor, State
from ferd.types import Alert, Frame, Reading
from ferd.vision.pipeline import Models, Pipeline

LATENCY_SHARE = 0.1
"""Weight of the newest frame in the running mean of the latency."""


_SWITCHES: Mapping[str, topics.Topic[Any]] = {
    "enabled": topics.ENABLED,
    "buzzer": topics.BUZZER,
    "sensitivity": topics.SENSITIVITY,
}


class Sounder(Protocol):
    """What a lane tells the buzzer; all of it returns at once."""

    def show(self, camera: str, alerts: Iterable[Alert]) -> None: ...
    def blind(self, camera: str, blind: bool) -> None: ...
    def mute(self, camera: str, muted: bool) -> None: ...
    def forget(self, camera: str) -> None: ...
    def audible(self, camera: str, alert: Alert) -> bool: ...


class Onlooker(Protocol):
    """Who looks on while pictures are read: the page. All of it returns at once and never raises."""

    def saw(self, camera: str, frame: Frame, reading: Reading) -> None: ...
    def clock(self, camera: str, pipeline: Pipeline) -> None:
        """Puts stopwatches around the pipeline's steps."""


class CameraWorker:
    """`step` takes the newest frame, if there is one, through the chain and gives the messages that it is worth.

    `factory` makes the source each time it is opened. `wake` is set whenever there is something to do. `past`: what
    was done for this camera before the process was restarted for it. All methods are called from one thread.
    """

    def __init__(
        self,
        node: str,
        name: str,
        config: CameraConfig,
        parts: Models,
        *,
        factory: Callable[[], Source],
        wake: threading.Event,
        switches: CameraSettings,
        sounder: Sounder,
        past: RestartHistory | None = None,
    ) -> None:
        self.name = name
        self.keeper = CameraSupervisor(name, factory, wake, timing=Timing.of(config.fps))
        self.switches = switches
        self._sounder = sounder
        self._past = past or RestartHistory()
        self._node, self._config, self._parts = node, config, parts
        self._pipeline = parts.pipeline(config)
        self._onlooker: Onlooker | None = None
        self._narrator = EventBuilder(node, name)
        self._told: CameraStatus = "offline" if switches.enabled else "disabled"
        self._opened = False
        self.slowed = False
        """Half of the pictures are read: the board is to cool."""
        self._due = float("-inf")
        self._analysed = self._spared = 0
        self._latency_s: float | None = None

    def introduce(self) -> Iterator[Message]:
        """What holds before the first picture; a run that was killed may have left something else."""
        yield camera_status_message(self._node, self.name, self._told)
        yield from self._narrator.begin(time.time())
        for switch in _SWITCHES:
            yield switch_message(self._node, self.name, switch, self.switches)

    def start(self) -> None:
        self._set_switches(self.switches)
        self._follow_switch()

    def ask_to_stop(self) -> None:
        self.keeper.ask_to_stop()

    def stop(self) -> None:
        self.keeper.stop()
        self._sounder.forget(self.name)

    def switch(self, name: str, switches: CameraSettings) -> Iterator[Message]:
        """Takes over what a user set at the switch of that name, and says how it stands now, changed or not.

        The camera is told `disabled` as soon as it is closed.
        """
        self._set_switches(switches)
        yield switch_message(self._node, self.name, name, switches)
        if switches.enabled and self._told == "disabled":
            yield self._tell("offline")
        yield from self.step()

    def use(self, sounder: Sounder) -> None:
        """Another buzzer; it hears of the alerts that hold with the next picture."""
        self._sounder = sounder
        sounder.mute(self.name, not self.switches.buzzer)
        if self._told != "disabled":
            sounder.blind(self.name, self._told == "offline")

    def show_to(self, onlooker: Onlooker | None) -> None:
        """Who sees each picture with its reading from now on; None: nobody."""
        self._onlooker = onlooker
        if onlooker is not None:
            onlooker.clock(self.name, self._pipeline)

    def rebuild(self, parts: Models) -> Iterator[Message]:
        """Goes on with other models or rules; the camera stays open. Whoever was seen is seen anew."""
        self._parts = parts
        yield from self._begin_anew()

    def step(self) -> Iterator[Message]:
        """At most one frame. Messages come in the order in which they are to be published."""
        self._follow_switch()
        yield from self._status_changes()
        frame = self.keeper.take() if self.switches.enabled else None
        if frame is None:
            return
        started = time.monotonic()
        if self.slowed and started < self._due:
            self._spared += 1
            return
        reading = self._pipeline.step(frame)
        self._due = started + pause(1 / self._config.fps, time.monotonic() - started)
        self._analysed += 1
        self._note_latency()
        self._sounder.show(self.name, reading.alerts)
        heard = self._as_heard(reading)
        if self._onlooker is not None:
            self._onlooker.saw(self.name, frame, heard)
        yield from self._narrator.tell(heard, time.time())

    @property
    def beats(self) -> int:
        """Rises with every analysed frame and every attempt to open: what proves that this lane is alive."""
        return self._analysed + self.keeper.report().opens

    @property
    def resting(self) -> bool:
        """True while nobody wants anything of it: the camera is switched off."""
        return not self.switches.enabled and not self._opened

    @property
    def settled(self) -> bool:
        """True once the camera is known to work, or known not to, or is not wanted."""
        return self.resting or self.keeper.report().state is not State.STARTING

    @property
    def status(self) -> str:
        """For people: starting, online, offline, disabled."""
        return "disabled" if self.resting else str(self.keeper.report().state)

    def counters(self) -> Counters:
        report = self.keeper.report()
        return Counters(
            frames=self._analysed,
            skipped=report.skipped + self._spared,
            reopened=max(0, report.opens - 1),
            latency_s=self._latency_s,
            rebuilt=report.hung,
            restarts=self._past.restarts,
            reason=report.last_error or self._past.reason,
        )

    def _set_switches(self, switches: CameraSettings) -> None:
        self.switches = switches
        self._pipeline.tune(factor(switches.sensitivity))
        self._sounder.mute(self.name, not switches.buzzer)

    def _follow_switch(self) -> None:
        """Opens or closes the camera as the switch says; the closing is waited for without standing still."""
        if self._opened and not self.switches.enabled:
            self.keeper.ask_to_stop()
        if self._opened and self.keeper.stopping and not self.keeper.running:
            self.keeper.stop()
            self._opened = False
        if self.switches.enabled and not self._opened:
            self.keeper.start()
            self._opened = True

    def _status_changes(self) -> Iterator[Message]:
        status = self._status_now()
        if status in ("online", "offline"):
            self._sounder.blind(self.name, status == "offline")  # known also of one that was never online
        if status is None or status == self._told:
            return
        if self._told == "online":
            yield from self._begin_anew()
        yield self._tell(status)

    def _status_now(self) -> CameraStatus | None:
        """None while it is not known."""
        if not self.switches.enabled:
            return None if self._opened else "disabled"
        state = self.keeper.report().state
        if state is State.STARTING or self.keeper.stopping:
            return None
        return "online" if state is State.ONLINE else "offline"

    def _tell(self, status: CameraStatus) -> Message:
        self._told = status
        if status == "disabled":
            self._sounder.forget(self.name)
        return camera_status_message(self._node, self.name, status)

    def _begin_anew(self) -> Iterator[Message]:
        """What comes next may be another camera or model: nothing of what was seen before holds for it."""
        self._pipeline = self._parts.pipeline(self._config)
        self.show_to(self._onlooker)
        self._pipeline.tune(factor(self.switches.sensitivity))
        self._sounder.show(self.name, ())
        yield from self._narrator.lost(time.time())

    def _as_heard(self, reading: Reading) -> Reading:
        """Without the patterns that nobody hears now, so that what is told of the buzzer is true."""
        alerts = reading.alerts
        heard = tuple(a if self._sounder.audible(self.name, a) else replace(a, pattern=None) for a in alerts)
        return reading if heard == alerts else replace(reading, alerts=heard)

    def _note_latency(self) -> None:
        at = self.keeper.report().last_frame_at
        if at is None:
            return
        latency = max(0.0, time.monotonic() - at)
        before = latency if self._latency_s is None else self._latency_s
        self._latency_s = before + LATENCY_SHARE * (latency - before)


def pause(interval: float, took: float) -> float:
    """Seconds from one picture's turn to the next that halve the rate, whether the camera or the reading is slower.

    `interval`: between two pictures of the camera; half of one is forgiven, as they do not come to the millisecond.
    """
    return 2 * max(interval, took) - interval / 2


def switch_message(node: str, camera: str, switch: str, switches: CameraSettings) -> Message:
    """The retained state of one switch."""
    value = getattr(switches, switch)
    if isinstance(value, bool):
        value = "ON" if value else "OFF"
    return _SWITCHES[switch].message(value, node=node, camera=camera)
