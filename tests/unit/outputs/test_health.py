from __future__ import annotations

import json
from pathlib import Path

import pytest

from ferd.outputs.health import (
    Counters,
    HealthReporter,
    find_throttled,
    read_rss_mb,
    read_temperature_c,
    read_throttled,
)


def zone(thermal: Path, number: int, kind: str, temp: str) -> None:
    folder = thermal / f"thermal_zone{number}"
    folder.mkdir(parents=True)
    (folder / "type").write_text(kind + "\n")
    (folder / "temp").write_text(temp + "\n")


def test_health_is_told_soon_and_then_every_minute(tmp_path: Path):
    zone(tmp_path, 0, "cpu-thermal", "48312")
    (tmp_path / "throttled").write_text("50005\n")
    report = HealthReporter("hall", 100.0, thermal=tmp_path, throttled=tmp_path / "throttled", wall=lambda: 1000.0)
    assert report.tell(104.9, {}, 0) is None
    desk = Counters(frames=50, skipped=3, reopened=2, latency_s=0.0312, rebuilt=1, reason="no picture")
    first = report.tell(105.0, {"desk": desk}, 1)
    assert first is not None
    assert (first.topic, first.retain) == ("ferd/hall/health", True)
    told = json.loads(first.payload)
    assert told.pop("rss_mb") > 5
    assert told == {
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
    assert report.tell(164.9, {}, 1) is None
    later = report.tell(165.0, {"desk": Counters(frames=350), "door": Counters()}, 1)
    assert later is not None
    cameras = json.loads(later.payload)["cameras"]
    assert (cameras["desk"]["fps"], cameras["door"]["fps"], cameras["door"]["latency_ms"]) == (5.0, 0.0, None)


@pytest.mark.parametrize("soc", ["soc", "soc@107c000000"])
def test_the_firmwares_file_is_found_on_every_board(tmp_path: Path, soc: str):
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


def test_a_machine_that_tells_nothing(tmp_path: Path):
    assert read_temperature_c(tmp_path / "none") is None
    assert read_rss_mb(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("text", "told"), [("0\n", []), ("50000\n", []), ("8\n", ["soft_temperature_limit"]), ("?", None), (None, None)]
)
def test_throttling_is_what_holds_now(tmp_path: Path, text: str | None, told: list[str] | None):
    file = tmp_path / "get_throttled"
    if text is not None:
        file.write_text(text)
    assert read_throttled(file) == told


def test_the_start_does_not_drift_but_follows_a_clock_that_is_set(tmp_path: Path):
    walls = iter([1000.0, 1060.4, 5000.0])
    report = HealthReporter("hall", 0.0, thermal=tmp_path, wall=lambda: next(walls))
    started = [json.loads(message.payload)["started"][11:] for t in (10, 70, 130) if (message := report.tell(t, {}, 0))]
    assert started == ["00:16:30.000Z", "00:16:30.000Z", "01:21:10.000Z"]


def test_a_rename_is_told_soon_and_what_was_counted_goes_on(tmp_path: Path):
    report = HealthReporter("hall", 0.0, thermal=tmp_path)
    assert report.tell(60.0, {"desk": Counters(frames=600)}, 0) is not None
    report.rename("hall")
    assert report.tell(66.0, {"desk": Counters(frames=660)}, 0) is None
    report.rename("den")
    message = report.tell(66.0, {"desk": Counters(frames=660)}, 0)
    assert message is not None
    health = json.loads(message.payload)
    assert (message.topic, health["uptime_s"], health["cameras"]["desk"]["fps"]) == ("ferd/den/health", 66, 10.0)
