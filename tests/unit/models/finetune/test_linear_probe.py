"""A softmax head learns what can be told apart, and is judged by what it has not seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.models.finetune.linear_probe import Dataset, cross_entropy, spread_out, temperature, train


def lesson(counts, *, apart=4.0, features=12, views=3, seed=0):
    """Clouds of features, one a class, `apart` standard deviations from each other; `views` of each picture."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (len(counts), features))
    centres *= apart / np.linalg.norm(centres, axis=1, keepdims=True)
    labels = np.repeat(np.arange(len(counts)), counts)
    pictures = centres[labels] + rng.normal(0, 1, (len(labels), features)) * 0.7
    rows = np.repeat(pictures, views, axis=0) + rng.normal(0, 0.2, (len(labels) * views, features))
    sources = np.repeat(np.arange(len(labels)), views)
    return Dataset(rows.astype(np.float32), np.repeat(labels, views), sources)


def right(head, lesson):
    return float(((lesson.features @ head.weights.T + head.bias).argmax(axis=1) == lesson.labels).mean())


@pytest.mark.parametrize("counts", [(60, 60), (60, 60, 60), (80, 15, 40)])
def test_clouds_that_lie_apart_are_told_apart(counts):
    head, _ = train(lesson(counts), len(counts))
    assert right(head, lesson(counts, seed=0)) > 0.97


def test_a_rare_class_is_not_forgotten():
    small = lesson((200, 12), apart=2.5)
    head, _ = train(small, 2)
    rare = small.only(small.source >= 0)
    mine = rare.labels == 1
    assert (((rare.features @ head.weights.T + head.bias).argmax(axis=1) == 1)[mine]).mean() > 0.8


def test_the_same_lesson_gives_the_same_head():
    first, second = train(lesson((30, 30)), 2), train(lesson((30, 30)), 2)
    np.testing.assert_array_equal(first[0].weights, second[0].weights)
    assert first[1] == second[1]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.floats(0.05, 0.5), st.integers(1, 4))
def test_what_is_set_aside_is_of_every_class_and_the_last_of_it(counts, share, views):
    made = lesson(tuple(counts), views=views, features=3)
    chosen = spread_out(made, share)
    labels = np.repeat(np.arange(len(counts)), counts)
    for label, count in enumerate(counts):
        mine = chosen[labels == label]
        assert 1 <= mine.sum() <= max(1, round(share * count))
        assert mine[np.argmax(mine) :].all()  # from the first chosen one to the end
    aside, kept = made.only(chosen), made.only(~chosen)
    assert not set(aside.source) & set(kept.source)
    assert len(aside.labels) + len(kept.labels) == len(made.labels)


@given(st.floats(0.3, 4.0))
def test_temperature_finds_how_sure_one_may_be(true_t):
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (2000, 3))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(3, p=p) for p in chances])
    found = temperature(logits * true_t, labels)
    assert abs(np.log(found / np.clip(true_t, 0.5, 5))) < 0.25
    assert (
        cross_entropy(logits * true_t / found, labels) <= cross_entropy(logits * true_t, labels) + 1e-3
    )  # a grid of temperatures
