"""A page on a free port of this machine, fed by a loop in this process: snapshots are built by hand."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from brokers import free_port, wait_for

from ferd.config import Config
from ferd.outputs.web.sink import WebSink
from ferd.payloads import Event
from ferd.settings_store import CameraSettings
from ferd.snapshot import CameraEvent, CameraSnapshot, Command, Counters, ModelInfo, Snapshot
from ferd.sources.demo import picture
from ferd.types import Frame
from ferd.vision.loader import Models
from ferd.vision.pipeline import Pipeline

FRAME_S = 0.1
TIMINGS = {"detect": 7.25, "classify": 1.5, "smooth": 0.04}


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that cannot be reached."""

    connected: bool = False
    reason: str = "connection refused"
    reconnects: int = 0
    waiting: int = 3


class Loop:
    """The least of a daemon: reads one portrait with the real pipeline and makes a snapshot of it every 0.1 s.

    ``stalled`` stops the loop as a hung call would. ``commands``: all that were submitted.
    """

    def __init__(self, config: Config, file: Path | None) -> None:
        self.stalled, self.commands = threading.Event(), []
        self._inbox: queue.Queue[Command | Config] = queue.Queue()
        self._stopping = threading.Event()
        self._load(config)
        self.settings = dict.fromkeys(config.cameras, CameraSettings())
        self.counters = dict.fromkeys(config.cameras, Counters(latency_s=0.0312))
        self.snapshot = self._snapshot(None)
        self.sink = WebSink(
            snapshot=lambda: self.snapshot,
            submit=self.submit,
            use=self._inbox.put,
            file=lambda: file,
            broker=Broker,
        )
        self.sink.check(config)
        self.thread = threading.Thread(target=self._run)

    def submit(self, command: Command) -> None:
        self.commands.append(command)
        self._inbox.put(command)

    def stop(self) -> None:
        self._stopping.set()
        self.stalled.clear()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def _load(self, config: Config) -> None:
        self.config, self._models = config, Models(config)
        self._pipelines = {name: Pipeline.of(self._models, config, camera) for name, camera in config.cameras.items()}

    def _run(self) -> None:
        before, image = None, picture()
        while not self._stopping.is_set():
            self._obey()
            image[0, 0] = (int(image[0, 0, 0]) + 1) % 256
            after = self._snapshot(Frame(time.monotonic(), image.copy()))
            events = [CameraEvent("camera", Event("face_appeared", "8d0f", 1, None, None, None, None, after.wall))]
            self.snapshot = after
            self.sink.update(before, after, events if before is None else ())
            before = after
            time.sleep(FRAME_S)
            while self.stalled.is_set():
                time.sleep(0.01)
        self.sink.stop()

    def _obey(self) -> None:
        while not self._inbox.empty():
            asked = self._inbox.get()
            if isinstance(asked, Config):
                self._load(asked)
            else:
                self.settings[asked.camera] = replace(self.settings[asked.camera], **{asked.verb: asked.value})

    def _snapshot(self, frame: Frame | None) -> Snapshot:
        classifier = self._models.classifier
        bundle = classifier.bundle
        model = ModelInfo(
            bundle.name, classifier.labels, self._models.detector.name, classifier.network.runtime, bundle.card, True
        )
        cameras = {name: self._camera(name, frame) for name in self.config.cameras}
        return Snapshot(time.monotonic(), time.time(), self.config, model, cameras)

    def _camera(self, name: str, frame: Frame | None) -> CameraSnapshot:
        settings = self.settings[name]
        camera = CameraSnapshot(name, self.config.cameras[name], settings, "starting", timings=TIMINGS)
        if not settings.enabled:
            return replace(camera, status="disabled", counters=self.counters[name])
        if frame is not None:
            self.counters[name] = replace(self.counters[name], frames=self.counters[name].frames + 1)
            reading = self._pipelines[name].step(frame)
            camera = replace(camera, status="online", source="portrait", frame=frame, reading=reading)
        return replace(camera, counters=self.counters[name])


class RunningPage:
    def __init__(self, loop: Loop, port: int) -> None:
        self.loop, self.port = loop, port
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=20)

    @property
    def server(self) -> Any:
        return self.loop.sink.server

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(path, **more)

    def post(self, path: str, body: Any, **more: Any) -> Any:
        return self.client.post(path, json=body, **more)

    def camera(self) -> dict[str, Any]:
        return self.get("/api/state").json()["cameras"][0]

    def wait_online(self) -> None:
        wait_for(lambda: self.camera()["frames"] > 3, 15)

    def answers(self) -> bool:
        try:
            return bool(self.get("/healthz").status_code == 200)
        except httpx.TransportError:
            return False


@contextmanager
def page(web: Mapping[str, Any] | None = None, *, file: Path | None = None, **sections: Any) -> Iterator[RunningPage]:
    """A page for the keys of [web] and other sections. ``file``: where its configuration is said to come from."""
    port = free_port()
    config = Config.model_validate(
        {"node": {"name": "test"}, "web": {"enabled": True, "port": port, **(web or {})}, **sections}
    )
    loop = Loop(config, file)
    loop.thread.start()
    running = RunningPage(loop, port)
    try:
        wait_for(running.answers, 15, "the page does not answer")
        yield running
    finally:
        running.client.close()
        loop.stop()
