"""Keep all cameras running: the only place in ferd that opens a source again.

Each camera has one capture thread, whose calls to the device may never return. One supervisor thread for the whole
process makes no such call: it watches the clocks, gives up a failed or hung capture thread, waits and starts a new one
with a new source. A capture thread that was given up closes its source as soon as its call returns.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from ferd.sources.base import Source
from ferd.sources.capture import CaptureThread
from ferd.sources.stall import StallDetector, Timing, is_frozen, retry_delay
from ferd.types import Frame

log = logging.getLogger(__name__)

SLOW = ". If it sends fewer pictures on purpose, set fps to its rate"
MOST_HUNG = 4
"""Capture threads of one camera that may hang at a time. Each may hold the device; more of them would not help."""
HELD = ". An earlier call of ferd's own still hangs, and may hold the camera"
SHORTEST_PAUSE_S = 0.002
"""Between two rounds of the supervisor: a limit that is met to the microsecond must not make it spin."""
LONGEST_PAUSE_S = 1.0


class CameraState(StrEnum):
    STARTING = "starting"
    ONLINE = "online"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class CameraReport:
    """What happened to a camera since its handle was made. Times are those of the handle's clock, in seconds.

    ``since``: when ``state`` began. ``source``: name of the source that was last online. ``opens``: attempts to open
    it. ``hung``: attempts that were given up in a call that did not return in time. ``hanging_since``: when the
    oldest of those that still hang was given up, None when all returned; ``hang_reason``: why it was.
    ``failures_since_hang``: failures after that one. What hangs may hold the device.
    """

    state: CameraState = CameraState.STARTING
    since: float = 0.0
    source: str = ""
    frames: int = 0
    skipped: int = 0
    opens: int = 0
    failures: int = 0
    hung: int = 0
    hanging_since: float | None = None
    hang_reason: str | None = None
    failures_since_hang: int = 0
    last_error: str | None = None
    last_frame_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Hung:
    """A capture thread that was given up at `at` and did not end."""

    capture: CaptureThread
    at: float
    reason: str | None
    failures: int


class CameraHandle:
    """One supervised camera, with sources that `factory` makes.

    The newest frame waits until ``take`` fetches it; a newer one replaces it, and the replaced one counts as skipped.
    `wake` is set whenever a frame arrived or the state changed. ``start`` and ``stop`` come in pairs, and may be called
    again. `supervisor`: the process has one; tests may pass their own.
    """

    def __init__(
        self,
        name: str,
        factory: Callable[[], Source],
        wake: threading.Event,
        *,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
        supervisor: CameraSupervisor | None = None,
    ) -> None:
        self.name = name
        self._factory = factory
        self._wake = wake
        self._timing = timing or Timing()
        self._clock = clock
        self._jitter = jitter
        self._supervisor = supervisor or _process_supervisor
        self._lock = threading.Lock()
        self._report = CameraReport()
        self._frame: Frame | None = None
        self._capture: CaptureThread | None = None
        self._detector = StallDetector(0.0, self._timing)
        self._failure: str | None = None
        """Why the current capture thread was given up; None while it works."""
        self._held = ""
        self._close_by = 0.0
        self._retry_at = -math.inf
        self._failures_in_row = 0
        self._hung: list[_Hung] = []
        self._started = False
        self._stop_by: float | None = None

    def start(self) -> None:
        """Begin to open the source and return at once."""
        with self._lock:
            if self._started:
                raise RuntimeError(f"camera {self.name} was already started")
            self._started, self._stop_by = True, None
            self._retry_at, self._failures_in_row = -math.inf, 0
            self._report = replace(self._report, state=CameraState.STARTING, since=self._clock())
        self._supervisor.add(self)

    def ask_to_stop(self) -> None:
        """Begin to close the source and return at once, so that several cameras stop side by side."""
        with self._lock:
            if self._stop_by is None:
                self._stop_by = self._clock() + self._timing.stop_s
            self._frame = None
            capture = self._capture
        if capture is not None:
            capture.interrupt()

    def stop(self) -> None:
        """Close the source and drop its last frame. Waits for that at most `timing.stop_s`."""
        if not self._started:
            return
        self.ask_to_stop()
        self._supervisor.remove(self)
        with self._lock:
            capture, wait_s = self._capture, max(0.0, (self._stop_by or 0.0) - self._clock())
        closed = capture is None or capture.wait(wait_s)
        with self._lock:
            if capture is not None and not closed:
                self._abandon(capture, self._clock())
            self._capture, self._failure, self._started = None, None, False
            closed = all(hung.capture.ended for hung in self._hung)
        log.info("camera stopped name=%s closed=%s", self.name, "yes" if closed else "no")

    @property
    def stopping(self) -> bool:
        """True from ``ask_to_stop`` until the next ``start``."""
        return self._stop_by is not None

    @property
    def running(self) -> bool:
        """False before ``start``, and once the camera is closed, or is given up, after ``ask_to_stop``."""
        with self._lock:
            if not self._started or self._stop_by is None:
                return self._started
            return self._capture is not None and not self._capture.ended and self._clock() < self._stop_by

    def take(self) -> Frame | None:
        """Return the newest frame, if one arrived since the last call."""
        self._supervisor.keep_running()
        with self._lock:
            frame, self._frame = self._frame, None
            return frame

    def report(self) -> CameraReport:
        """Return what happened so far."""
        with self._lock:
            oldest = next((hung for hung in self._hung if not hung.capture.ended), None)
            if oldest is None:
                return self._report
            return replace(
                self._report,
                hanging_since=oldest.at,
                hang_reason=oldest.reason,
                failures_since_hang=max(0, self._report.failures - oldest.failures),
            )

    def check(self) -> float:
        """Do what is due now; called by the supervisor. Returns the seconds until the next call."""
        with self._lock:
            if self._stop_by is not None:
                return math.inf  # ``stop`` does the rest in its caller's thread
            now, before = self._clock(), self._report
            pause_s = self._decide(now)
            after = self._report
        if after.failures != before.failures:
            if after.last_error != before.last_error or before.state is not CameraState.OFFLINE:
                wait_s = max(0.0, self._retry_at - now)
                log.warning("camera offline name=%s reason=%r retry_s=%.1f", self.name, after.last_error, wait_s)
            self._wake.set()
        return pause_s

    def _decide(self, now: float) -> float:
        capture = self._capture
        if capture is not None and self._failure is None:
            opening_s = 0.0 if capture.source is None else capture.source.opening_s
            failure = self._failure_of(capture, now, opening_s)
            if failure is None:
                return self._detector.due_in(now, opening_s)
            self._give_up(capture, failure, now)
        if capture is not None:
            if not capture.ended:
                if now < self._close_by:
                    return self._close_by - now
                self._abandon(capture, now)
            self._capture = self._failure = None
        if now < self._retry_at:
            return self._retry_at - now
        return self._begin(now)

    def _begin(self, now: float) -> float:
        """Start a capture thread."""
        self._hung = [hung for hung in self._hung if not hung.capture.ended]
        if len(self._hung) >= MOST_HUNG:
            self._note_failure(f"{MOST_HUNG} attempts still hang in the driver. Unplug it, or restart ferd", now)
            return self._retry_at - now
        self._held = HELD if self._hung else ""
        self._report = replace(self._report, opens=self._report.opens + 1)
        self._detector = StallDetector(now, self._timing)
        capture = CaptureThread(self._factory, self._deliver, self._supervisor.notify, f"ferd-camera-{self.name}")
        try:
            capture.start()
        except (RuntimeError, MemoryError) as error:  # "can't start new thread": a limit of system or service
            self._note_failure(f"no thread for the camera ({error}). Check memory and the unit's TasksMax", now)
            return self._retry_at - now
        self._capture, self._failure = capture, None
        return self._timing.first_frame_s

    def _failure_of(self, capture: CaptureThread, now: float, opening_s: float) -> str | None:
        if capture.failure is not None:
            return capture.failure
        if capture.ended:
            return "the capture thread ended unexpectedly"
        failure = self._detector.failure(now, opening_s)
        if failure is None or capture.source is None:
            return failure
        hint = "" if self._report.last_frame_at is None or is_frozen(failure) else SLOW
        return f"{capture.source.name}: {failure}{hint}"

    def _give_up(self, capture: CaptureThread, failure: str, now: float) -> None:
        self._failure = failure
        self._frame = None
        self._close_by = now + self._timing.stop_s
        longest_s = float(getattr(capture.source, "longest_retry_s", math.inf))
        self._note_failure(failure + self._held, now, longest_s)
        capture.interrupt()

    def _abandon(self, capture: CaptureThread, now: float) -> None:
        self._hung.append(_Hung(capture, now, self._failure, self._report.failures))
        self._report = replace(self._report, hung=self._report.hung + 1)

    def _note_failure(self, reason: str, now: float, longest_s: float = math.inf) -> None:
        report = self._report
        was_long_online = report.state is CameraState.ONLINE and now - report.since >= self._timing.longest_wait_s
        self._failures_in_row = 1 if was_long_online else self._failures_in_row + 1
        self._retry_at = now + min(longest_s, retry_delay(self._failures_in_row, self._timing, self._jitter))
        since = report.since if report.state is CameraState.OFFLINE else now
        self._report = replace(
            report, state=CameraState.OFFLINE, since=since, failures=report.failures + 1, last_error=reason
        )

    def _deliver(self, capture: CaptureThread, source: Source, frame: Frame) -> None:
        """Take over a frame; runs in the capture thread."""
        with self._lock:
            if capture is not self._capture or self._failure is not None or self._stop_by is not None:
                return
            now = self._clock()
            still_s = getattr(source, "still_s", 0.0)
            self._detector.frame(now, frame, noisy=source.noisy, still_s=still_s)
            report = self._report
            skipped = report.skipped + (self._frame is not None)
            report = replace(report, frames=report.frames + 1, skipped=skipped, last_frame_at=now)
            is_back = report.state is not CameraState.ONLINE
            if is_back:
                report = replace(report, state=CameraState.ONLINE, since=now, source=source.name)
            self._report, self._frame = report, frame
        if is_back:
            log.info("camera online name=%s source=%r size=%dx%d", self.name, source.name, frame.width, frame.height)
        self._wake.set()


class CameraSupervisor:
    """The one thread that watches all cameras. It runs while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handles: list[CameraHandle] = []
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None
        self._start_failed = False

    def add(self, handle: CameraHandle) -> None:
        """Watch a camera from now on."""
        with self._lock:
            self._handles.append(handle)
        self._changed.set()
        self.keep_running()

    def remove(self, handle: CameraHandle) -> None:
        """Watch a camera no longer."""
        with self._lock:
            self._handles.remove(handle)
        self._changed.set()

    def notify(self) -> None:
        """Look at all cameras at once. May be called from any thread."""
        self._changed.set()

    def keep_running(self) -> None:
        """Start the thread if there is something to watch and it does not run. Logs once when that fails."""
        with self._lock:
            if self._thread is not None or not self._handles:
                return
            thread = threading.Thread(target=self._run, name="ferd-supervisor", daemon=True)
            try:
                thread.start()
            except (RuntimeError, MemoryError) as error:
                if not self._start_failed:
                    log.error("no thread to watch the cameras, trying again reason=%r", str(error))  # noqa: TRY400
                self._start_failed = True
                return
            self._thread, self._start_failed = thread, False

    def _run(self) -> None:
        while True:
            self._changed.clear()
            with self._lock:
                handles = tuple(self._handles)
                if not handles:
                    self._thread = None
                    return
            pause_s = min(_check(handle) for handle in handles)
            self._changed.wait(min(max(pause_s, SHORTEST_PAUSE_S), LONGEST_PAUSE_S))


def _check(handle: CameraHandle) -> float:
    try:
        return handle.check()
    except Exception:  # one camera's error must not end the watch over the others
        log.exception("error while watching a camera name=%s", handle.name)
        return LONGEST_PAUSE_S


_process_supervisor = CameraSupervisor()
