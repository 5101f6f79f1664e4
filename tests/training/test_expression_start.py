"""The training of the expression model begins with the weights of a file and goes on where it was cut.

Needs torch, which the training environment has and the ordinary one does not.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

REPO = Path(__file__).resolve().parents[2]
FILE = REPO / "models" / "expression-ferplus.tflite"
NARROW = {"stem": 16, "widths": (24, 48, 96), "features": 192}  # of the file


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPO / "scripts"))
    names = ("net", "start", "fit", "checkpoint", "judge", "mixture", "worlds", "recipe")
    return SimpleNamespace(**{name: importlib.import_module(f"training.{name}") for name in names})


@pytest.fixture(scope="module")
def tiles() -> np.ndarray:
    """Smooth random pictures."""
    coarse = np.random.default_rng(3).integers(0, 255, (40, 6, 6)).astype(np.float32)
    return np.kron(coarse, np.ones((8, 8), np.float32)).astype(np.uint8)


def logits(training: Any, net: Any, tiles: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(net.eval()(training.fit.to_input(torch.from_numpy(tiles))).numpy())


def test_a_net_of_the_files_shape_says_what_the_file_says(training: Any, tiles: np.ndarray) -> None:
    net = training.start.net_of(FILE, training.net.Shape(**NARROW), tiles)
    of_net = logits(training, net, tiles)[:, :7]
    of_file = training.judge.run_file(FILE, tiles, training.net.MEAN, training.net.STD)
    assert np.abs(of_net - of_file).mean() < 0.1  # int8 steps of the file
    assert np.abs(of_file).mean() > 0.3


def test_larger_weights_change_nothing(training: Any, tiles: np.ndarray) -> None:
    net = training.start.net_of(FILE, training.net.SHIPPED, tiles)
    before = logits(training, net, tiles)
    with torch.no_grad():
        for conv, norm in training.start.convolutions(net):
            training.start.enlarge(conv, norm, 0.3)
            np.testing.assert_allclose(conv.weight.std(dim=(1, 2, 3)).numpy(), 0.3, rtol=1e-3)
    np.testing.assert_allclose(logits(training, net, tiles), before, atol=1e-3)


def test_a_wider_net_gives_the_logits_of_the_file(training: Any, tiles: np.ndarray) -> None:
    narrow = training.start.net_of(FILE, training.net.Shape(**NARROW), tiles)
    wide = training.start.net_of(FILE, training.net.Shape(stem=20, widths=(28, 64, 128), features=256), tiles)
    assert training.net.multiply_adds(wide) > 1.3 * training.net.multiply_adds(narrow)
    np.testing.assert_allclose(logits(training, wide, tiles), logits(training, narrow, tiles), atol=1e-3)


def test_the_new_channels_of_a_wider_net_learn(training: Any, tiles: np.ndarray) -> None:
    net = training.start.net_of(FILE, training.net.SHIPPED, tiles).train()
    before = {name: weight.clone() for name, weight in net.named_parameters()}
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        net(training.fit.to_input(torch.from_numpy(tiles))).logsumexp(1).mean().backward()
        optimizer.step()
    last = [name for name in before if before[name].ndim == 4][-1]
    for name, new in (("head.weight", slice(192, None)), (last, slice(96, None))):
        weight = dict(net.named_parameters())[name]
        assert (before[name][:7, new] == 0).all()
        assert (weight[:7, new] != 0).any()


@pytest.mark.parametrize("shape", [{"widths": (24, 48, 64)}, {"features": 128}, {"stem": 8}, {"blocks": (1, 1, 2)}])
def test_a_file_that_does_not_fit_is_refused_by_name(training: Any, tiles: np.ndarray, shape: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expression-ferplus\.tflite does not fit"):
        training.start.net_of(FILE, training.net.Shape(**shape), tiles)


def test_what_the_file_says_is_appended_once_to_the_teachers_word(training: Any, tiles: np.ndarray) -> None:
    count = len(tiles)
    world = training.worlds.World(
        np.stack([training.worlds.with_margin(tile) for tile in tiles]),
        np.arange(count),
        np.full(count, training.worlds.UNCUT),
        np.zeros((count, 8), np.float32),
        np.full(count, -1),
        np.zeros(count, bool),
        np.zeros((count, training.worlds.WORD), np.float32),
    )
    once = training.start.with_word_of(FILE, world)
    twice = training.start.with_word_of(FILE, once)
    np.testing.assert_array_equal(once.word, twice.word)
    said = once.word[:, training.mixture.START]
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-4)
    of_file = training.judge.run_file(FILE, tiles, training.net.MEAN, training.net.STD)
    np.testing.assert_array_equal(said.argmax(axis=1), of_file.argmax(axis=1))
    targets, known = training.mixture.targets_of(once, training.mixture.SHARES["ferplus"])
    assert known.all()
    np.testing.assert_allclose(targets[:, :7], said, atol=1e-5)


def settings(training: Any, **other: Any) -> Any:
    shape = training.net.Shape(stem=4, widths=(4, 4, 4), features=4)
    return replace(training.checkpoint.Settings(shape, epochs=10, steps=2, batch=4, steady=0.6), **other)


def test_the_rate_is_steady_and_falls_at_the_end(training: Any) -> None:
    setting = settings(training, rate=1.0, steady=0.6)
    rates = [training.fit._rate(setting, epoch) for epoch in (0, 1, 3, 6, 8, 10)]
    assert rates[0] < 0.1
    assert rates[1] == rates[2] == rates[3] == 1
    assert rates[4] == pytest.approx(0.501)
    assert rates[5] == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("done", "other", "resumed"),
    [
        (6, {"epochs": 20}, True),  # the rate had not begun to fall
        (8, {"epochs": 20}, False),
        (9, {"epochs": 10}, True),
        (6, {"epochs": 8}, False),  # would have fallen already
        (5, {"steady": 0.5, "epochs": 12}, True),
        (6, {"steady": 0.5}, False),
        (3, {"epochs": 8}, True),
        (3, {"rate": 0.2}, False),
        (3, {"pictures": 7}, False),
    ],
)
def test_a_training_goes_on_only_where_its_epochs_would_have_been_the_same(
    training: Any, tmp_path: Path, done: int, other: dict[str, Any], resumed: bool
) -> None:
    run = training.checkpoint.Run(settings(training), tmp_path)
    run.epochs = done
    run.save()
    again = training.checkpoint.Run(settings(training, **other), tmp_path)
    assert again.load() is resumed
    assert again.epochs == (done if resumed else 0)


def test_a_cut_training_ends_with_the_same_weights(training: Any, tiles: np.ndarray, tmp_path: Path) -> None:
    sample = training.mixture.Sample(
        np.stack([training.worlds.with_margin(tile) for tile in tiles]),
        np.eye(8, dtype=np.float32)[np.arange(len(tiles)) % 8],
        np.ones(len(tiles)),
    )
    short = settings(training, epochs=3)
    whole = training.fit.fit(short, sample, {}, tmp_path / "whole")
    run = training.checkpoint.Run(short, tmp_path / "cut")
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "curve.csv").touch()
    training.fit._epoch(run, sample)
    run.epochs = 1
    run.save()
    resumed = training.fit.fit(short, sample, {}, tmp_path / "cut")
    np.testing.assert_allclose(logits(training, resumed, tiles), logits(training, whole, tiles), atol=0.02)


def test_a_damaged_checkpoint_is_named_and_the_training_starts_again(
    training: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in (b"", b"no checkpoint"):
        (tmp_path / "checkpoint.pt").write_bytes(content)
        assert not training.checkpoint.Run(settings(training), tmp_path).load()
        assert "checkpoint.pt is no checkpoint of this training" in capsys.readouterr().err


def test_the_second_round_begins_at_half_the_rate_and_falls_at_once(training: Any) -> None:
    first, second = training.recipe.rounds(34, 5)
    assert (first.epochs, second.epochs) == (34, 17)
    assert first.falling(17) == 0 < second.falling(1)
    assert training.fit._rate(second, 1) < first.rate / 2 == second.rate
    assert first.seed != second.seed
    assert training.recipe.rounds(1, 5)[1].epochs == 1


def test_a_start_that_is_missing_or_damaged_is_named(
    training: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = training.recipe.MissingDataError
    options = SimpleNamespace(threads=1, work=tmp_path / "work", epochs=1)
    monkeypatch.setattr(training.recipe, "START", tmp_path / "start.tflite")
    with pytest.raises(missing, match=r"start\.tflite, whose weights the training begins with"):
        training.recipe.train(options, tmp_path)
    (tmp_path / "start.tflite").write_bytes(b"no network")
    monkeypatch.setattr(training.recipe, "worlds", lambda folder, work: {"ferplus": None})
    with pytest.raises(missing, match=r"start\.tflite or its card is damaged"):
        training.recipe.train(options, tmp_path)


def test_a_start_that_cannot_be_read_is_named(training: Any, tmp_path: Path, tiles: np.ndarray) -> None:
    path = tmp_path / "start.tflite"
    for content in (None, b"", b"no network"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ValueError, match=r"start\.tflite, whose weights the training begins with, cannot be read"):
            training.start.net_of(path, training.net.SHIPPED, tiles)


def test_the_mean_of_two_nets_lies_between_them(training: Any) -> None:
    shape = settings(training).shape
    one, two = (training.net.ExpressionNet(shape) for _ in range(2))
    mean = training.recipe.mean_of(one, two)
    expected = (one.head.weight + two.head.weight) / 2
    torch.testing.assert_close(mean.head.weight, expected)
    assert not torch.equal(one.head.weight, two.head.weight)
    assert not mean.training
