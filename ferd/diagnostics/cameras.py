"""The configured cameras: who holds them, who may open them, and whether a real picture comes.

The picture is taken in a child process (`python -m ferd.diagnostics.look`), so a hung driver hangs only the child.
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
from ferd.config.source import redact
from ferd.diagnostics.finding import Finding, error, note, ok, warning
from ferd.diagnostics.holders import Holder, holders, lockers
from ferd.sources.discovery import Found, find_cameras
from ferd.sources.v4l2 import DEV
from ferd.sources.v4l2_modes import in_words, modes

LOOK_S = 25.0
"""A Pi camera takes seconds to start, a webcam some, a stream over Wi-Fi too."""
DARK = 12.0


@dataclass(frozen=True, slots=True)
class Look:
    """What a child process saw. `light`: mean gray level. `faces`: how many were found."""

    source: str
    width: int
    height: int
    light: float
    faces: int
    first_s: float


def cameras(config: Config) -> Iterator[Finding]:
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


def one(name: str, config: CameraConfig, found: list[Found]) -> Iterator[Finding]:
    about = f"camera {name}"
    if held := _held_by(config, found):
        if ours := [holder for holder in held if holder.is_ferd]:
            yield ok(about, f"is in use by {ours[0]}; `ferd watch` shows what it reads")
        else:
            yield error(about, f"is in use by {held[0]}", "end that program, or give ferd another camera")
        return
    answer = look(config.source)
    if isinstance(answer, str):
        yield error(about, answer, None if ". " in answer else "see `ferd cameras`")
        return
    picture = f"{answer.source}: {answer.width}x{answer.height} after {answer.first_s:.1f} s, {answer.faces} face(s)"
    if answer.light < DARK:
        yield warning(about, f"{picture}, and nearly black", "is the lens covered? more light, or an infrared lamp")
    else:
        yield ok(about, picture)


def look(source: str) -> Look | str:
    """One real picture, by a child process; or why there is none."""
    command = [sys.executable, "-P", "-m", "ferd.diagnostics.look", source]  # -P: not the ferd of the current folder
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=LOOK_S, check=False)
    except subprocess.TimeoutExpired:
        return (
            f"{redact(source)} hangs: no picture in {LOOK_S:.0f} s. Unplug it and plug it in again; "
            "check cable and power supply"
        )
    try:
        answer = json.loads(child.stdout)
    except json.JSONDecodeError:
        last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        return f"{redact(source)}: the driver ended the process ({last})"
    return str(answer["error"]) if "error" in answer else Look(**answer)


def _offers(camera: Found) -> str:
    """The formats and sizes of a webcam. A Pi camera takes any; `rpicam-hello --list-cameras` tells its sensor's."""
    offered = modes(camera.path) if camera.path is not None else {}
    return f", offers {in_words(offered)}" if offered else ""


def _held_by(config: CameraConfig, found: list[Found], dev: Path = DEV) -> list[Holder]:
    """Who else uses the configured camera; for "auto", the first that is there."""
    first_is_pi = next((camera.kind for camera in found if camera.usable), None) == "picamera2"
    if config.source.startswith("picamera2") or (config.source == "auto" and first_is_pi):
        locked = [holder for device in sorted(dev.glob("media*")) for holder in lockers(device)]
        # Which media devices belong to which camera only libcamera knows: with two, a stranger may have the other one.
        one_camera = sum(camera.kind == "picamera2" for camera in found) <= 1
        return [holder for holder in locked if one_camera or holder.is_ferd]
    if config.source in ("auto", "usb"):
        paths = [camera.path for camera in found if camera.path is not None and camera.usable]
    elif config.source.startswith("/dev/"):
        paths = [Path(config.source)]
    elif config.source.startswith("usb:"):
        paths = [Path(f"/dev/video{config.source.partition(':')[2]}")]
    else:
        paths = []
    return holders(paths[0]) if paths else []


def _groups(found: list[Found]) -> Iterator[Finding]:
    if os.geteuid() == 0 or not any(camera.path for camera in found):
        return
    try:
        needed = grp.getgrnam("video").gr_gid
    except KeyError:
        return
    if needed not in os.getgroups():
        remedy = "sudo usermod -aG video $USER, then log in again (the service has it already)"
        yield warning("groups", "this user is not in the group video", remedy)
