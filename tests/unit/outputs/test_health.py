from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from output_snapshots import camera, snapshot

from ferd.config import Config
from ferd.outputs.health import HealthSink, find_throttled, read_rss_mb, read_temperature_c, read_throttled
from ferd.payloads import Health


def zone(thermal: Path, number: int, kind: str, temp: str) -> None:
    folder = thermal / f"thermal_zone{number}"
    folder.mkdir(parents=True)
    (folder / "type").write_text(kind + "\n")
    (folder / "temp").write_text(temp + "\n")


class Bench:
    """A sink, what it published last, and the snapshot that it was given last."""

    def __init__(self, folder: Path, started: float = 0.0) -> None:
        self._published: list[Health] = []
        self._last: Any = None
        self.reconnects = 0
        self.sink = HealthSink(
            self._published.append,
            lambda: self.reconnects,
            started=started,
            thermal=folder,
            throttled=folder / "throttled",
        )

    def update(self, *cameras: Any, node: str = "hall", **keys: Any) -> dict[str, Any] | None:
        after = snapshot(*cameras, config=Config.model_validate({"node": {"name": node}}), **keys)
        self.sink.update(self._last, after, ())
        self._last = after
        return self._published.pop().to_dict() if self._published else None


def test_health_is_published_soon_and_then_every_minute(tmp_path: Path):
    zone(tmp_path, 0, "cpu-thermal", "48312")
    (tmp_path / "throttled").write_text("50005\n")
    bench = Bench(tmp_path, started=100.0)
    assert bench.update(at=104.9) is None
    bench.reconnects = 1
    desk = camera("desk", frames=50, skipped=3, reopened=2, latency_s=0.0312, rebuilt=1, reason="no picture")
    first = bench.update(desk, at=105.0, wall=1000.0)
    assert first is not None
    assert first.pop("rss_mb") > 5
    assert first == {
        "v": 1,
        "uptime_s": 5,
        "temperature_c": 48.3,
        "mqtt_reconnects": 1,
        "cameras": {
            "desk": {
                "fps": 10.0,
                "frames": 50,
                "skipped": 3,
                "reopened": 2,
                "latency_ms": 31.2,
                "rebuilt": 1,
                "restarts": 0,
                "reason": "no picture",
            }
        },
        "throttled": ["under_voltage", "throttled"],
        "started": "1970-01-01T00:16:35.000Z",
        "slowed": False,
    }
    assert bench.update(desk, at=164.9) is None
    later = bench.update(camera("desk", frames=350), camera("door"), at=165.0, throttled=True)
    assert later is not None
    cameras = later["cameras"]
    assert (cameras["desk"]["fps"], cameras["door"]["fps"], cameras["door"]["latency_ms"]) == (5.0, 0.0, None)
    assert later["slowed"]


@pytest.mark.parametrize("soc", ["soc", "soc@107c000000"])
def test_the_file_of_the_firmware_is_found_on_every_board(tmp_path: Path, soc: str):
    file = tmp_path / soc / f"{soc}:firmware" / "get_throttled"
    file.parent.mkdir(parents=True)
    file.write_text("0\n")
    assert find_throttled(tmp_path) == file


def test_the_processors_own_sensor_is_preferred(tmp_path: Path):
    zone(tmp_path, 0, "acpitz", "27800")
    zone(tmp_path, 1, "x86_pkg_temp", "61000")
    assert read_temperature_c(tmp_path) == 61.0


@pytest.mark.parametrize("text", ["", "hot"])
def test_a_broken_sensor_is_none(tmp_path: Path, text: str):
    zone(tmp_path, 0, "cpu-thermal", text)
    assert read_temperature_c(tmp_path) is None


def test_a_machine_without_sensors(tmp_path: Path):
    assert read_temperature_c(tmp_path / "none") is None
    assert read_rss_mb(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("text", "read"), [("0\n", []), ("50000\n", []), ("8\n", ["soft_temperature_limit"]), ("?", None), (None, None)]
)
def test_throttling_is_what_holds_now(tmp_path: Path, text: str | None, read: list[str] | None):
    file = tmp_path / "get_throttled"
    if text is not None:
        file.write_text(text)
    assert read_throttled(file) == read


def test_the_start_does_not_drift_but_follows_a_clock_that_is_set(tmp_path: Path):
    bench = Bench(tmp_path)
    walls = {10: 1000.0, 70: 1060.4, 130: 5000.0}
    started = [health["started"][11:] for t, wall in walls.items() if (health := bench.update(at=t, wall=wall))]
    assert started == ["00:16:30.000Z", "00:16:30.000Z", "01:21:10.000Z"]


def test_a_rename_is_published_soon_and_what_was_counted_goes_on(tmp_path: Path):
    bench = Bench(tmp_path)
    assert bench.update(camera("desk", frames=600), at=60.0)
    assert bench.update(camera("desk", frames=660), at=66.0) is None
    assert bench.update(camera("desk", frames=660), at=66.0, node="den") is None, "after the first messages of a start"
    health = bench.update(camera("desk", frames=710), at=71.0, node="den")
    assert health is not None
    assert (health["uptime_s"], health["cameras"]["desk"]["fps"]) == (71, 10.0)
    assert bench.update(camera("desk", frames=710), at=130.0, node="den") is None
