"""Train a model from the page: samples are recorded while a button is held, then trained as `ferd model teach` does."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Depends, HTTPException
from fastapi.responses import JSONResponse
from starlette.requests import HTTPConnection

from ferd.errors import FerdError
from ferd.models.bundle import Bundle, sha256_of
from ferd.models.finetune import adapt
from ferd.models.finetune import dataset as keep
from ferd.models.finetune import train as finetune
from ferd.models.finetune.collect import EVERY_S, Collected, SampleCollector, Verdict, flips_allowed
from ferd.models.finetune.dataset import FeatureNet
from ferd.models.registry import check_name, find_bundle
from ferd.names import label_problem
from ferd.outputs.web.api import Body, Web, make_router
from ferd.outputs.web.stream import BroadcastFrame, FrameBroadcaster, Viewer
from ferd.types import Face, Frame

BASE_MODEL = "expression"
"""The network below the new last layer, as in `ferd model teach`."""
HOLD_S = 2.5
"""The page repeats its request while the button is held; without a repetition the recording ends after this long."""
MAX_CLASSES, MAX_SAMPLES = 12, 300
MAX_LABEL_LENGTH = 32

log = logging.getLogger(__name__)
router = make_router()


class RecordBody(Body):
    camera: str
    label: str


class ForgetBody(Body):
    label: str | None = None


class TrainBody(Body):
    name: str
    adapt: bool = False


class FoundFaces:
    """A detector that returns faces that were found before."""

    def __init__(self, name: Callable[[], str]) -> None:
        self._name = name
        self.faces: list[Face] = []

    @property
    def name(self) -> str:
        return self._name()

    def __call__(self, _frame: Frame) -> list[Face]:
        return self.faces


@dataclass(frozen=True, slots=True)
class Job:
    """A training. ``done``: its share, 0 to 1. ``report``: figures of the samples that were held back."""

    state: Literal["idle", "training", "done", "failed"] = "idle"
    done: float = 0.0
    error: str | None = None
    report: Mapping[str, Any] | None = None


class TrainingManager:
    """Record samples and train. Lives in the server's event loop; a training has a thread of its own.

    Args:
        frames: gives the frames to record.
        detector: gives the name of the detector that found their faces.
    """

    def __init__(self, frames: FrameBroadcaster, detector: Callable[[], str]) -> None:
        self._frames = frames
        self._found = FoundFaces(detector)
        self._collector: SampleCollector | None = None
        self._classes: dict[str, Collected] = {}
        self._recording: tuple[str, str] | None = None
        self._record_until = 0.0
        self._last: Verdict | None = None
        self._task: asyncio.Task[None] | None = None
        self.job = Job()

    def status(self) -> dict[str, Any]:
        """Classes, recording and training, as JSON values."""
        return {
            "classes": [
                {"label": one.label, "samples": len(one.crops), "warnings": list(one.warnings())}
                for one in self._classes.values()
            ],
            "recording": self._recording[1] if self._recording else None,
            "last": self._last,
            "job": {"state": self.job.state, "done": round(self.job.done, 2), "error": self.job.error},
            "report": self.job.report,
            "adapts": list(adapt.LABELS),
        }

    def record(self, camera: str, label: str) -> None:
        """Record a class for HOLD_S from now on. Raises FerdError."""
        label = label.strip()
        if not 0 < len(label) <= MAX_LABEL_LENGTH or not label.isprintable():
            raise FerdError(f"the name of a class has 1 to {MAX_LABEL_LENGTH} printable characters")
        if problem := label_problem(label):
            raise FerdError(f'the class "{label}" {problem}; choose another name')
        if label not in self._classes and len(self._classes) >= MAX_CLASSES:
            raise FerdError(f"at most {MAX_CLASSES} classes can be recorded: forget one first")
        if self.job.state == "training":
            raise FerdError("a training is running: wait for its end")
        self._classes.setdefault(label, Collected(label))
        self._recording, self._record_until = (camera, label), time.monotonic() + HOLD_S
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._record())

    def pause(self) -> None:
        """End the recording."""
        self._recording = None

    def forget(self, label: str | None) -> None:
        """Forget one class, or all. Raises FerdError."""
        if label is not None and label not in self._classes:
            raise FerdError("there is no such class")
        self.pause()
        for name in [label] if label is not None else list(self._classes):
            self._classes.pop(name, None)

    def train(self, name: str, *, adapt_shipped: bool) -> None:
        """Start a training; see `status` for its progress. Raises FerdError.

        Args:
            name: of the new model.
            adapt_shipped: correct ferd's own model instead of training new classes.
        """
        check_name(name, replace=True)
        if self.job.state == "training":
            raise FerdError("a training is running: wait for its end")
        self.pause()
        samples = [replace(one, crops=list(one.crops), names=list(one.names)) for one in self._classes.values()]
        if not samples:
            needed = " and ".join(adapt.LABELS) if adapt_shipped else "at least two classes"
            raise FerdError(f"record {needed} first")
        self.job = Job("training")
        work = (
            partial(adapt_model, name, samples) if adapt_shipped else partial(train_classes, name, samples, self._tick)
        )
        threading.Thread(target=self._train, args=(work,), name="page-training", daemon=True).start()

    async def _record(self) -> None:
        viewer: Viewer | None = None
        due = 0.0
        try:
            while (recording := self._recording) is not None and time.monotonic() < self._record_until:
                if viewer is None or viewer.camera != recording[0]:
                    if viewer is not None:
                        self._frames.leave(viewer)
                    viewer = Viewer(recording[0], picture=False)
                    self._frames.enter(viewer)
                frame = await viewer.next(0.5)
                if frame is not None and frame.at >= due and self._recording == recording:
                    due = frame.at + EVERY_S / 2
                    self._collect(recording[1], frame)
        finally:
            if viewer is not None:
                self._frames.leave(viewer)
            self._recording = None

    def _collect(self, label: str, frame: BroadcastFrame) -> None:
        samples = self._classes.get(label)
        if samples is None or len(samples.crops) >= MAX_SAMPLES:
            return
        face = frame.reading.main_face
        seen = face is not None and face.track.seen >= frame.reading.t
        self._found.faces = [face.track.face] if face is not None and seen else []
        if self._collector is None:
            self._collector = SampleCollector(base_model(), self._found)  # type: ignore[arg-type]  # all that it uses
        self._last = self._collector.add(samples, frame.frame, f"{label} {len(samples.crops) + 1}")

    def _train(self, work: Callable[[], Mapping[str, Any]]) -> None:
        try:
            self.job = Job("done", 1.0, report=work())
        except FerdError as error:
            self.job = Job("failed", error=str(error))
        except Exception as error:
            log.exception("training failed")
            self.job = Job("failed", error=f"the training failed ({type(error).__name__}); see the log of ferd")

    def _tick(self, done: float) -> None:
        self.job = Job("training", done)


def base_model() -> Bundle:
    return find_bundle(BASE_MODEL)


def train_classes(name: str, samples: Sequence[Collected], tick: Callable[[float], None]) -> dict[str, Any]:
    """Train a model of one's own classes; classes trained under this name before are kept. Raises FerdError.

    Returns:
        Figures of the samples that were held back.
    """
    net = FeatureNet(base_model())
    base = sha256_of(net.bundle.path)
    new = {one.label for one in samples}
    kept = [dataset for dataset in keep.load(name, base) if dataset.label not in new]
    labels = [*(dataset.label for dataset in kept), *(one.label for one in samples)]
    finetune.check(labels, [*(len(k.names) for k in kept), *(len(one.crops) for one in samples)])
    flip = flips_allowed(labels)
    datasets = [*kept, *(keep.to_features(net, one, flip=flip) for one in samples)]
    report = finetune.train_model(name, datasets, net, replace=True, tick=tick)
    keep.save(name, base, datasets)
    return {
        "name": name,
        "labels": list(report.bundle.labels),
        "accuracy": round(report.accuracy, 3),
        "confusion": report.confusion.tolist(),
        "taught": report.taught,
        "held_out": report.held_out,
    }


def adapt_model(name: str, samples: Sequence[Collected]) -> dict[str, Any]:
    """Correct ferd's own model with samples of adapt.LABELS; other samples are ignored. Raises FerdError.

    Returns:
        Figures of the samples that were held back; ``shift``: what each label gained, in logits.
    """
    used = [one for one in samples if one.label in adapt.LABELS]
    if missing := [label for label in adapt.LABELS if label not in {one.label for one in used}]:
        raise FerdError(f"record {' and '.join(missing)} first")
    finetune.check([one.label for one in used], [len(one.crops) for one in used])
    net = FeatureNet(base_model())
    made = adapt.adapt(name, [keep.to_features(net, one, flip=True) for one in used], net, replace=True)
    return {
        "name": name,
        "labels": list(made.bundle.labels),
        "before": round(made.before, 3),
        "after": round(made.after, 3),
        "shift": made.shift,
        "held_out": made.held_out,
    }


def training_manager(connection: HTTPConnection) -> TrainingManager:
    manager: TrainingManager = connection.app.state.training
    return manager


Manager = Annotated[TrainingManager, Depends(training_manager)]


@router.get("/api/teach")
async def training_status(web: Web, manager: Manager) -> JSONResponse:
    """Classes, warnings, and the progress of the training."""
    return JSONResponse(manager.status() | {"model": web.view.config.expression.model})


@router.post("/api/teach/record", status_code=202)
async def record(body: RecordBody, web: Web, manager: Manager) -> JSONResponse:
    """Record a class for 2.5 s from now on."""
    if body.camera not in web.view.cameras():
        raise HTTPException(400, "there is no such camera")
    return _answer(manager, lambda: manager.record(body.camera, body.label))


@router.post("/api/teach/pause", status_code=202)
async def pause(manager: Manager) -> JSONResponse:
    """End the recording."""
    return _answer(manager, manager.pause)


@router.post("/api/teach/forget")
async def forget(body: ForgetBody, manager: Manager) -> JSONResponse:
    """Forget a class, or all."""
    return _answer(manager, lambda: manager.forget(body.label), 200)


@router.post("/api/teach/train", status_code=202)
async def train(body: TrainBody, manager: Manager) -> JSONResponse:
    """Start a training; adapt: correct ferd's own model."""
    return _answer(manager, lambda: manager.train(body.name, adapt_shipped=body.adapt))


def _answer(manager: TrainingManager, action: Callable[[], None], status: int = 202) -> JSONResponse:
    try:
        action()
    except FerdError as error:
        raise HTTPException(400, str(error)) from None
    return JSONResponse(manager.status(), status)
