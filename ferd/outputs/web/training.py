"""Teach from the page: the engine of `ferd model teach`, fed with what the camera sees while a button is held."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from ferd.errors import FerdError
from ferd.models.finetune.adapt import LABELS
from ferd.models.finetune.collect import EVERY_S, SampleCollector
from ferd.models.finetune.samples import Collected, Verdict
from ferd.models.store import check_name
from ferd.outputs.web.stream import BroadcastFrame, FrameBroadcaster, FrameViewer
from ferd.outputs.web.training_jobs import adapted, shipped, taught
from ferd.types import Face, Frame

HELD_S = 2.5
"""Who holds the button says so every second; a browser that is gone does not record on."""
MOST_CLASSES, MOST_SAMPLES = 12, 300
LONGEST_LABEL = 32

log = logging.getLogger(__name__)


class Watching(FrameViewer):
    """Waits for the next shot."""

    def __init__(self, camera: str) -> None:
        super().__init__(camera, picture=False)
        self._shot: BroadcastFrame | None = None
        self._came = asyncio.Event()

    def give(self, shot: BroadcastFrame) -> None:
        self._shot = shot
        self._came.set()

    async def next(self, timeout_s: float) -> BroadcastFrame | None:
        """None when none comes in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._came.wait()
        except TimeoutError:
            return None
        self._came.clear()
        return self._shot


class FacesAtHand:
    """Stands where the gatherer has its detector: the faces were found already."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.faces: list[Face] = []

    def __call__(self, _frame: Frame) -> list[Face]:
        return self.faces


@dataclass(frozen=True, slots=True)
class Job:
    """``done``: share of the training, 0 to 1. ``report``: figures of the samples that were held back."""

    state: Literal["idle", "training", "done", "failed"] = "idle"
    done: float = 0.0
    error: str | None = None
    report: Mapping[str, Any] | None = None


class TrainingManager:
    """Lives in the page's event loop; training has a thread of its own. `detector`: who found the faces."""

    def __init__(self, studio: FrameBroadcaster, detector: str) -> None:
        self._studio = studio
        self._faces = FacesAtHand(detector)
        self._gatherer: SampleCollector | None = None
        self._classes: dict[str, Collected] = {}
        self._recording: tuple[str, str] | None = None
        self._held_until = 0.0
        self._last: Verdict | None = None
        self._task: asyncio.Task[None] | None = None
        self.job = Job()

    def status(self) -> dict[str, Any]:
        return {
            "classes": [
                {"label": one.label, "samples": len(one.crops), "warnings": list(one.warnings())}
                for one in self._classes.values()
            ],
            "recording": self._recording[1] if self._recording else None,
            "last": self._last,
            "job": {"state": self.job.state, "done": round(self.job.done, 2), "error": self.job.error},
            "report": self.job.report,
            "adapts": list(LABELS),
        }

    def record(self, camera: str, label: str) -> None:
        """Records for HELD_S more. Raises FerdError."""
        label = label.strip()
        if not 0 < len(label) <= LONGEST_LABEL or not label.isprintable():
            raise FerdError(f"a class has a name of 1 to {LONGEST_LABEL} letters")
        if label not in self._classes and len(self._classes) >= MOST_CLASSES:
            raise FerdError(f"{MOST_CLASSES} classes are the most")
        if self.job.state == "training":
            raise FerdError("wait for the training to end")
        self._classes.setdefault(label, Collected(label))
        self._recording, self._held_until = (camera, label), time.monotonic() + HELD_S
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._record())

    def pause(self) -> None:
        self._recording = None

    def forget(self, label: str | None) -> None:
        """One class, or all. Raises FerdError."""
        if label is not None and label not in self._classes:
            raise FerdError("there is no such class")
        self.pause()
        for name in [label] if label is not None else list(self._classes):
            self._classes.pop(name, None)

    def train(self, name: str, *, adapt: bool) -> None:
        """Begins; `status` tells how it goes. ``adapt``: corrects ferd's own model instead. Raises FerdError."""
        check_name(name, replace=True)
        if self.job.state == "training":
            raise FerdError("a training is under way")
        self.pause()
        collected = [replace(one, crops=list(one.crops), names=list(one.names)) for one in self._classes.values()]
        if not collected:
            raise FerdError(f"record {' and '.join(LABELS)} first" if adapt else "record at least two classes first")
        self.job = Job("training")
        work = partial(adapted, name, collected) if adapt else partial(taught, name, collected, self._tick)
        threading.Thread(target=self._train, args=(work,), name="page-teach", daemon=True).start()

    async def _record(self) -> None:
        looker: Watching | None = None
        due = 0.0
        try:
            while (now := self._recording) is not None and time.monotonic() < self._held_until:
                if looker is None or looker.camera != now[0]:
                    if looker is not None:
                        self._studio.leave(looker)
                    looker = Watching(now[0])
                    self._studio.enter(looker)
                shot = await looker.next(0.5)
                if shot is not None and shot.at >= due and self._recording == now:
                    due = shot.at + EVERY_S / 2
                    self._take(now[1], shot)
        finally:
            if looker is not None:
                self._studio.leave(looker)
            self._recording = None

    def _take(self, label: str, shot: BroadcastFrame) -> None:
        collected = self._classes.get(label)
        if collected is None or len(collected.crops) >= MOST_SAMPLES:
            return
        face = shot.reading.main_face
        seen = face is not None and face.track.seen >= shot.reading.t
        self._faces.faces = [face.track.face] if face is not None and seen else []
        if self._gatherer is None:
            self._gatherer = SampleCollector(shipped(), self._faces)  # type: ignore[arg-type]  # all of a detector it uses
        self._last = self._gatherer.add(collected, shot.frame, f"{label} {len(collected.crops) + 1}")

    def _train(self, work: Callable[[], Mapping[str, Any]]) -> None:
        try:
            self.job = Job("done", 1.0, report=work())
        except FerdError as error:
            self.job = Job("failed", error=str(error))
        except Exception as error:
            log.exception("teaching failed")
            self.job = Job("failed", error=f"ferd failed at this ({type(error).__name__}); see its log")

    def _tick(self, done: float) -> None:
        self.job = Job("training", done)
