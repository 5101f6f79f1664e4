"""What looking costs: see scripts/bench-page."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import mean, median
from typing import Any

from page_camera import PageCamera
from page_lookers import Lookers, connect

TICKS = os.sysconf("SC_CLK_TCK")
CROWD = 1000
SETTLES_S = 3.0


class Ferd:
    """The real daemon in a process of its own, without a broker."""

    def __init__(self, folder: Path, source: str, fps: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        config = folder / "ferd.toml"
        config.write_text(
            f'[node]\nname = "bench"\n[mqtt]\nport = 1\n[web]\nenabled = true\nport = {self.port}\n'
            f"[cameras.desk]\nsource = {json.dumps(source)}\nfps = {fps}\n"
        )
        environ = os.environ | {"STATE_DIRECTORY": str(folder)}
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ferd", "run", "--config", str(config)], env=environ, stdout=log, stderr=log
            )
        self.log = folder / "log"

    def wait(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with suppress(OSError):
                if self.camera()["frames"] > 5:
                    return
            time.sleep(0.2)
        sys.exit(f"ferd gives no pictures:\n{self.log.read_text()}")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            return json.load(answer)

    def camera(self) -> dict[str, Any]:
        camera: dict[str, Any] = self.get("/api/state")["cameras"][0]
        return camera

    def cpu_s(self) -> float:
        """Of all its threads and of the children it has waited for."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(fields[place]) for place in (11, 12, 13, 14)) / TICKS

    def rss_mb(self) -> float:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)


def phase(ferd: Ferd, lookers: int, seconds: float, sent: Any) -> dict[str, Any]:
    """CPU in points of a core and in ms a frame, frames a second and memory while so many look."""
    group = Lookers(ferd.port, lookers, "desk", sent) if lookers else None
    time.sleep(SETTLES_S)
    frames, cpu, began = ferd.sources()["frames"], ferd.cpu_s(), time.monotonic()
    time.sleep(seconds)
    took, cpu = time.monotonic() - began, ferd.cpu_s() - cpu
    rss, frames = ferd.rss_mb(), ferd.sources()["frames"] - frames
    seen = group.close() if group else {}
    each = 1000 * cpu / max(1, frames)
    return {"lookers": lookers, "cpu": 100 * cpu / took, "ms": each, "fps": frames / took, "rss": rss, **seen}


def crowd(ferd: Ferd, seconds: float) -> dict[str, float]:
    """Frames a second while CROWD idle connections are held open, and one looker reads a byte a second."""
    lines = []
    for _ in range(CROWD):
        with suppress(OSError):
            line = socket.create_connection(("127.0.0.1", ferd.port), 5)
            lines.append(line)
    slow = connect(ferd.port, "/api/live?camera=desk")
    frames, began = ferd.sources()["frames"], time.monotonic()
    while time.monotonic() - began < seconds:
        with suppress(OSError):
            slow.recv(1)
        time.sleep(1)
    rate = (ferd.sources()["frames"] - frames) / (time.monotonic() - began)
    for line in [*lines, slow]:
        line.close()
    return {"fps": rate, "connections": len(lines)}


@contextmanager
def running(source: str, fps: int) -> Iterator[tuple[Ferd, Any]]:
    camera = PageCamera(fps) if source == "camera" else None
    with tempfile.TemporaryDirectory(prefix="bench-page-") as folder:
        ferd = Ferd(Path(folder), camera.url if camera else source, fps)
        try:
            ferd.wait()
            yield ferd, camera.sent if camera else None
        finally:
            ferd.stop()
            if camera:
                camera.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="camera", help='"camera" (one of its own), "demo", a file, an address')
    parser.add_argument("--fps", type=int, default=10, help="of the camera (default: 10)")
    parser.add_argument("--seconds", type=float, default=40, help="of a phase: the demo scene takes 40")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--no-crowd", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with running(options.source, options.fps) as (ferd, sent):
        phases = []
        for _ in range(options.rounds):
            for lookers in (0, 1, 10):
                phases.append(phase(ferd, lookers, options.seconds, sent))
                if not options.json:
                    tell_phase(phases[-1])
        mob = None if options.no_crowd else crowd(ferd, 20)
    result = summed(phases) | {"source": options.source, "machine": platform.machine()}
    if mob:
        result["crowd"] = mob
    print(json.dumps(result) if options.json else told(result))


def tell_phase(one: dict[str, Any]) -> None:
    line = f"{one['lookers']:3} looking: {one['cpu']:6.2f} % of a core, {one['ms']:.2f} ms a frame, "
    line += f"{one['fps']:.1f} frames/s, {one['rss']:.1f} MB"
    if one["lookers"]:
        line += f", {one['rate']:.1f} pictures/s of {one['kb']:.0f} kB, {median(one['behind_ms']):.0f} ms behind"
    print(line, flush=True)


def summed(phases: list[dict[str, Any]]) -> dict[str, Any]:
    of = {n: [one for one in phases if one["lookers"] == n] for n in (0, 1, 10)}
    cpu = {n: mean(one["cpu"] for one in ones) for n, ones in of.items()}
    ms = {n: mean(one["ms"] for one in ones) for n, ones in of.items()}
    behind = sorted(ms for one in of[1] + of[10] for ms in one["behind_ms"])
    return {
        "cpu": cpu,
        "ms": ms,
        # By the frame: a machine that has other things to do reads fewer of them.
        "one_over_nobody": ms[1] / ms[0] - 1,
        "ten_over_one": ms[10] / ms[1] - 1,
        "fps": {n: mean(one["fps"] for one in ones) for n, ones in of.items()},
        "rss": {n: max(one["rss"] for one in ones) for n, ones in of.items()},
        "behind_ms": {"median": median(behind), "p99": behind[int(0.99 * len(behind))], "most": behind[-1]},
    }


def told(result: dict[str, Any]) -> str:
    cpu, ms, rss, behind = result["cpu"], result["ms"], result["rss"], result["behind_ms"]
    one, ten = 100 * result["one_over_nobody"], 100 * result["ten_over_one"]
    lines = [
        f"source {result['source']}: nobody {cpu[0]:.2f} % of a core, {ms[0]:.2f} ms a frame",
        f"one looker   {cpu[1]:.2f} %, {ms[1]:.2f} ms a frame: {cpu[1] - cpu[0]:+.2f} points, {one:+.1f} % a frame",
        f"ten lookers  {cpu[10]:.2f} %, {ms[10]:.2f} ms a frame: {cpu[10] - cpu[1]:+.2f} points, {ten:+.1f} % over one",
        f"memory       {rss[0]:.1f} MB, one {rss[1] - rss[0]:+.1f}, ten {rss[10] - rss[0]:+.1f}",
        f"a picture is {behind['median']:.0f} ms behind (p99 {behind['p99']:.0f}, most {behind['most']:.0f})",
    ]
    if "crowd" in result:
        lines.append(
            f"frames a second: {result['fps'][0]:.2f} with nobody, {result['crowd']['fps']:.2f} with "
            f"{result['crowd']['connections']} idle connections and a reader of one byte a second"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
