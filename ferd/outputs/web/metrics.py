"""Write the figures of the page's API for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics(state: dict[str, Any], health: dict[str, Any], timings: Mapping[str, Mapping[str, float]]) -> bytes:
    """Make the text of /metrics from the values that the page's API answers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Values(state, health, timings))
    return generate_latest(registry)


class _Values(Collector):
    def __init__(
        self, state: dict[str, Any], health: dict[str, Any], timings: Mapping[str, Mapping[str, float]]
    ) -> None:
        self._state, self._health, self._timings = state, health, timings

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "ferd",
            "Version, node, model and detector.",
            {key: self._state[key] for key in ("version", "node", "model", "detector")},
        )
        yield GaugeMetricFamily("ferd_up_seconds", "Time since the page was started.", self._state["up_s"])
        yield GaugeMetricFamily(
            "ferd_broker_connected", "1 while connected.", float(self._state["broker"]["connected"])
        )
        yield CounterMetricFamily("ferd_broker_reconnects", "Connections after the first.", self._reconnects())
        yield GaugeMetricFamily(
            "ferd_events_waiting", "Events that the broker has not got yet.", self._state["broker"]["waiting"]
        )
        for key, name, text in (
            ("rss_mb", "ferd_resident_memory_megabytes", "Memory of the process."),
            ("temperature_c", "ferd_board_temperature_celsius", "Temperature of the processor."),
        ):
            if (value := self._health[key]) is not None:
                yield GaugeMetricFamily(name, text, value)
        yield from self._cameras()
        steps = GaugeMetricFamily(
            "ferd_stage_milliseconds", "Mean time of a step of the pipeline.", labels=("camera", "stage")
        )
        for camera, means in self._timings.items():
            for step, value in means.items():
                steps.add_metric((camera, step), value)
        yield steps

    def _reconnects(self) -> float:
        return float(self._state["broker"]["reconnects"])

    def _cameras(self) -> Iterator[Metric]:
        cameras = self._state["cameras"]
        online = GaugeMetricFamily("ferd_camera_online", "1 while it gives frames.", labels=("camera",))
        latency = GaugeMetricFamily("ferd_camera_latency_milliseconds", "From capture to reading.", labels=("camera",))
        for camera in cameras:
            online.add_metric((camera["name"],), float(camera["status"] == "online"))
            if camera["latency_ms"] is not None:
                latency.add_metric((camera["name"],), camera["latency_ms"])
        yield from (online, latency)
        for key, text in (
            ("frames", "Frames analysed."),
            ("skipped", "Frames left out: replaced by a newer one, or the board is throttled."),
            ("reopened", "Times that the camera was opened again."),
            ("rebuilt", "Capture threads abandoned in a hung call and replaced."),
            ("restarts", "Restarts of ferd for this camera."),
        ):
            family = CounterMetricFamily(f"ferd_camera_{key}", text, labels=("camera",))
            for camera in cameras:
                family.add_metric((camera["name"],), camera[key])
            yield family
