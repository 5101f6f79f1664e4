"""A stand-in for picamera2: the calls that ferd makes, as picamera2 0.3.38 answers them, and its ways to fail.

Where a call of the original waits for the camera's event loop without end, this one waits until ``let_go`` is set.
"""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from typing import Any, ClassVar

import numpy as np

PADDING = 64  # the real one pads rows of 320 pixels to a multiple of 64 bytes on a Pi 5


class Request:
    """A CompletedRequest: must be released, or the camera runs out of buffers."""

    def __init__(self, camera: Picamera2) -> None:
        self.camera = camera
        camera.requests_out += 1

    def make_array(self, name: str) -> Any:
        width, height = self.camera.configuration[name]["size"]
        if name == "main" and self.camera.main is not None:
            return self.camera.main
        yuv = np.full((height * 3 // 2, width + PADDING), 255, np.uint8)
        yuv[:height, :width] = 77
        return yuv

    def get_metadata(self) -> dict[str, Any]:
        return self.camera.metadata

    def release(self) -> None:
        self.camera.requests_out -= 1


class Picamera2:
    """One camera. The class attributes say how it behaves; `made` holds those that were constructed."""

    made: ClassVar[list[Picamera2]] = []
    infos: ClassVar[list[dict[str, Any]]] = [
        {"Model": "imx708", "Location": 2, "Rotation": 180, "Id": "/base/axi/pcie/i2c/imx708@1a", "Num": 0}
    ]
    trouble: ClassVar[str] = ""
    main: ClassVar[Any] = None
    metadata: ClassVar[dict[str, Any]] = {}
    let_go: ClassVar[threading.Event] = threading.Event()

    @classmethod
    def reset(cls) -> None:
        cls.made, cls.trouble, cls.main, cls.metadata, cls.let_go = [], "", None, {}, threading.Event()

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        return Picamera2.infos

    def __init__(self, camera_num: int = 0) -> None:
        if camera_num >= len(self.infos):
            raise IndexError("list index out of range")
        if self.trouble == "busy" or any(not other.is_closed for other in self.made):  # one holder a camera
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.calls: list[str] = []
        self.configuration: dict[str, Any] = {}
        self.requests_out = 0
        self.cancelled = threading.Event()
        self.is_closed = False
        self.made.append(self)

    def create_video_configuration(
        self,
        *,
        main: dict[str, Any],
        lores: dict[str, Any],
        colour_space: str,
        buffer_count: int,
        controls: dict[str, Any],
        display: str | None,
        encode: str | None,
    ) -> dict[str, Any]:
        return {
            "main": main,
            "lores": lores,
            "colour_space": colour_space,
            "buffer_count": buffer_count,
            "controls": controls,
            "display": display,
            "encode": encode,
        }

    def configure(self, configuration: dict[str, Any]) -> None:
        self.calls.append("configure")
        self.configuration = configuration

    def start(self) -> None:
        self.calls.append("start")
        if self.trouble == "start fails":
            raise RuntimeError("Camera is not available")

    def capture_request(self, wait: float | None = None) -> Request:
        if self.trouble == "no frame":
            if self.cancelled.wait(wait):
                raise CancelledError
            raise TimeoutError
        if self.trouble == "capture hangs":
            self.let_go.wait()
        if self.trouble == "capture fails":
            raise RuntimeError("Camera frontend has timed out!")
        return Request(self)

    def cancel_all_and_flush(self) -> None:
        self.calls.append("cancel")
        self.cancelled.set()

    def close(self) -> None:
        self.calls.append("close")
        if self.trouble == "close hangs":
            self.let_go.wait()
        self.is_closed = True
