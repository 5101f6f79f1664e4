"""Which scale a trial chooses, from what the model says of pictures."""

import numpy as np
import pytest

from ferd.models.importer.input_trial import Way, choose, judge, named_scale, possible_ways
from ferd.models.preprocess import InputSpec

LABELS = ("a", "b", "c")
GRAY = InputSpec(48, 48, "gray")
RGB = InputSpec(48, 48, "rgb")


def answers(*rows):
    """Probabilities of pictures with four copies each; a row: the label that each copy is read as, and how surely."""
    return np.array(
        [[np.where(np.arange(3) == k, sure, (1 - sure) / 2) for k in copies] for copies, sure in rows], np.float32
    )


def test_the_figures_of_a_way():
    truths = ["a", "a", "b", None]
    seen = judge(
        Way("w", GRAY),
        answers(([0, 0, 0, 0], 0.9), ([0, 1, 0, 1], 0.9), ([1, 1, 1, 1], 0.9), ([2] * 4, 0.9)),
        truths,
        LABELS,
    )
    assert seen.right == pytest.approx((0.75 + 1) / 2)
    assert seen.steady == pytest.approx(14 / 16)
    assert seen.said == {"a": "a", "b": "b"}
    assert seen.spread > 0.5


def test_a_model_that_always_says_the_same_has_no_spread():
    """Saturated by a wrong scale, it is sure and steady."""
    seen = judge(Way("w", GRAY), answers(*[([1] * 4, 0.999)] * 6), ["a", "b", "c"] * 2, LABELS)
    assert (seen.spread, seen.steady) == (0.0, 1.0)
    assert seen.right == pytest.approx(1 / 3)
    assert seen.sure < 0.1


def test_nothing_is_right_where_one_class_is_seen():
    assert judge(Way("w", GRAY), answers(*[([1] * 4, 0.9)] * 6), ["b"] * 6, LABELS).right is None


def way(name, right=None, sure=0.0, spread=0.0, said=()):
    return Way(name, GRAY, right, sure, spread, 1.0, dict(said))


@pytest.mark.parametrize(
    ("ways", "own", "chosen", "doubt"),
    [
        ([way("x", 0.3, 0.1), way("y", 0.95, 0.8)], False, "y", None),
        ([way("x", 0.9, 0.75), way("y", 0.95, 0.8)], False, "y", "x reads the pictures nearly as well"),
        ([way("x", 0.25, 0.1), way("y", 0.25, 0.2)], False, "x", "no scale reads"),
        (
            [way("x", 0.1, 0.1), way("y", 0.0, 0.1, 0.6, said={"a": "c", "b": "b"})],
            False,
            "y",
            "a as c: are the labels",
        ),
        ([way("x"), way("y", spread=0.9)], False, "x", "do not decide"),  # faces of one person, and other classes
        ([way("x"), way("y", spread=0.9)], True, "y", None),
        ([way("x", spread=0.88), way("y", spread=0.9)], True, "x", "do not decide"),
        ([way("x"), way("y", spread=0.2)], True, "x", "do not decide"),
    ],
)
def test_the_choice(ways, own, chosen, doubt):
    finding = choose(ways, ways[0], 4, own=own)
    assert finding.way.name == chosen
    assert (finding.doubt is None) if doubt is None else (doubt in finding.doubt)


def test_the_ways_of_gray_and_of_colour():
    assert [w.name for w in possible_ways(GRAY, None, None)] == ["0..1", "-1..1", "0..255", "imagenet"]
    names = [w.name for w in possible_ways(RGB, None, None)]
    assert names[:2] == ["-1..1 RGB", "0..1 RGB"]
    assert "caffe BGR" in names
    assert "caffe RGB" not in names
    assert {w.spec.colour for w in possible_ways(RGB, None, "bgr")} == {"bgr"}


def test_the_means_follow_the_order_of_the_channels():
    assert named_scale("caffe", "rgb")[0] == tuple(reversed(named_scale("caffe", "bgr")[0]))
    assert named_scale("imagenet", "gray")[0] == pytest.approx(0.449)
