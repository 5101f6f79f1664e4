"""List what can be opened on this machine, for `ferd cameras`, `ferd doctor` and the source "auto"."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ferd.errors import SourceError
from ferd.sources import v4l2
from ferd.sources.capture import call_with_limit
from ferd.sources.picamera2 import picamera2

LIST_S = 5.0
"""Seconds that libcamera may take to list its cameras."""


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """Something that is, or looks like, a camera.

    ``source``: the value for the configuration. ``path``: its device node. ``reason``: why it cannot be used, with the
    remedy; None when it can.
    """

    source: str
    kind: Literal["picamera2", "usb"]
    name: str
    path: Path | None = None
    reason: str | None = None

    @property
    def usable(self) -> bool:
        return self.reason is None


def find_cameras(dev: Path = v4l2.DEV) -> list[FoundCamera]:
    """List everything that looks like a camera: the Pi's own first, then V4L2 nodes by number. Opens no camera."""
    return pi_cameras() + v4l2_cameras(dev)


def pi_cameras() -> list[FoundCamera]:
    """List the cameras that picamera2 can drive; webcams, which libcamera lists too, are left out."""
    try:
        # As a whole in a thread with a time limit: the import alone can wait for libcamera.
        infos = call_with_limit(_list_with_libcamera, LIST_S, "ferd-libcamera-list")
    except SourceError as error:
        # Not worth a line on other machines: a laptop needs no picamera2.
        return [FoundCamera("picamera2", "picamera2", "Raspberry Pi camera", reason=str(error))] if on_a_pi() else []
    except Exception as error:  # noqa: BLE001  # libcamera's own errors, or none within the time
        reason = f"libcamera does not answer ({error}). Restart the Pi"
        return [FoundCamera("picamera2", "picamera2", "Raspberry Pi camera", reason=reason)]
    return [
        _pi_camera(number, info) for number, info in enumerate(infos) if "usb" not in str(info.get("Id", "")).lower()
    ]


def _list_with_libcamera() -> list[dict[str, object]]:
    return list(picamera2().Picamera2.global_camera_info())


def _pi_camera(number: int, info: dict[str, object]) -> FoundCamera:
    number = int(str(info.get("Num", number)))
    source = "picamera2" if number == 0 else f"picamera2:{number}"
    return FoundCamera(source, "picamera2", str(info.get("Model", "camera")))


def v4l2_cameras(dev: Path = v4l2.DEV) -> list[FoundCamera]:
    """List all V4L2 nodes but those of the Pi's own hardware. The source is the stable link where there is one."""
    links = v4l2.stable_names(dev)
    others = [node for node in v4l2.nodes(dev) if node.driver not in v4l2.PI_PIPELINE]
    return [
        FoundCamera(str(links.get(node.path, node.path)), "usb", node.card or "video device", node.path, node.reason)
        for node in others
    ]


def on_a_pi(model: Path = Path("/proc/device-tree/model")) -> bool:
    """Tell whether this machine is a Raspberry Pi, by its device tree."""
    try:
        return "raspberry pi" in model.read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return False
