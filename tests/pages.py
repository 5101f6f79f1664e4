"""A running daemon with a page, in this process, on a free port of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from brokers import free_port, wait_for

from ferd.config import Config
from ferd.engine import Engine
from ferd.sources.demo import picture
from ferd.sources.fake import FakeCamera, play
from ferd.types import Frame


class Portrait(FakeCamera):
    """Shows one real face, with a little noise."""

    def read(self):
        frame = super().read()
        image = picture()
        image[0, 0] = self.done("read") % 256
        return Frame(frame.t, image)


class RunningPage:
    def __init__(self, daemon: Engine, port: int) -> None:
        self.daemon, self.port = daemon, port
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=20)

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(path, **more)

    def post(self, path: str, body: Any, **more: Any) -> Any:
        return self.client.post(path, json=body, **more)

    def camera(self) -> dict[str, Any]:
        return self.get("/api/state").json()["cameras"][0]

    def wait_online(self) -> None:
        wait_for(lambda: self.camera()["frames"] > 3, 15)


@contextmanager
def page(web: Mapping[str, Any] | None = None, *, file: Path | None = None, **sections: Any) -> Iterator[RunningPage]:
    """Nobody listens at port 1 of this machine: a daemon without a broker."""
    port = free_port()
    config = Config.model_validate(
        {
            "node": {"name": "test"},
            "mqtt": {"host": "127.0.0.1", "port": 1},
            "web": {"enabled": True, "port": port, **(web or {})},
            **sections,
        }
    )
    daemon = Engine(config, open_camera=lambda _camera: Portrait([play(3600)], fps=10), file=file)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    running = RunningPage(daemon, port)
    try:
        wait_for(lambda: _answers(running), 15, "the page does not answer")
        yield running
    finally:
        running.client.close()
        daemon.stop()
        thread.join(10)
        assert not thread.is_alive()


def _answers(running: RunningPage) -> bool:
    try:
        return bool(running.get("/healthz").status_code == 200)
    except httpx.TransportError:
        return False
