"""Check the configured cameras: which process holds them, who may open them, and whether they deliver a picture.

A child process (`python -m ferd.diagnostics.look`) takes the picture, so a driver that hangs affects only the child.
"""

from __future__ import annotations

import grp
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ferd.config import CameraConfig, Config
from ferd.config.source import is_address, is_browser
from ferd.diagnostics.finding import Finding, error, note, ok, warning
from ferd.diagnostics.holders import Holder, holders, lockers
from ferd.extras import Environment
from ferd.redaction import redact_text, redact_value
from ferd.sources.discovery import FoundCamera, find_cameras
from ferd.sources.v4l2 import DEV, modes, summarise

LOOK_S = 45.0
"""Time limit for one picture. A Pi camera needs seconds to start, as do some webcams and streams over Wi-Fi."""
NETWORK = "is the camera on, and does its address show a picture in a browser or in `ffplay ADDRESS` on this machine?"
DARK = 12.0
"""Mean gray level (0 to 255) below which a picture counts as black."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the child process saw. ``light``: mean gray level. ``faces``: number of detected faces."""

    source: str
    width: int
    height: int
    light: float
    faces: int
    first_s: float


def cameras(config: Config) -> Iterator[Finding]:
    """List what can be opened here, then check each configured camera."""
    found = find_cameras()
    yield from _groups(found)
    for camera in found:
        yield (
            ok("camera", f"{camera.source}: {camera.name}{_offers(camera)}")
            if camera.usable
            else note("camera", f"{camera.source}: {camera.name}: {camera.reason}")
        )
    for name, camera_config in config.cameras.items():
        yield from one(name, camera_config, found)


def one(name: str, config: CameraConfig, found: list[FoundCamera]) -> Iterator[Finding]:
    """Check one configured camera. `found`: the cameras of this machine."""
    about = f"camera {name}"
    if is_browser(config.source):
        yield note(about, "a browser sends its pictures: the page and `ferd watch` say whether one does")
        return
    if held := _held_by(config, found):
        if ours := [holder for holder in held if holder.is_ferd]:
            yield ok(about, f"held by {ours[0]}; `ferd watch` shows what it reads")
        else:
            yield error(about, f"held by {held[0]}", "end that program, or give ferd another camera")
        return
    answer = look(config)
    if isinstance(answer, str):
        remedy = NETWORK if is_address(config.source) else "see `ferd cameras`"
        yield error(about, answer, None if ". " in answer else remedy)
        return
    picture = f"{answer.source}: {answer.width}x{answer.height} after {answer.first_s:.1f} s, {answer.faces} face(s)"
    if answer.light < DARK:
        yield warning(about, f"{picture}, and nearly black", "is the lens covered? Else add light, or an infrared lamp")
    else:
        yield ok(about, picture)


def look(config: CameraConfig) -> Look | str:
    """Take one picture in a child process. Returns the reason as text where there is none."""
    source = config.source
    command = [sys.executable, "-P", "-m", "ferd.diagnostics.look"]  # -P: not the ferd of the current folder
    try:
        # Through stdin: every user of the machine can read the arguments of a process, and the address has a password.
        child = subprocess.run(
            command, input=config.model_dump_json(), capture_output=True, text=True, timeout=LOOK_S, check=False
        )
    except subprocess.TimeoutExpired:
        return (
            f"{redact_value(source)} hangs: no picture within {LOOK_S:.0f} s. Unplug it and plug it in again; "
            "check cable and power supply"
        )
    try:
        answer = json.loads(child.stdout)
    except json.JSONDecodeError:
        last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        return f"{redact_value(source)}: the driver ended the process ({redact_text(last)})"
    return str(answer["error"]) if "error" in answer else Look(**answer)


def _offers(camera: FoundCamera) -> str:
    """The formats and sizes of a webcam. A Pi camera takes any; `rpicam-hello --list-cameras` lists its sensor's."""
    offered = modes(camera.path) if camera.path is not None else {}
    return f", offers {summarise(offered)}" if offered else ""


def _held_by(config: CameraConfig, found: list[FoundCamera], dev: Path = DEV) -> list[Holder]:
    """Processes that use the configured camera.

    "auto" opens the first camera that delivers a picture. So of several candidates, one that ferd holds counts; else
    the first.
    """
    usable = [camera for camera in found if camera.usable]
    candidates: list[list[Holder]] = []
    if config.source.startswith("picamera2"):
        candidates = [_pi_camera_lockers(found, dev)]
    elif config.source in ("auto", "usb"):
        wanted = usable if config.source == "auto" else [camera for camera in usable if camera.kind == "usb"][:1]
        candidates = [
            holders(camera.path) if camera.path is not None else _pi_camera_lockers(found, dev) for camera in wanted
        ]
    elif config.source.startswith("/dev/"):
        candidates = [holders(Path(config.source))]
    elif config.source.startswith("usb:"):
        candidates = [holders(Path(f"/dev/video{config.source.partition(':')[2]}"))]
    ours = [held for held in candidates if any(holder.is_ferd for holder in held)]
    return next(iter(ours or candidates), [])


def _pi_camera_lockers(found: list[FoundCamera], dev: Path) -> list[Holder]:
    locked = [holder for device in sorted(dev.glob("media*")) for holder in lockers(device)]
    # Only libcamera knows which media devices belong to which camera: with two, another program may use the other one.
    one_camera = sum(camera.kind == "picamera2" for camera in found) <= 1
    return [holder for holder in locked if one_camera or holder.is_ferd]


def _groups(found: list[FoundCamera]) -> Iterator[Finding]:
    if os.geteuid() == 0 or not any(camera.path for camera in found):
        return
    try:
        needed = grp.getgrnam("video").gr_gid
    except KeyError:
        return
    if needed not in os.getgroups():
        remedy = f"{Environment.here().allow_camera}, then log in again (the service is in it already)"
        yield warning("groups", "this user is not in the group video", remedy)
