"""The figures of the expression model: its temperature and its calibration, in numpy alone."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPO / "scripts"))
    return importlib.import_module("training.judge")


def answers(judge: Any, count: int, sharper: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `sharper` times too large, and labels drawn by the true probabilities."""
    random = np.random.default_rng(seed)
    true = random.normal(0, 1.5, (count, 7))
    drawn = np.array([random.choice(7, p=p) for p in judge.softmax(true)])
    return true * sharper, drawn


def test_the_likelihood_finds_the_temperature_that_was_put_in(judge: Any) -> None:
    assert judge.fit_temperature(*answers(judge, 3000, 1.6, 1)) == pytest.approx(1.6, abs=0.15)


def test_the_fairest_temperature_lies_between_those_of_the_sets(judge: Any) -> None:
    sets = [answers(judge, 3000, sharper, seed) for seed, sharper in enumerate((1.0, 1.0, 1.0, 1.8))]
    parts = [(logits, logits.argmax(axis=1) == labels) for logits, labels in sets]
    temperature = judge.fairest_temperature(parts)
    gaps = [judge.softmax(logits, temperature).max(axis=1).mean() - right.mean() for logits, right in parts]
    assert 1.1 < temperature < 1.7
    assert min(gaps) == pytest.approx(-max(gaps), abs=0.02)  # one set of four has as much say as three
    assert judge.fairest_temperature(parts[3:]) == pytest.approx(1.8, abs=0.2)


def test_a_perfect_model_of_few_pictures_measures_an_error_by_chance(judge: Any) -> None:
    def by_chance(count: int) -> float:
        return float(judge.error_by_chance(judge.softmax(answers(judge, count, 1.0, 5)[0])))

    assert by_chance(87) > 0.06
    assert by_chance(5000) < 0.02


def test_the_error_is_the_gap_between_confidence_and_accuracy(judge: Any) -> None:
    sure = np.tile([0.9, 0.1, 0, 0, 0, 0, 0], (100, 1))
    assert judge.calibration_error(sure, np.arange(100) < 90) == pytest.approx(0, abs=1e-9)
    assert judge.calibration_error(sure, np.arange(100) < 50) == pytest.approx(0.4)
    assert judge.calibration_error(sure, np.arange(100) < 100) == pytest.approx(0.1)
