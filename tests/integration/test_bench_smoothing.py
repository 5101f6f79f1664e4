"""scripts/bench-smoothing: what it counts, and what it says without data."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from smoothing import judge, traces

    return judge, traces


def trace(traces, labels, kind="faces", cuts=(), fps=30):
    """A trace of clear scores: `labels` is the most probable label of each frame."""
    names = ("a", "b", "c")
    scores = np.array([[0.9 if name == label else 0.05 for name in names] for label in labels], np.float32)
    n = len(labels)
    points, measures = np.full((n, 40, 2), np.nan, np.float32), np.full((n, 7), np.nan, np.float32)
    return traces.Trace("x", kind, names, np.arange(n) / fps, scores, points, measures, tuple(cuts))


def test_a_delay_runs_from_the_middle_of_a_change(bench):
    judge, traces = bench
    cuts = [traces.Cut(0.0, 0.0, "a"), traces.Cut(3.0, 3.4, "b")]
    made = trace(traces, "a" * 96 + "b" * 84, cuts=cuts)  # the label changes at 3.2 s, the middle
    found = judge.delays([made], 30, judge.each_frame)
    assert (found.count, found.never, found.extra) == (1, 0, 0)
    assert found.median == pytest.approx(0.0, abs=1 / 30)
    assert 0.3 < judge.delays([made], 30, judge.FILTERS["calm"]).median < 0.6


def test_what_is_never_published_is_counted_and_so_are_changes_too_many(bench):
    judge, traces = bench
    cuts = [traces.Cut(0.0, 0.0, "a"), traces.Cut(2.0, 2.0, "b"), traces.Cut(2.2, 2.2, "a")]
    made = trace(traces, "a" * 60 + "b" * 6 + "a" * 54 + "c" * 2 + "a" * 58, cuts=cuts)
    assert judge.delays([made], 30, judge.FILTERS["calm"]).never == 50
    assert judge.delays([made], 30, judge.each_frame).extra == pytest.approx(2 / made.seconds * 60)
    assert judge.changes_a_minute([made], judge.each_frame) == pytest.approx(4 / made.seconds * 60)


def test_a_trace_is_kept_as_it_is(bench, tmp_path):
    _, traces = bench
    made = trace(traces, "aabb", cuts=[traces.Cut(0.0, 0.0, "a")])
    traces.save(made, tmp_path / "x.npz")
    again = traces.load(tmp_path / "x.npz")
    assert (again.name, again.kind, again.labels, again.cuts) == (made.name, made.kind, made.labels, made.cuts)
    assert np.array_equal(again.scores, made.scores)
    assert len(again.at(15).t) == 2


def test_a_folder_without_data_is_reported(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "smoothing", "--data", str(tmp_path), "--cache", str(tmp_path / "cache")],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'scripts'}{os.pathsep}{ROOT}"},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "contains neither clips" in done.stderr
    assert "Traceback" not in done.stderr
