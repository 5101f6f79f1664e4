"""Fixtures: small video files, and a check that no test leaves a thread behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from camera_tools import gray_picture, wait_for
from video_server import Server, serving


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., Path]:
    """Write a video of 64x48 whose frames get lighter: film("a.avi", frames=5, fps=10)."""

    def write(name: str = "film.avi", frames: int = 5, fps: float = 10.0, codec: str = "MJPG") -> Path:
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
        for index in range(frames):
            writer.write(gray_picture(index * 20))
        writer.release()
        return path

    return write


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Serve the files in `tmp_path` over HTTP."""
    with serving(tmp_path) as server:
        yield server


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    """Check that a test leaves no thread running; those that end on their own get time for it."""
    before = set(threading.enumerate())
    yield
    wait_for(lambda: not set(threading.enumerate()) - before)
