"""Run one camera: take its newest frame through the pipeline and keep what is known about it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from ferd.config import CameraConfig, Config
from ferd.errors import PictureError
from ferd.event_builder import EventBuilder, Published
from ferd.policy.sensitivity import factor
from ferd.restart_history import RestartHistory
from ferd.settings_store import CameraSettings
from ferd.snapshot import CameraEvent, CameraSnapshot, CameraStatus, Counters
from ferd.sources.base import Source
from ferd.sources.stall import Timing, is_frozen
from ferd.sources.supervisor import CameraHandle, CameraReport, CameraState
from ferd.types import Alert, Frame, Reading, Unjudged
from ferd.vision.loader import Models
from ferd.vision.pipeline import Pipeline, StepTimings

LATENCY_SHARE = 0.1
"""Weight of the newest frame in the running mean of the latency."""
FAILING_S = 5.0
"""A camera whose every frame failed to be analysed for this long is reported as offline, with the reason."""

log = logging.getLogger(__name__)


class CameraWorker:
    """Own the camera's capture, its pipeline, its settings and its events. All methods run in the loop's thread.

    Args:
        factory: makes the source each time it is opened.
        wake: set whenever there is something to do.
        history: restarts of the process for this camera.
        audible: whether an alert of this camera really sounds now; decides what is published of the buzzer.
    """

    def __init__(
        self,
        name: str,
        config: Config,
        models: Models,
        *,
        factory: Callable[[], Source],
        wake: threading.Event,
        settings: CameraSettings,
        history: RestartHistory | None = None,
        audible: Callable[[str, Alert], bool] = lambda _camera, _alert: False,
    ) -> None:
        self.name = name
        self.settings = settings
        self._config, self._models, self._audible = config, models, audible
        self._history = history or RestartHistory()
        self._camera: CameraConfig = config.cameras[name]
        self.capture = CameraHandle(name, factory, wake, timing=Timing.of(self._camera.fps))
        self._pipeline = self._new_pipeline()
        self._builder = EventBuilder(config.node.name, name)
        self._published = self._builder.begin(time.time())
        self._status: CameraStatus = "starting" if settings.enabled else "disabled"
        self._opened = False
        self._frame: Frame | None = None
        self._reading: Reading | None = None
        self._events: list[CameraEvent] = []
        self._due = float("-inf")
        self._analysed = self._left_out = 0
        self._latency_s: float | None = None
        self._failing_since: float | None = None
        self._failure = ""

    def __repr__(self) -> str:
        return f"CameraWorker({self.name!r}, {self._status})"

    def start(self) -> None:
        self._follow_switch()

    def ask_to_stop(self) -> None:
        """Begin to close the camera and return at once: several cameras then close side by side."""
        self.capture.ask_to_stop()

    def stop(self) -> None:
        self.capture.stop()

    def apply(self, settings: CameraSettings) -> None:
        """Take over what a user set. The camera is closed and opened without waiting for it."""
        self.settings = settings
        self._tune(self._pipeline)
        self._follow_switch()

    def use(self, config: Config, models: Models) -> None:
        """Take over other rules or models without reopening the camera.

        Tracks, smoothing, PERCLOS, the person's baseline and alerts that hold go on.
        """
        self._config, self._camera = config, config.cameras[self.name]
        if models is not self._models:
            self._models = models
            self._pipeline.swap_models(models)
        self._pipeline.use(config, self._camera)
        self._adjust(self._pipeline)

    def step(self, *, throttled: bool = False) -> None:
        """Analyse at most one frame. An exception of the pipeline is logged once and counted as a failure."""
        self._follow_switch()
        self._follow_status()
        frame = self.capture.take() if self.settings.enabled else None
        if frame is None:
            return
        started = time.monotonic()
        if throttled and started < self._due:
            self._left_out += 1
            return
        try:
            reading = self._pipeline.step(frame)
        except PictureError as error:
            self._note_failure(error, started, expected=True)
            return
        except Exception as error:  # noqa: BLE001  # one frame of one camera; the others and the buzzer go on
            self._note_failure(error, started)
            return
        self._failing_since = None
        self._failure = ""
        self._due = started + pause(1 / self._camera.fps, time.monotonic() - started)
        self._analysed += 1
        self._note_latency(frame)
        self._frame, self._reading = frame, reading
        self._publish(self._builder.update(self._as_heard(reading), time.time()))

    def take_events(self) -> list[CameraEvent]:
        """Return the events since the last call, in the order in which they happened."""
        events, self._events = self._events, []
        return events

    def snapshot(self) -> CameraSnapshot:
        report = self.capture.report()
        return CameraSnapshot(
            name=self.name,
            config=self._camera,
            settings=self.settings,
            status=self._status,
            source=report.source,
            error=self._error(report),
            frame=self._frame,
            reading=self._reading,
            state=self._published.state,
            alert=self._published.alert,
            fatigue=self._published.fatigue,
            counters=self._counters(report),
            attempts=report.opens + report.failures,
            settled=self.settled,
            timings=None if self._pipeline.timings is None else self._pipeline.timings.means(),
        )

    @property
    def settled(self) -> bool:
        """Whether the camera is known to work, or known not to, or is switched off."""
        return self._is_resting or self.capture.report().state is not CameraState.STARTING

    @property
    def _is_resting(self) -> bool:
        return not self.settings.enabled and not self._opened

    def _follow_switch(self) -> None:
        """Open or close the camera as its switch says; wait for neither."""
        if self._opened and not self.settings.enabled:
            self.capture.ask_to_stop()
        if self._opened and self.capture.stopping and not self.capture.running:
            self.capture.stop()
            self._opened = False
        if self.settings.enabled and not self._opened:
            if self._status == "disabled":
                self._status = "starting"
            self.capture.start()
            self._opened = True

    def _follow_status(self) -> None:
        status = self._status_now()
        if status == self._status:
            return
        if self._status == "online":
            self._reset()
        elif status == "offline" and self._config.fatigue.enabled:
            self._publish(self._builder.unjudged(self._why_unjudged()))
        log.debug("camera status name=%s before=%s after=%s", self.name, self._status, status)
        self._status = status

    def _status_now(self) -> CameraStatus:
        if not self.settings.enabled:
            return self._status if self._opened else "disabled"
        state = self.capture.report().state
        if state is CameraState.STARTING or self.capture.stopping:
            return self._status if self._status != "disabled" else "starting"
        if self._failing_since is not None and time.monotonic() - self._failing_since >= FAILING_S:
            return "offline"
        return "online" if state is CameraState.ONLINE else "offline"

    def _reset(self) -> None:
        """Forget who was seen: the next picture may come from another camera."""
        self._pipeline = self._new_pipeline()
        self._frame = self._reading = None
        self._publish(self._builder.lost(time.time(), self._why_unjudged()))

    def _why_unjudged(self) -> Unjudged:
        return "frozen" if is_frozen(self.capture.report().last_error) else "camera_lost"

    def _new_pipeline(self) -> Pipeline:
        pipeline = Pipeline.of(self._models, self._config, self._camera)
        self._adjust(pipeline)
        return pipeline

    def _adjust(self, pipeline: Pipeline) -> None:
        """Apply what a user set; measure the steps only while the page can show them."""
        self._tune(pipeline)
        if not self._config.web.enabled:
            pipeline.timings = None
        elif pipeline.timings is None:
            pipeline.timings = StepTimings()

    def _tune(self, pipeline: Pipeline) -> None:
        pipeline.tune(factor(self.settings.sensitivity))
        pipeline.tune_gestures(self.settings.gestures)

    def _publish(self, published: Published) -> None:
        self._published = published
        self._events += [CameraEvent(self.name, event) for event in published.events]

    def _as_heard(self, reading: Reading) -> Reading:
        """Remove the patterns that do not sound now, so that what is published about the buzzer is true."""
        alerts = reading.alerts
        heard = tuple(a if self._audible(self.name, a) else replace(a, pattern=None) for a in alerts)
        return reading if heard == alerts else replace(reading, alerts=heard)

    def _note_latency(self, frame: Frame) -> None:
        captured_at = frame.captured_at
        if captured_at is None:
            return
        latency = max(0.0, time.monotonic() - captured_at)
        before = latency if self._latency_s is None else self._latency_s
        self._latency_s = before + LATENCY_SHARE * (latency - before)

    def _note_failure(self, error: Exception, now: float, *, expected: bool = False) -> None:
        """Remember why a frame was not analysed. `expected`: a broken picture, not an error of ferd's."""
        failure = str(error) if expected else f"{type(error).__name__}: {error}"
        if self._failing_since is None:
            self._failing_since = now
        if failure != self._failure:
            self._failure = failure
            if expected:
                log.warning("frame not analysed camera=%s reason=%r", self.name, failure)
            else:
                log.exception("frame not analysed camera=%s", self.name)

    def _error(self, report: CameraReport) -> str | None:
        if self._status != "offline":
            return None
        return f"frames cannot be analysed: {self._failure}" if self._failure else report.last_error

    def _counters(self, report: CameraReport) -> Counters:
        return Counters(
            frames=self._analysed,
            skipped=report.skipped + self._left_out,
            reopened=max(0, report.opens - 1),
            latency_s=self._latency_s,
            rebuilt=report.hung,
            restarts=self._history.restarts,
            reason=report.last_error or self._history.reason,
        )


def pause(interval: float, took: float) -> float:
    """Return the seconds from one frame's turn to the next that halve the rate, whichever of the two is slower.

    Args:
        interval: seconds between two frames of the camera; half of one is forgiven, since frames jitter.
        took: seconds that the analysis of one frame takes.
    """
    return 2 * max(interval, took) - interval / 2
