"""Judge filters on traces: changes a minute where nothing changes, delays where something does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ferd.config import SmoothingConfig
from ferd.policy.smoothing import Smoother, SmoothingRules
from ferd.types import MouthShape
from ferd.vision.landmarks import mouth_width
from smoothing.traces import Trace

Line = list[tuple[float, str | None]]
"""The published label at each frame in which the face was seen."""
Filter = Callable[[Trace], Line]
CLEAR = 0.8
"""Only changes between expressions that the model reads in at least this share of their frames have a delay: no filter
can publish what the model does not see."""
UNTIL_S = 0.3
"""A label may still come this long after the next change began."""


def each_frame(trace: Trace) -> Line:
    """Publish the most probable label of each frame."""
    return [(t, trace.labels[int(np.argmax(row))]) for t, row in _seen(trace)]


def mean_of_5(trace: Trace) -> Line:
    """Publish the most probable label of the mean of the last five frames: a usual recipe."""
    seen = list(_seen(trace))
    means = (np.mean([row for _, row in seen[max(0, k - 4) : k + 1]], axis=0) for k in range(len(seen)))
    return [(t, trace.labels[int(np.argmax(mean))]) for (t, _), mean in zip(seen, means, strict=True)]


def profile(config: SmoothingConfig) -> Filter:
    """Return ferd's own smoothing."""
    rules = SmoothingRules(**config.rules())

    def publish(trace: Trace) -> Line:
        smoother, line = Smoother(trace.labels, rules), []
        for k, t in enumerate(trace.t):
            if not np.isnan(trace.scores[k, 0]):
                line.append((float(t), smoother.update(float(t), trace.scores[k].tolist(), _mouth(trace, k)).label))
        return line

    return publish


FILTERS: dict[str, Filter] = {
    "each frame": each_frame,
    "mean of 5": mean_of_5,
    "quick": profile(SmoothingConfig(profile="quick")),
    "calm": profile(SmoothingConfig()),
}


def changes(line: Line) -> int:
    """Count the changes of what is published; the first label is none, "no label" in between is one."""
    labels = list(itertools.dropwhile(lambda label: label is None, (label for _, label in line)))
    return sum(one != other for one, other in itertools.pairwise(labels))


def changes_a_minute(traces: Sequence[Trace], publish: Filter) -> float:
    return 60 * sum(changes(publish(trace)) for trace in traces) / sum(trace.seconds for trace in traces)


@dataclass(frozen=True)
class Delays:
    """``median``, ``p95``: seconds from the middle of a change to its publication. ``never``: percent that was not
    published while it lasted. ``extra``: published changes a minute beyond the true ones. ``count``: of changes."""

    median: float
    p95: float
    never: float
    extra: float
    count: int


def delays(full: Sequence[Trace], fps: float, publish: Filter) -> Delays:
    """Measure traces with cuts at a frame rate."""
    found: list[float] = []
    never = extra = 0
    for trace in full:
        truth = [_true_label(trace, k) for k in range(len(trace.cuts))]
        line = publish(trace.at(fps))
        real = 0
        for k in range(1, len(trace.cuts)):
            (before, clear_before), (after, clear_after) = truth[k - 1], truth[k]
            real += before != after
            if before == after or min(clear_before, clear_after) < CLEAR:
                continue
            cut, end = trace.cuts[k], _end(trace, k) + UNTIL_S
            hits = [t for t, label in line if cut.begin <= t < end and label == after]
            if hits:
                found.append(hits[0] - (cut.begin + cut.end) / 2)
            else:
                never += 1
        extra += max(0, changes(line) - real)
    count, minutes = len(found) + never, sum(trace.seconds for trace in full) / 60
    if not found:
        return Delays(float("nan"), float("nan"), 100.0 if count else 0.0, extra / minutes, count)
    median, p95 = np.percentile(found, [50, 95])
    return Delays(float(median), float(p95), 100 * never / count, extra / minutes, count)


def _true_label(trace: Trace, k: int) -> tuple[str | None, float]:
    """What the model reads while the k-th expression is held: the label, and in which share of the frames."""
    held = (trace.t >= trace.cuts[k].end) & (trace.t < _end(trace, k)) & ~np.isnan(trace.scores[:, 0])
    if not held.any():
        return None, 0.0
    scores = trace.scores[held]
    label = int(np.log(np.maximum(scores, 0.01)).mean(axis=0).argmax())
    return trace.labels[label], float((scores.argmax(axis=1) == label).mean())


def _end(trace: Trace, k: int) -> float:
    return trace.cuts[k + 1].begin if k + 1 < len(trace.cuts) else float(trace.t[-1])


def _seen(trace: Trace) -> list[tuple[float, np.ndarray]]:
    return [(float(t), row) for t, row in zip(trace.t, trace.scores, strict=True) if not np.isnan(row[0])]


def _mouth(trace: Trace, k: int) -> MouthShape | None:
    reading = trace.landmarks(k)
    return None if reading is None else MouthShape(reading.mouth_aperture, mouth_width(reading.points))
