"""/metrics, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

KIND = "text/plain; version=0.0.4; charset=utf-8"


def metrics(state: dict[str, Any], health: dict[str, Any], stages: dict[str, dict[str, float]]) -> bytes:
    """The text, from what the page's API answers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(state, health, stages))
    return generate_latest(registry)


class _Once(Collector):
    def __init__(self, state: dict[str, Any], health: dict[str, Any], stages: dict[str, dict[str, float]]) -> None:
        self._state, self._health, self._stages = state, health, stages

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "ferd", "Which ferd this is.", {key: self._state[key] for key in ("version", "node", "model", "detector")}
        )
        yield GaugeMetricFamily("ferd_up_seconds", "Since the page began.", self._state["up_s"])
        yield GaugeMetricFamily("ferd_broker_connected", "1 while it is.", float(self._state["broker"]["connected"]))
        yield CounterMetricFamily("ferd_broker_reconnects", "Connections after the first.", self._reconnects())
        for key, name, text in (
            ("rss_mb", "ferd_resident_memory_megabytes", "Memory of the process."),
            ("temperature_c", "ferd_board_temperature_celsius", "Of the processor."),
        ):
            if (value := self._health[key]) is not None:
                yield GaugeMetricFamily(name, text, value)
        yield from self._cameras()
        stages = GaugeMetricFamily("ferd_stage_milliseconds", "Mean time of a step.", labels=("camera", "stage"))
        for camera, means in self._stages.items():
            for stage, value in means.items():
                stages.add_metric((camera, stage), value)
        yield stages

    def _reconnects(self) -> float:
        return float(self._state["broker"]["reconnects"])

    def _cameras(self) -> Iterator[Metric]:
        cameras = self._state["cameras"]
        online = GaugeMetricFamily("ferd_camera_online", "1 while it gives pictures.", labels=("camera",))
        latency = GaugeMetricFamily("ferd_camera_latency_milliseconds", "Picture to reading.", labels=("camera",))
        for camera in cameras:
            online.add_metric((camera["name"],), float(camera["status"] == "online"))
            if camera["latency_ms"] is not None:
                latency.add_metric((camera["name"],), camera["latency_ms"])
        yield from (online, latency)
        for key, text in (
            ("frames", "Pictures analysed."),
            ("skipped", "Pictures replaced by a newer one before they were analysed."),
            ("reopened", "How often it was opened again."),
            ("rebuilt", "How often a hung call was left behind and all was built anew."),
            ("restarts", "How often ferd was started anew because it hung for good."),
        ):
            family = CounterMetricFamily(f"ferd_camera_{key}", text, labels=("camera",))
            for camera in cameras:
                family.add_metric((camera["name"],), camera[key])
            yield family
