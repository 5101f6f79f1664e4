"""Faces are read as they are and in the mirror in turn."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ferd.models.registry import find_bundle
from ferd.sources.demo import load_portrait
from ferd.vision.classifier import Classifier
from ferd.vision.images import in_mirror
from ferd.vision.sides import Sides

IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)


def is_turned(look):
    return np.array_equal(look, IMAGE[:, ::-1])


def test_a_new_face_is_read_both_ways_and_then_in_turn():
    sides = Sides(mirrors=True)
    looks = [sides(7, IMAGE) for _ in range(5)]
    assert [[is_turned(look) for look in frame] for frame in looks] == [[False, True], [False], [True], [False], [True]]


def test_a_model_whose_classes_have_a_side_is_never_shown_a_mirror():
    sides = Sides(mirrors=False)
    assert all(len(looks := sides(1, IMAGE)) == 1 and looks[0] is IMAGE for _ in range(4))


@given(st.lists(st.sets(st.integers(1, 6), max_size=4), max_size=30))
def test_each_face_has_its_own_turn_and_those_that_left_are_forgotten(frames):
    sides, looks = Sides(mirrors=True), {}
    for here in frames:
        for number in here:
            seen = [is_turned(look) for look in sides(number, IMAGE)]
            before = looks.setdefault(number, [])
            assert seen == ([False, True] if not before else [not before[-1]])
            before += seen
        sides.keep(here)
        looks = {number: seen for number, seen in looks.items() if number in here}
        assert set(sides._was_turned) <= here


def test_the_shipped_models_mean_the_same_in_a_mirror():
    portrait = load_portrait()[:, :, 0]
    for name in ("expression", "expression-ferplus"):
        classifier = Classifier(find_bundle(name))
        crop = np.ascontiguousarray(portrait[100:148, 100:148])
        mean = (classifier(crop) + classifier(in_mirror(crop))) / 2
        np.testing.assert_allclose(classifier.both_ways(crop), mean, rtol=1e-6)
        np.testing.assert_allclose(classifier.both_ways(in_mirror(crop)), mean, rtol=1e-6)
