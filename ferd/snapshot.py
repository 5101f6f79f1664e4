"""Describe the whole daemon at one moment, and the sinks that react to the difference between two moments.

The engine makes one immutable `Snapshot` per tick. Every output is a `Sink`: it compares the snapshot before with the
one after and does what changed. No transition is passed on by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ferd.config import CameraConfig, Config
from ferd.payloads import AlertState, AnyEvent, FatigueState, State
from ferd.settings_store import CameraSettings
from ferd.types import Frame, Reading

CameraStatus = Literal["starting", "online", "offline", "disabled"]
FileStamps = Mapping[str, tuple[tuple[str, int, int], ...]]
"""By section: path, time of change (ns) and size of each file that the section names; zeros for a missing file."""

LOOP_STALLED_S = 5.0
"""Without a new snapshot for this long the loop counts as stopped: outputs report it by themselves."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Count what one camera did since the daemon started.

    Attributes:
        frames: analysed frames.
        skipped: frames replaced by a newer one before their turn, or left out while the board is throttled.
        reopened: how often the camera was opened again.
        latency_s: running mean from capture to reading, in seconds; None before the first reading.
        rebuilt: capture threads that were abandoned in a hung call and replaced.
        restarts: restarts of the process for this camera.
        reason: why the camera was last given up; None while it never was.
    """

    frames: int = 0
    skipped: int = 0
    reopened: int = 0
    latency_s: float | None = None
    rebuilt: int = 0
    restarts: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CameraSnapshot:
    """Describe one camera.

    Attributes:
        status: "starting" until the first frame or the first failure, "disabled" once a switched-off camera is closed.
        source: what it really is ("usb camera /dev/video0"), empty before it was opened.
        error: why it is offline; None otherwise.
        frame, reading: the newest analysed frame and its reading; None since the camera opened or tracking was reset.
        state, alert, fatigue: the payloads that hold now; None before there was one.
        timings: mean time of each step of the pipeline in milliseconds; None while it is not measured.
        attempts: attempts to open the camera and their failures: both prove that its supervision goes on.
        settled: known to work, or known not to, or switched off.
    """

    name: str
    config: CameraConfig
    settings: CameraSettings
    status: CameraStatus = "starting"
    source: str = ""
    error: str | None = None
    frame: Frame | None = None
    reading: Reading | None = None
    state: State | None = None
    alert: AlertState | None = None
    fatigue: FatigueState | None = None
    counters: Counters = field(default_factory=Counters)
    timings: Mapping[str, float] | None = None
    attempts: int = 0
    settled: bool = False

    @property
    def heartbeat(self) -> int:
        """Rises with every analysed frame and every attempt to open the camera: what proves that it is alive."""
        return self.counters.frames + self.attempts


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Describe the models in use: the expression model's name and labels, the detector, the runtime.

    ``card``: what the expression model's card says; ``trusted``: the file ships with ferd, or ferd stored it.
    """

    name: str
    labels: tuple[str, ...]
    detector: str
    runtime: str
    card: Mapping[str, object] = field(default_factory=dict)
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class CameraEvent:
    """An event of one camera, to be published once."""

    camera: str
    payload: AnyEvent


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Describe the daemon at one tick.

    Attributes:
        at: monotonic seconds. wall: seconds since 1970.
        config: in force now. files: stamps of the files that the configuration names.
        cameras: by name, in the order of the configuration.
        throttled: the board is throttled, so half of the frames are analysed.
        ready: every camera has delivered a frame, failed once, or is switched off.
        commanded: (camera, switch) that were set since the snapshot before: their state is published again although
            nothing changed, so that the sender sees the result.
        identity: the node's identity towards Home Assistant.
    """

    at: float
    wall: float
    config: Config
    model: ModelInfo
    cameras: Mapping[str, CameraSnapshot]
    files: FileStamps = field(default_factory=dict)
    throttled: bool = False
    ready: bool = False
    commanded: tuple[tuple[str, str], ...] = ()
    identity: str = ""


def section_changed(before: Snapshot | None, after: Snapshot, *sections: str) -> bool:
    """Whether one of these configuration sections, or a file that one of them names, differs. True at first."""
    if before is None:
        return True
    return any(
        getattr(before.config, name) != getattr(after.config, name) or before.files.get(name) != after.files.get(name)
        for name in sections
    )


class Sink(Protocol):
    """An output. All methods are called from the loop's thread and return at once; exceptions are logged and isolated.

    ``check`` raises ConfigError when the output could not work with a configuration; it changes nothing.
    ``update`` reacts to what differs between two snapshots (``before`` is None at first) and to the events since then.
    ``stop`` ends the output within 2 s.
    """

    def check(self, config: Config) -> None: ...
    def update(self, before: Snapshot | None, after: Snapshot, events: Sequence[CameraEvent]) -> None: ...
    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Command:
    """Something that a person or a program asks for; what it may be: ferd/commands.py.

    Attributes:
        verb: a camera's switch ("enabled", "buzzer", "sensitivity", "gestures"; then with its ``camera``), or a request
            of the node ("restart", "republish", "reload", "snooze", "log_level").
        value: checked already; bool, float, text or thresholds by the verb, None where it takes none.
        reply: called once, from the loop's thread, with the error (None: done) and the response's data; None where
            nobody waits for an answer.
        source: for the log: "mqtt", "page", "button", "signal".
    """

    verb: str
    camera: str | None = None
    value: bool | float | str | Mapping[Any, float] | None = None
    reply: Callable[[str | None, dict[str, object]], None] | None = None
    source: str = ""
