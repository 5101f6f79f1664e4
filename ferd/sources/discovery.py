"""What can be opened here: the list behind `ferd cameras`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ferd.errors import SourceError
from ferd.sources import v4l2
from ferd.sources.picamera2 import picamera2
from ferd.sources.worker import Worker

ASK_S = 5.0
"""Seconds that libcamera may take to say which cameras it sees."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something that is, or looks like, a camera.

    ``source``: what to write into the configuration. ``path``: its device node. ``reason``: why it cannot be used, with
    the remedy; None when it can.
    """

    source: str
    kind: Literal["picamera2", "usb"]
    name: str
    path: Path | None = None
    reason: str | None = None

    @property
    def usable(self) -> bool:
        return self.reason is None


def find_cameras(dev: Path = v4l2.DEV) -> list[Found]:
    """Everything here that looks like a camera: the Pi's own first, then V4L2 nodes by number. Opens no camera."""
    return pi_cameras() + v4l2_cameras(dev)


def pi_cameras() -> list[Found]:
    """The cameras that libcamera sees and picamera2 can drive; webcams, which libcamera also lists, are left out."""
    worker = Worker("picamera2 list")
    try:
        infos = worker.call(_ask_libcamera, ASK_S)
    except SourceError as error:
        # Not news on a box without a Pi camera: a laptop needs no picamera2.
        return [Found("picamera2", "picamera2", "Raspberry Pi camera", reason=str(error))] if on_a_pi() else []
    except Exception as error:  # noqa: BLE001  # libcamera's own errors, or none within the time
        reason = f"libcamera does not answer ({str(error) or 'no answer in time'}). Start the Pi again"
        return [Found("picamera2", "picamera2", "Raspberry Pi camera", reason=reason)]
    finally:
        worker.stop(lambda: None, 0)
    return [
        _pi_camera(number, info) for number, info in enumerate(infos) if "usb" not in str(info.get("Id", "")).lower()
    ]


def _ask_libcamera() -> list[dict[str, object]]:
    # In the worker as a whole: the import alone can wait for libcamera.
    return list(picamera2().Picamera2.global_camera_info())


def _pi_camera(number: int, info: dict[str, object]) -> Found:
    number = int(str(info.get("Num", number)))
    source = "picamera2" if number == 0 else f"picamera2:{number}"
    return Found(source, "picamera2", str(info.get("Model", "camera")))


def v4l2_cameras(dev: Path = v4l2.DEV) -> list[Found]:
    """All V4L2 nodes but those of the Pi's own hardware. The source is the stable link where there is one."""
    links = v4l2.stable_names(dev)
    others = [node for node in v4l2.nodes(dev) if node.driver not in v4l2.PI_PIPELINE]
    return [
        Found(str(links.get(node.path, node.path)), "usb", node.card or "video device", node.path, node.reason)
        for node in others
    ]


def on_a_pi(model: Path = Path("/proc/device-tree/model")) -> bool:
    """Whether this machine says that it is a Raspberry Pi."""
    try:
        return "raspberry pi" in model.read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return False
